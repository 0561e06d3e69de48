"""Templates cut into pieces."""

import pickle
import re

import pytest

from skraee.text.template import Template


def test_template_is_cut_into_pieces_with_the_space_on_the_right():
    template = Template("Is \n{text} It was {mask} {next}{{.}} \n \t")
    assert template.pieces == (
        ("literal", "Is", ""),
        ("field", "text", " \n"),
        ("literal", " It was ", ""),
        ("mask", "", ""),
        ("field", "next", " "),
        ("literal", "{.} \n", ""),
    )
    assert template.fields == ("text", "next")
    assert template.n_masks == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [("{{{text}}}", "{}"), ("{{text}} {text}", "{text}"), ("{text}}}{{", "}{")],
)
def test_template_with_doubled_braces_has_literal_ones(text, words):
    template = Template(text)
    assert "".join(p.text for p in template.pieces if p.kind == "literal") == words
    assert template.fields == ("text",)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{text} {", "stray '{' at position 7"),
        ("} {text}", "stray '}' at position 0"),
        ("{text}}", "stray '}' at position 6"),
        ("{{text}", "stray '}' at position 6"),
        ("{text} {}", "got '{}' at position 7"),
        ("{text!r}", "got '{text!r}' at position 0"),
        ("{text:>9}", "got '{text:>9}' at position 0"),
        ("{ text }", "got '{ text }' at position 0"),
        ("{0}", "got '{0}' at position 0"),
        ("{a.b}", "got '{a.b}' at position 0"),
        ("It was {mask}.", "must have a place for the text"),
        ("", "must have a place for the text"),
        ("{text} and {text}", "'{text}' 2 times"),
    ],
)
def test_template_that_is_malformed_raises(text, match):
    with pytest.raises(ValueError, match=re.escape(match)):
        Template(text)


def test_template_of_no_string_raises():
    with pytest.raises(TypeError, match=r"must be a string .* got NoneType"):
        Template(None)


def test_template_is_a_value():
    template = Template("{text} It was {mask}.")
    assert template == Template(template.text) == pickle.loads(pickle.dumps(template))
    assert template != Template("{text}")
    assert template != template.text
    assert len({template, Template(template.text)}) == 1
    assert eval(repr(template)) == template
