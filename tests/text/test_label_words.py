"""Label words and their tokens, on six kinds of tokenizers."""

import numpy as np
import pytest

from skraee.exceptions import InputWarning
from skraee.text.label_tokens import label_token_ids, warn_of_long_words
from skraee.text.label_words import all_label_words, label_words_for


def test_label_word_is_the_token_behind_a_space(pair):
    hf, tokenizer = pair
    words = {0: "terrible", 1: " great "}
    tokens = label_token_ids(words, tokenizer, kind="masked")
    for name, word in words.items():
        assert (
            tokens[name] == hf.encode("x " + word.strip(), add_special_tokens=False)[-1]
        )


@pytest.mark.parametrize("kind", ["causal", "seq2seq"])
def test_label_word_of_several_tokens_serves_by_its_first(zoo, kind):
    hf, tokenizer = zoo["byte_level"]
    words = {"a": "terrible-good", "b": "great-good"}
    tokens = label_token_ids(words, tokenizer, kind=kind)
    assert hf.convert_ids_to_tokens(tokens["a"]) == "Ġterrible"
    assert hf.convert_ids_to_tokens(tokens["b"]) == "Ġgreat"


@pytest.mark.parametrize(
    ("name", "words", "kind", "match"),
    [
        (
            "byte_level",
            ["greatly"],
            "masked",
            r"'greatly' for .* 0 .tokens 'Ġgreat', 'l",
        ),
        (
            "byte_level",
            ["greatly", "great"],
            "causal",
            "Ġgreat' for 0 .'greatly'. and 1",
        ),
        ("wordpiece", ["great", "Great"], "masked", "'great' for 0 .*and 1 "),
        ("wordpiece", ["中文"], "masked", r"known to the tokenizer, .*'\[UNK\]'"),
        ("unigram", ["zé"], "seq2seq", "known to the tokenizer, got 'zé'"),
        (
            "metaspace",
            [":a"],
            "causal",
            r"say something of it, got ':a' .*tokens '▁', ':'",
        ),
        ("metaspace", [":a"], "masked", r"one token, got ':a' .*tokens '▁', ':'"),
        ("wordpiece", ["\x07"], "masked", "known to the tokenizer, got"),
        ("wordpiece", [" "], "masked", "must not be empty, got ' ' for the class 0"),
    ],
)
def test_label_word_that_does_not_serve_raises(zoo, name, words, kind, match):
    with pytest.raises(ValueError, match=match):
        label_token_ids(dict(enumerate(words)), zoo[name][1], kind=kind)


def test_many_long_label_words_are_told_of_by_the_first(zoo):
    words = {n: "greatly" * (n + 3) for n in range(9)}
    with pytest.raises(ValueError, match="one token, got") as caught:
        label_token_ids(words, zoo["byte_level"][1], kind="masked")
    told = str(caught.value)
    assert told.count("for the class") == 4
    assert ", ...), 5 more; choose commoner" in told


def test_label_words_that_clash_are_named_all_at_once_but_for_very_many(zoo):
    tokenizer = zoo["byte_level"][1]
    words = ["great", "greatly", "bad", "badly", "okay", "good", "goodness"]
    match = (
        r"of its own, got 'Ġgreat' for 0 \('great'\) and 1 \('greatly'\), "
        r"'Ġbad' for 2 \('bad'\) and 3 \('badly'\), 'Ġgood' for 5 .* and 6 .*"
        r"readout='ridge', which needs none"
    )
    with pytest.raises(ValueError, match=match):
        label_token_ids(dict(enumerate(words)), tokenizer, kind="causal")
    many = {f"great{i}": f"great{i}" for i in range(177)}
    with pytest.raises(ValueError, match=r"'great99'\) and 77 more; choose") as caught:
        label_token_ids(many, tokenizer, kind="causal")
    assert "'great100'" not in str(caught.value)


