"""The template: a sentence with a place for the text and one for the answer."""

import re
from collections import Counter
from typing import Literal, NamedTuple

from skraee.text.inputs import replace_surrogates

ModelKind = Literal["masked", "causal", "seq2seq"]

_MASK = "mask"
# What is dropped at the end of a template; a line break there has a meaning.
_SPACE_AT_END = " \t"
_TOKENS = re.compile(r"\{\{|\}\}|\{(?P<name>[^{}]*)\}|[{}]")


class Piece(NamedTuple):
    """A piece of a template.

    Parameters
    ----------
    kind : {"literal", "field", "mask"}
        Fixed words, a place for user text, or the mask.
    text : str
        The words, or the field's name; empty for the mask.
    left_space : str
        White space between a field and the piece before it, which is tokenised with
        the field's text and left out together with it.
    """

    kind: Literal["literal", "field", "mask"]
    text: str
    left_space: str = ""


class Template:
    """A prompt with fields in braces, parsed once.

    A template is taken as it is written: line breaks at its end stay, as chat
    templates need them, and special tokens that open or close it are not put there a
    second time. Two things are done to white space:

    - At a field's border it belongs to the piece on its right, and goes with the text
      where that is empty.
    - Spaces and tabs at the very end are dropped. Label words bring the space before
      them, and a model that reads one of its own has hardly ever seen what follows.

    Where a tokenizer takes a line break for a space (BERT's and T5's do), so is one at
    the very end.

    Parameters
    ----------
    text : str
        Fixed words with a field such as ``{text}`` where user text goes, and, for a
        masked model, ``{mask}`` where the label word is read. Several fields
        (``{premise}``, ``{hypothesis}``) take the columns of a DataFrame. ``{{`` and
        ``}}`` are literal braces. The model's special tokens are special.

    Attributes
    ----------
    text : str
        As given.
    pieces : tuple of Piece
        Literals, fields and masks from left to right.
    fields : tuple of str
        Names of the fields in that order.
    n_masks : int
        How often ``{mask}`` occurs.

    Raises
    ------
    ValueError
        For a stray brace, a field name that is no Python name, a field that occurs
        twice, or a template without a field.

    Examples
    --------
    >>> template = Template("{text} It was {mask}.")
    >>> template.fields, template.n_masks
    (('text',), 1)
    """

    __slots__ = ("_pieces", "_text")

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(
                f"a template must be a string such as '{{text}} It was {{mask}}.', "
                f"got {type(text).__name__}; write one with a place for the text."
            )
        self._text = text
        self._pieces = _parsed(replace_surrogates(text))
        _check_fields(text, self.fields)

    @property
    def text(self) -> str:
        """The template as it was given."""
        return self._text

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """Literals, fields and masks from left to right."""
        return self._pieces

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields, in order."""
        return tuple(p.text for p in self._pieces if p.kind == "field")

    @property
    def n_masks(self) -> int:
        """How often ``{mask}`` occurs."""
        return sum(p.kind == "mask" for p in self._pieces)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Template) and self._text == other._text

    def __hash__(self) -> int:
        return hash((Template, self._text))

    def __repr__(self) -> str:
        return f"Template({self._text!r})"

    def __reduce__(self) -> tuple[type["Template"], tuple[str]]:
        return type(self), (self._text,)


def as_template(template: str | Template) -> Template:
    """Return the template that a user gave, parsed.

    Parameters
    ----------
    template : str or Template

    Raises
    ------
    TypeError, ValueError
        As :class:`Template` raises them.
    """
    return template if isinstance(template, Template) else Template(template)


def _parsed(text: str) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    words, end = "", 0
    for match in _TOKENS.finditer(text):
        words += text[end : match.start()]
        end = match.end()
        if match.group() in ("{{", "}}"):
            words += match.group()[0]
            continue
        pieces += _placeholder(text, match, words)
        words = ""
    pieces.append(Piece("literal", (words + text[end:]).rstrip(_SPACE_AT_END)))
    return tuple(p for p in pieces if p.kind != "literal" or p.text)


def _placeholder(text: str, match: re.Match[str], words: str) -> list[Piece]:
    """Return the words before a placeholder, and the placeholder."""
    name, position = match["name"], match.start()
    if name is None:
        raise ValueError(
            f"stray {match.group()!r} at position {position} of the template "
            f"{text!r}; write {match.group() * 2!r} for a "
            f"literal brace."
        )
    if not name.isidentifier():
        raise ValueError(
            f"a field name must be a plain name as in '{{text}}', got "
            f"{match.group()!r} at position {position} of the template {text!r}; write "
            "'{{' and '}}' for literal braces."
        )
    if name == _MASK:
        return [Piece("literal", words), Piece("mask", "")]
    kept = words.rstrip()
    return [Piece("literal", kept), Piece("field", name, words[len(kept) :])]


def _check_fields(text: str, fields: tuple[str, ...]) -> None:
    if not fields:
        raise ValueError(
            f"a template must have a place for the text, got {text!r}; write a field "
            f"such as '{{text}}' into it."
        )
    for name, count in Counter(fields).items():
        if count > 1:
            raise ValueError(
                f"a field may occur once in a template, got '{{{name}}}' "
                f"{count} times in {text!r}; leave all but one out."
            )
