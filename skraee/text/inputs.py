"""What counts as texts and labels: one clear sentence per refusal."""

import re
from collections.abc import Hashable, Iterator, Sequence
from itertools import islice
from reprlib import repr as short_repr
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

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
    X : sequence of str, Series, 1-D array, one-column array, or DataFrame
        The texts. A DataFrame may have one column per field, of the field's name, and
        others beside them; where it has one column only, the name does not matter.
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
    columns = _columns(X, fields)
    for where, column in columns:
        _refuse_others_than_strings(column, where)
    texts = Texts([column for _, column in columns])
    if not len(texts) and not allow_empty:
        raise ValueError(
            "X must hold at least one text, got 0 samples; pass some texts"
        )
    return texts


def check_labels(y: Any, n_samples: int) -> np.ndarray[Any, Any]:
    """Return the labels as a 1-D array.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Class labels of any type that can be sorted and hashed.
    n_samples : int
        How many labels there must be.

    Returns
    -------
    ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        If labels are missing, continuous, of several types, of several outputs, or
        too many or too few.

    Warns
    -----
    sklearn.exceptions.DataConversionWarning
        If `y` is a column.

    Examples
    --------
    >>> check_labels(["good", "bad"], 2)
    array(['good', 'bad'], dtype='<U4')
    """
    if y is None:
        raise ValueError(
            "This estimator requires y to be passed, but the target y is None."
        )
    labels = _one_column(y)
    if len(labels) != n_samples:
        raise ValueError(
            f"X and y must have the same length, got {n_samples} texts and "
            f"{len(labels)} labels; pass one label per text"
        )
    _refuse_missing(labels)
    labels = _natural(labels)
    if labels.dtype != object or isinstance(labels[0], str):
        check_classification_targets(labels)
    return labels


def replace_surrogates(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot encode, by U+FFFD."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def _columns(X: Any, fields: Sequence[str]) -> list[tuple[str, Any]]:
    """Return for every field how to call its column in an error, and the column."""
    if isinstance(X, str | bytes):
        raise ValueError(
            f"expected a sequence of texts, got one string {short_repr(X)}; pass a "
            f"list, as in [text]"
        )
    if _is_frame(X):
        return _frame_columns(X, fields)
    if len(fields) > 1:
        raise ValueError(
            f"a template with the fields {list(fields)} needs a DataFrame with columns "
            f"of these names, got {type(X).__name__}; pass one, or write a template "
            f"with one field"
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
        f"the text, or pass one column, as in X[{names[0] if names else 'name'!r}]"
    )


def _one_dimension(X: Any) -> Any:
    shape = getattr(X, "shape", None)
    if issparse(X) or not _is_ordered(X):
        raise TypeError(
            f"X must be a list, array or Series of texts, got {type(X).__name__}; pass "
            f"list(X) if its order is that of the samples"
        )
    if shape is None or len(shape) == 1:
        return _column(X)
    if len(shape) == 2 and shape[1] == 1:
        return _column(X[:, 0])
    raise ValueError(
        f"X must have one dimension or one column, got an array of shape {shape}; pass "
        f"the column that holds the texts, or a DataFrame with one column per field"
    )


def _is_ordered(X: Any) -> bool:
    # Neither holds of dicts, sets and iterators.
    return isinstance(X, Sequence) or hasattr(X, "__array__")


def _column(X: Any) -> Any:
    """Return what can be gone through again and again: a sequence, series or array."""
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
        raise ValueError(
            f"{where} must hold only strings, got {short_repr(first)} at "
            f"position {wrong[0]} ({len(wrong)} of {len(column)} items are no "
            f"strings); drop these samples or fill in a text"
        )


def _one_column(y: Any) -> np.ndarray[Any, Any]:
    labels = _label_array(y)
    several = labels.ndim == 2 and labels.shape[1] != 1
    if several or any(not isinstance(label, Hashable) for label in labels.flat):
        raise _several_outputs(f"an array of shape {labels.shape}")
    column: np.ndarray[Any, Any] = column_or_1d(labels, warn=True)
    return column


def _label_array(y: Any) -> np.ndarray[Any, Any]:
    if issparse(y):
        raise _several_outputs(type(y).__name__)
    if isinstance(y, str | bytes) or not _is_ordered(y):
        raise TypeError(
            f"y must be a list, array or Series of labels, got {type(y).__name__}; "
            f"pass one label per text"
        )
    if not isinstance(y, Sequence):
        labels = np.asarray(y)
        return labels.astype(object) if labels.dtype.kind == "T" else labels
    if all(isinstance(label, str) for label in y):
        return np.asarray(y)
    # Without the type, numpy would write 1, None and NaN as strings beside a string.
    return np.asarray(y, dtype=object)


def _several_outputs(given: str) -> ValueError:
    return ValueError(
        f"y must hold one label per text, got {given}; wrap the classifier in "
        f"MultiOutputClassifier for several outputs or OneVsRestClassifier for several "
        f"labels per text"
    )


def _refuse_missing(labels: np.ndarray[Any, Any]) -> None:
    if labels.dtype.kind in "biuUS":
        return
    missing = [i for i, label in enumerate(labels) if _is_missing(label)]
    if missing:
        raise ValueError(
            f"y must hold no missing or infinite labels, got {labels[missing[0]]!r} at "
            f"position {missing[0]} ({len(missing)} of {len(labels)} labels); drop or "
            f"label these texts"
        )


def _is_missing(label: Any) -> bool:
    if isinstance(label, float | np.floating):
        return not np.isfinite(label)
    # NaT differs from itself, and what pandas.NA is nobody knows.
    return label is None or type(label).__name__ == "NAType" or label != label


def _natural(labels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Give labels held as Python objects the numeric type that they share."""
    if labels.dtype != object:
        return labels
    types = {type(label) for label in labels}
    n_text = sum(issubclass(t, str) for t in types)
    if 0 < n_text < len(types):
        names = sorted(t.__name__ for t in types)
        raise ValueError(
            f"y must hold labels of one type, got {names}; write all labels as strings "
            f"or all as numbers"
        )
    natural = np.asarray(labels.tolist()) if not n_text else labels
    return natural if natural.dtype.kind in "biuf" else labels
