"""The texts that a request's body holds, checked before the model hears of them.

What an error says names places and types, never a text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NoReturn

from skraee.serve.limits import Limits
from skraee.serve.refusals import Refusal

# One text for each field of the template.
Sample = tuple[str, ...]

_NAMES = {
    dict: "an object",
    list: "a list",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
    str: "a string",
}


def samples_of(
    body: bytes, fields: Sequence[str], limits: Limits, most: int
) -> list[Sample]:
    """Return the texts that a body asks about.

    Parameters
    ----------
    body : bytes
        JSON, ``{"texts": [...]}``. Of a template with one field each is a string, of
        several an object with a string for each field.
    fields : sequence of str
        Of the template.
    limits : Limits
    most : int
        Texts that there may be.

    Returns
    -------
    list of tuple of str
        Lone surrogates in them are as JSON had them; the classifier replaces them.

    Raises
    ------
    Refusal
        400 for what is no JSON, 422 for what is not of this form, 413 for too much.

    Examples
    --------
    >>> from skraee.serve.limits import Limits
    >>> from skraee.serve.questions import samples_of
    >>> samples_of(b'{"texts": ["a lovely film"]}', ("text",), Limits(), 8)
    [('a lovely film',)]
    """
    texts = _texts(_parsed(body), fields)
    if len(texts) > most:
        raise Refusal(
            413,
            f"a request may hold {most} texts here, got {len(texts)}; send them in "
            "parts.",
            "too_many",
        )
    samples = [_sample(text, place, fields) for place, text in enumerate(texts)]
    for place, sample in enumerate(samples):
        if (length := sum(map(len, sample))) > limits.max_length:
            raise Refusal(
                413,
                f"a text may have {limits.max_length} characters here, texts[{place}] "
                f"has {length}; shorten it.",
                "too_long",
            )
    return samples


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except RecursionError:
        raise Refusal(
            400,
            "the body is nested too deeply to be read; send an object with a list of "
            "texts.",
            "no_json",
        ) from None
    except json.JSONDecodeError as error:
        raise Refusal(
            400,
            f"the body is no JSON ({error.msg} at character {error.pos}); send an "
            "object with a list of texts.",
            "no_json",
        ) from None
    except ValueError:  # no UTF-8, or a number of thousands of digits
        raise Refusal(
            400,
            "the body cannot be read as JSON in UTF-8; send an object with a list of "
            "texts.",
            "no_json",
        ) from None


def _refuse_constant(name: str) -> NoReturn:
    raise Refusal(
        400, f"{name} is no JSON; send an object with a list of texts.", "no_json"
    )


def _texts(found: Any, fields: Sequence[str]) -> list[Any]:
    form = f"send {example(fields)}"
    if not isinstance(found, dict):
        raise _wrong(f"the body must be an object, got {_named(found)}; {form}.")
    if "texts" not in found:
        raise _wrong(f"the body must have 'texts'; {form}.")
    if len(found) > 1:
        raise _wrong(
            f"the body must have 'texts' and nothing else, got {len(found)} names; "
            f"{form}."
        )
    texts = found["texts"]
    if not isinstance(texts, list):
        raise _wrong(f"'texts' must be a list, got {_named(texts)}; {form}.")
    if not texts:
        raise _wrong(f"'texts' must hold at least one text, got none; {form}.")
    return texts


def _sample(text: Any, place: int, fields: Sequence[str]) -> Sample:
    if len(fields) == 1:
        return (_string(text, f"texts[{place}]"),)
    names = ", ".join(map(repr, fields))
    if not isinstance(text, dict):
        raise _wrong(
            f"texts[{place}] must be an object with {names}, got {_named(text)}; the "
            "model's template has these fields."
        )
    if text.keys() != {*fields}:
        missing = [name for name in fields if name not in text]
        lack = f"it lacks {missing[0]!r}" if missing else f"it has {len(text)} names"
        raise _wrong(
            f"texts[{place}] must have {names} and nothing else, {lack}; the model's "
            "template has these fields."
        )
    return tuple(_string(text[name], f"{name!r} of texts[{place}]") for name in fields)


def _string(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise _wrong(f"{place} must be a string, got {_named(value)}; send a text.")
    return value


def example(fields: Sequence[str]) -> str:
    """Return a body that is right, for errors and for the page."""
    one: Any = "..." if len(fields) == 1 else dict.fromkeys(fields, "...")
    return json.dumps({"texts": [one]})


def _named(value: Any) -> str:
    return _NAMES[type(value)]


def _wrong(sentence: str) -> Refusal:
    return Refusal(422, sentence, "wrong_form")