def test_label_words_of_several_tokens_are_named_all_at_once(zoo):
    words = {"a": "greatly", "b": "great", "c": "badly"}
    match = r"got 'greatly' for the class 'a' .*, 'badly' for the class 'c' .*'ridge'"
    with pytest.raises(ValueError, match=match):
        label_token_ids(words, zoo["byte_level"][1], kind="masked")


def test_label_words_read_by_their_first_token_are_said_once(zoo):
    tokenizer = zoo["byte_level"][1]
    match = r"first one alone is read, here 'Ġterrible' for 'terrible-good', 'Ġbad' for"
    with pytest.warns(InputWarning, match=match) as caught:
        warn_of_long_words({0: "terrible-good", 1: "badly", 2: "great"}, tokenizer)
    assert len(caught) == 1
    warn_of_long_words({0: "terrible", 1: "great"}, tokenizer)


def test_label_word_of_no_string_raises(zoo):
    with pytest.raises(TypeError, match="must be a string, got 3 for the class 'a'"):
        label_token_ids({"a": 3}, zoo["wordpiece"][1], kind="masked")


@pytest.mark.parametrize(
    ("classes", "label_words", "found"),
    [
        (["a", "b"], {"b": "bad", "a": "good", "c": "okay"}, {"a": "good", "b": "bad"}),
        (np.array(["a", "b"]), {"a": "good", "b": "bad"}, {"a": "good", "b": "bad"}),
        (np.array([0, 1]), {0: "bad", 1: "good"}, {0: "bad", 1: "good"}),
        (np.array([False, True]), ("bad", "good"), {False: "bad", True: "good"}),
        (["bad", "good"], None, {"bad": "bad", "good": "good"}),
        (np.array(["bad", "good"], dtype=object), None, {"bad": "bad", "good": "good"}),
    ],
)
def test_label_words_are_found_for_classes(classes, label_words, found):
    words = label_words_for(classes, label_words)
    assert words == found
    assert not any(isinstance(name, np.generic) for name in words)


@pytest.mark.parametrize(
    ("classes", "label_words", "error", "match"),
    [
        ([0, 1], {0: "bad"}, ValueError, r"no word for 1 .*sorted order of classes_"),
        ([0, 1], ["bad"], ValueError, r"got 1 words for 2 classes \[0, 1\]"),
        (["a", 1], None, ValueError, "all classes are strings, got the class 1"),
        ([0, 1], "bad", TypeError, "must be a dict .* got str"),
        ([0, 1], {"bad", "good"}, TypeError, "must be a dict .* got set"),
        (
            ["a", "b", "c"],
            {"b": "bad"},
            ValueError,
            r"no word for 'a', 'c' \(words for",
        ),
        ([0, 1], None, ValueError, "class 0; .* readout='ridge', which needs none"),
        (
            [0, 1],
            {0: "bad", 1: 3},
            TypeError,
            "must be a string, got 3 for the class 1",
        ),
        (
            [0, 1],
            ["bad", " "],
            ValueError,
            "must not be empty, got ' ' for the class 1",
        ),
    ],
)
def test_label_words_that_leave_a_class_out_raise(classes, label_words, error, match):
    with pytest.raises(error, match=match):
        label_words_for(classes, label_words)


def test_all_label_words_are_those_of_more_classes_and_of_a_list_by_number():
    words = {"b": "bad", "a": "good", "c": "okay"}
    assert all_label_words(words, ["a", "b"]) == all_label_words(words) == words
    assert all_label_words(["bad", "good"]) == {0: "bad", 1: "good"}
    assert all_label_words(["bad", "good"], ["x", "y"]) == {"x": "bad", "y": "good"}
    assert all_label_words(None, ["bad"]) == {"bad": "bad"}
    with pytest.raises(ValueError, match="give label_words to sweep texts"):
        all_label_words(None)
    with pytest.raises(TypeError, match=r"must be a dict .* got str"):
        all_label_words("bad")
    with pytest.raises(TypeError, match="must be a string, got 3 for the class 'c'"):
        all_label_words({**words, "c": 3}, ["a"])
