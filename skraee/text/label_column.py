"""The labels of a y of any form, as one array."""

from collections.abc import Hashable, Sequence, Set
from reprlib import repr as short_repr
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from sklearn.utils.validation import column_or_1d

from skraee.text.inputs import is_ordered

Labels = npt.NDArray[Any]


def one_column(y: Any, name: str) -> Labels:
    """Return labels as a 1-D array, of the type that numpy gives them or of objects.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, 1)
    name : str
        Of the parameter, for errors.

    Raises
    ------
    ValueError
        If there are several outputs, or labels that are masked or complex.
    TypeError
        If `y` has no order or holds bytes.
    """
    labels = _label_array(y, name)
    if labels.ndim == 2 and labels.shape[1] != 1:
        raise _several_outputs(f"an array of shape {labels.shape}", name)
    if labels.dtype.kind == "V":
        raise _several_outputs(f"records of dtype {labels.dtype}", name)
    if labels.dtype == object and labels.ndim == 1:
        masked = [i for i, label in enumerate(labels) if label is np.ma.masked]
        if masked:
            raise missing_error("a masked one", masked, len(labels), name)
    for label in labels.flat if labels.dtype == object else ():
        several = isinstance(label, Sequence | Set) and not isinstance(
            label, str | bytes
        )
        if several or not isinstance(label, Hashable):
            given = f"{short_repr(label)} of type {type(label).__name__}"
            raise _several_outputs(given, name)
    _refuse_bytes_and_complex(labels, name)
    column: Labels = column_or_1d(labels, warn=True)
    return column


def _label_array(y: Any, name: str) -> Labels:
    if issparse(y):
        raise _several_outputs(type(y).__name__, name)
    if isinstance(y, str | bytes) or not is_ordered(y):
        raise TypeError(
            f"{name} must be a list, array or Series of labels, got "
            f"{type(y).__name__}; pass one label per text."
        )
    if isinstance(y, np.ma.MaskedArray):
        y = _unmasked(y, name)
    if not isinstance(y, Sequence):
        labels = np.asarray(y)
        if labels.dtype.kind == "U" and hasattr(y, "to_list"):
            return _strings(y.to_list())
        return labels.astype(object) if labels.dtype.kind == "T" else labels
    if all(isinstance(label, str) for label in y):
        return _strings(y)
    if any(isinstance(label, list | np.ndarray) for label in y):
        return np.asarray(y, dtype=object)  # rows; a single column is let through
    # Without the type, numpy would write 1, None and NaN as strings beside a string.
    return np.fromiter(y, dtype=object, count=len(y))


def _strings(labels: Sequence[str]) -> Labels:
    # An array of strings forgets NUL at their ends, which may be all that differs.
    ends_in_nul = any(label.endswith("\0") for label in labels)
    return np.asarray(labels, dtype=object if ends_in_nul else None)


def _unmasked(y: Any, name: str) -> Labels:
    masked = np.flatnonzero(np.ma.getmaskarray(y).any(axis=tuple(range(1, y.ndim))))
    if len(masked):
        raise missing_error("a masked label", masked.tolist(), len(y), name)
    labels: Labels = y.data
    return labels


def _refuse_bytes_and_complex(labels: Labels, name: str) -> None:
    for i, label in enumerate(labels.ravel() if labels.dtype.kind in "OSc" else ()):
        if isinstance(label, complex | np.complexfloating):
            raise ValueError(
                f"Complex data not supported: {name} must hold labels that can be "
                f"sorted, got {label!r} at position {i}; write them as strings."
            )
        if isinstance(label, bytes):
            raise TypeError(
                f"Support for labels represented as bytes is not supported: {name} "
                f"holds {label!r} at position {i}; decode them, as in "
                f"[label.decode() for label in {name}]."
            )


def _several_outputs(given: str, name: str) -> ValueError:
    return ValueError(
        f"{name} must hold one label per text, got {given}; wrap the classifier in "
        f"MultiOutputClassifier for several outputs or OneVsRestClassifier for several "
        f"labels per text."
    )


def missing_error(
    given: str, positions: Sequence[int], n: int, name: str
) -> ValueError:
    """Return what is raised where labels are missing."""
    return ValueError(
        f"{name} must hold no missing or infinite labels, got {given} at position "
        f"{positions[0]} ({len(positions)} of {n} labels); drop or label these texts."
    )
