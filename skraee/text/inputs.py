"""What counts as texts: one clear sentence per refusal."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from reprlib import repr as short_repr
from typing import Any

import numpy as np
from scipy.sparse import issparse

from skraee.exceptions import InputWarning, warn_user

_SURROGATES = re.compile("[\ud800-\udfff]")

# Items of an array that are made Python objects at a time.
_ITEMS = 1024


class Texts:
    """The samples of an X that was checked, taken out of it one after the other.

    There is no copy of X: what goes through them anew takes them out anew.

    Parameters
    ----------
    columns : sequence of sized iterables of str
        The column of X for each field.

    Examples
    --------
    >>> texts = Texts([["a gripping film", "dull"]])
    >>> len(texts), list(texts)
    (2, [('a gripping film',), ('dull',)])
    """

    def __init__(self, columns: Sequence[Any]) -> None:
        self._columns = columns

    def __len__(self) -> int:
        return len(self._columns[0])

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        return zip(*map(_plain, self._columns), strict=True)


def check_texts(
    X: Any, fields: Sequence[str] = ("text",), *, allow_empty: bool = False
) -> Texts:
    """Return the texts of every sample, one for each field of the template.

    Parameters
    ----------
    X : sequence of str, Series, 1-D array, one-column array, DataFrame, or Texts
        The texts. A DataFrame may have one column per field, of the field's name, and
        others beside them; where it has one column only, the name does not matter.
        Texts that were checked before are returned as they are.
    fields : sequence of str, default=("text",)
        Names of the template's fields.
    allow_empty : bool, default=False
        Whether `X` may hold no sample.

    Returns
    -------
    Texts
        One tuple of str per sample, in the order of `X`, with the texts in the order
        of `fields`. Lone surrogates, which no encoding knows, are U+FFFD.

    Raises
    ------
    TypeError
        If `X` has no order or can be read only once: a dict, set or iterator.
    ValueError
        If `X` is one string, has no samples, has columns of other names, or holds
        anything but strings.

    Examples
    --------
    >>> list(check_texts(["a gripping film", "dull"]))
    [('a gripping film',), ('dull',)]
    """
    if isinstance(X, Texts):
        return X
    columns = _columns(X, fields)
    for where, column in columns:
        _refuse_others_than_strings(column, where)
    texts = Texts([column for _, column in columns])
    if not len(texts) and not allow_empty:
        raise ValueError(
            "X must hold at least one text, got 0 samples; pass some texts."
        )
    return texts


def warn_of_empty(samples: Texts) -> None:
    """Warn of samples that hold no text in any field.

    Parameters
    ----------
    samples : Texts

    Warns
    -----
    InputWarning
        Once, with their number and the first position.
    """
    empty = [i for i, fields in enumerate(samples) if not "".join(fields).strip()]
    if empty:
        warn_user(
            f"{len(empty)} of {len(samples)} texts are empty or white space, the first "
            f"at position {empty[0]}; their prompts are the template alone, so leave "
            "them out where they have nothing to teach.",
            InputWarning,
        )


def replace_surrogates(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot encode, by U+FFFD."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def _columns(X: Any, fields: Sequence[str]) -> list[tuple[str, Any]]:
    """Return for every field how to call its column in an error, and the column."""
    if isinstance(X, str | bytes):
        raise ValueError(
            f"expected a sequence of texts, got one string {short_repr(X)}; pass a "
            f"list, as in [text]."
        )
    if _is_frame(X):
        return _frame_columns(X, fields)
    if len(fields) > 1:
        raise ValueError(
            f"a template with the fields {list(fields)} needs a DataFrame with columns "
            f"of these names, got {type(X).__name__}; pass one, or write a template "
            f"with one field."
        )
    return [("X", _one_dimension(X))]


def _is_frame(X: Any) -> bool:
    return len(getattr(X, "shape", ())) == 2 and hasattr(X, "columns")


def _frame_columns(X: Any, fields: Sequence[str]) -> list[tuple[str, Any]]:
    names = list(X.columns)
    if all(names.count(field) == 1 for field in fields):
        return [(f"column {field!r} of X", _column(X[field])) for field in fields]
    if len(names) == len(fields) == 1:
        return [("X", _column(X[names[0]]))]
    raise ValueError(
        f"X must have one column for each of the template's fields {list(fields)}, got "
        f"the columns {short_repr(names)}; name the fields after the columns that hold "
        f"the text, or pass one column, as in X[{names[0] if names else 'name'!r}]."
    )


def _one_dimension(X: Any) -> Any:
    shape = getattr(X, "shape", None)
    if issparse(X) or not is_ordered(X):
        raise TypeError(
            f"X must be a list, array or Series of texts, got {type(X).__name__}; pass "
            f"list(X) if its order is that of the samples."
        )
    if shape is None or len(shape) == 1:
        return _column(X)
    if len(shape) == 2 and shape[1] == 1:
        return _column(X[:, 0])
    raise ValueError(
        f"X must have one dimension or one column, got an array of shape {shape}; pass "
        f"the column that holds the texts, or a DataFrame with one column per field."
    )


def is_ordered(X: Any) -> bool:
    """Whether it has an order and can be read again; no dict, set or iterator is so."""
    return isinstance(X, Sequence) or hasattr(X, "__array__")


def _column(X: Any) -> Any:
    """Return what can be gone through again and again: a sequence, series or array."""
    if isinstance(X, np.ma.MaskedArray):
        return X.tolist()  # None where it is masked, which an array would not tell
    return X if isinstance(X, Sequence) or hasattr(X, "to_list") else np.asarray(X)


def _items(column: Any) -> Iterator[Any]:
    """Go through the items of a column as Python objects."""
    if not isinstance(column, np.ndarray):
        yield from column
        return
    for start in range(0, len(column), _ITEMS):
        yield from column[start : start + _ITEMS].tolist()


def _plain(column: Any) -> Iterator[str]:
    for item in _items(column):
        # `str.__str__` makes a plain str of a subclass such as numpy's.
        yield replace_surrogates(str.__str__(item))


def _refuse_others_than_strings(column: Any, where: str) -> None:
    wrong = [i for i, item in enumerate(_items(column)) if not isinstance(item, str)]
    if wrong:
        first = next(islice(_items(column), wrong[0], None))
        way = "drop these samples or fill in a text"
        if isinstance(first, Sequence) and len(wrong) == len(column):
            way = "pass one text for each sample, as in [row[0] for row in X]"
        raise ValueError(
            f"{where} must hold only strings, got {short_repr(first)} at "
            f"position {wrong[0]} ({len(wrong)} of {len(column)} items are no "
            f"strings); {way}."
        )
