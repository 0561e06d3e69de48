"""Texts that come one after the other, more of them than memory holds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from reprlib import repr as short_repr
from typing import Any

from skraee.text.inputs import Texts, check_texts


def text_chunks(X: Any, fields: Sequence[str], size: int) -> Iterator[Texts]:
    """Cut a stream of texts into chunks, and hold one at a time.

    Parameters
    ----------
    X : iterable of str, of tuples or of mappings, or what `check_texts` takes
        A generator, too. Of several fields a tuple has the texts in their order, a
        mapping by their names, others beside them.
    fields : sequence of str
        Names of the template's fields.
    size : int
        Texts of a chunk; the last one may have fewer.

    Returns
    -------
    iterator of Texts

    Raises
    ------
    TypeError, ValueError
        At once if `X` is one string, a dict, a set or no iterable; on the way, with
        its position, for an item that is no text.

    Examples
    --------
    >>> chunks = text_chunks(iter(["a gripping film", "dull", "warm"]), ["text"], 2)
    >>> [list(chunk) for chunk in chunks]
    [[('a gripping film',), ('dull',)], [('warm',)]]
    """
    return _chunks(_samples(X, fields), size)


def _chunks(samples: Iterator[tuple[str, ...]], size: int) -> Iterator[Texts]:
    while chunk := list(islice(samples, size)):
        yield Texts(list(zip(*chunk, strict=True)))


def _samples(X: Any, fields: Sequence[str]) -> Iterator[tuple[str, ...]]:
    is_whole = hasattr(X, "shape") or hasattr(X, "__array__")
    if is_whole or isinstance(X, str | bytes):
        return iter(check_texts(X, fields, allow_empty=True))
    if isinstance(X, Mapping | set | frozenset) or not isinstance(X, Iterable):
        raise TypeError(
            f"texts must be an iterable of texts in their order, got "
            f"{type(X).__name__}; pass list(texts) if its order is that of the samples."
        )
    return (_sample(item, fields, position) for position, item in enumerate(X))


def _sample(item: Any, fields: Sequence[str], position: int) -> tuple[str, ...]:
    """Return the fields of one item."""
    row: Any = item
    if isinstance(item, tuple) and hasattr(item, "_asdict"):
        item = item._asdict()  # a named tuple, as DataFrame.itertuples gives it
    if isinstance(item, Mapping) and all(field in item for field in fields):
        row = tuple(item[field] for field in fields)
    elif isinstance(item, str):
        row = (item,)
    is_row = isinstance(row, tuple) and len(row) == len(fields)
    if not is_row or not all(isinstance(text, str) for text in row):
        raise ValueError(
            f"every item of texts must be {_wanted(fields)}, got {short_repr(item)} "
            f"of type {type(item).__name__} at position {position}; drop it or give "
            "its text."
        )
    return tuple(row)


def _wanted(fields: Sequence[str]) -> str:
    names = list(fields)
    if len(names) == 1:
        return f"a string, or a mapping with {names[0]!r}"
    return f"a tuple of the fields {names} or a mapping with them"
