"""What counts as labels: one clear sentence per refusal."""

from decimal import Decimal
from enum import Enum
from itertools import pairwise
from math import isfinite
from reprlib import repr as short_repr
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets

from skraee.exceptions import InputWarning, warn_user
from skraee.text.label_column import Labels, missing_error, one_column


def check_labels(y: Any, n_samples: int) -> Labels:
    """Return the labels as a 1-D array.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Class labels of any type that can be sorted and hashed. Members of an enum of
        strings or numbers are taken for their values.
    n_samples : int
        How many labels there must be.

    Returns
    -------
    ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        If labels are missing, empty, continuous, of several types, of several outputs,
        or too many or too few.
    TypeError
        If `y` has no order, or its labels cannot be sorted or are bytes.

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
            "This estimator requires y to be passed, but the target y is None; pass "
            "one label for each text."
        )
    labels = one_column(y, "y")
    if len(labels) != n_samples:
        raise ValueError(
            f"X and y must have the same length, got {n_samples} texts and "
            f"{len(labels)} labels; pass one label per text."
        )
    return _usable(labels, "y")


def check_classes(classes: Any) -> Labels:
    """Return the classes that a user names, each once and sorted.

    Parameters
    ----------
    classes : array-like of shape (C,)
        As `check_labels` takes labels.

    Returns
    -------
    ndarray of shape (C,)

    Raises
    ------
    ValueError, TypeError
        Where `check_labels` raises them, or if there is no class.

    Examples
    --------
    >>> check_classes(["good", "bad", "good"])
    array(['bad', 'good'], dtype='<U4')
    """
    labels = one_column(classes, "classes")
    if len(labels) == 0:
        raise ValueError(
            "classes must name at least one class, got none; pass np.unique(y_all)."
        )
    distinct: Labels = np.unique(_usable(labels, "classes"))
    return distinct


def warn_of_one_class(classes: Labels) -> None:
    """Warn where there is nothing to tell apart.

    Parameters
    ----------
    classes : ndarray of shape (C,)

    Warns
    -----
    InputWarning
        If there is one class only.
    """
    if len(classes) == 1:
        warn_user(
            f"y holds one class only, {classes.tolist()[0]!r}, which every text will "
            "get; fit on texts of all classes.",
            InputWarning,
        )


def _usable(labels: Labels, name: str) -> Labels:
    """Refuse labels that are missing or no classes; give them their own type."""
    _refuse_missing(labels, name)
    _refuse_empty(labels, name)
    if labels.dtype == object:
        labels = _natural(labels, name)
    if labels.dtype != object or isinstance(labels[0], str):
        check_classification_targets(labels)
    return labels


def _refuse_missing(labels: Labels, name: str) -> None:
    if labels.dtype.kind in "biuUS":
        return
    missing = [i for i, label in enumerate(labels) if _is_missing(label)]
    if missing:
        raise missing_error(repr(labels[missing[0]]), missing, len(labels), name)


def _is_missing(label: Any) -> bool:
    if isinstance(label, float | np.floating | Decimal):
        return not isfinite(label)
    # NaT differs from itself, and what pandas.NA is nobody knows.
    return label is None or type(label).__name__ == "NAType" or label != label


def _refuse_empty(labels: Labels, name: str) -> None:
    if labels.dtype.kind not in "OU":
        return
    empty = [
        (i, label)
        for i, label in enumerate(labels.tolist())
        if isinstance(label, str) and not label.strip()
    ]
    if empty:
        position, first = empty[0]
        raise ValueError(
            f"{name} must hold no empty labels, got {short_repr(first)} at position "
            f"{position} ({len(empty)} of {len(labels)} labels); drop or label these "
            f"texts."
        )


def _natural(labels: Labels, name: str) -> Labels:
    """Give labels held as Python objects the type that they share."""
    types = {type(label) for label in labels}
    n_text = sum(issubclass(t, str) for t in types)
    if 0 < n_text < len(types):
        raise ValueError(
            f"{name} must hold labels of one type, got {_names(types)}; write all "
            f"labels as strings or all as numbers."
        )
    if n_text:
        # `str.__str__` makes a plain str of a subclass such as an enum's.
        return np.array([str.__str__(label) for label in labels], dtype=object)
    natural = np.asarray(labels.tolist())
    if natural.dtype.kind in "biuf":
        return natural
    _refuse_unsorted(labels, types, name)
    return labels


def _refuse_unsorted(labels: Labels, types: set[type], name: str) -> None:
    """Refuse labels that have no order, or only some of which have."""
    try:
        ordered = sorted(set(labels.tolist()))
        is_sorted = all(one < next_one for one, next_one in pairwise(ordered))
    except TypeError:
        is_sorted = False
    if not is_sorted:
        way = "label.name" if all(issubclass(t, Enum) for t in types) else "str(label)"
        raise TypeError(
            f"{name} must hold labels that can be sorted, got "
            f"{short_repr(labels[0])} of type {', '.join(_names(types))}; write them "
            f"as strings, as in [{way} for label in {name}]."
        )


def _names(types: set[type]) -> list[str]:
    return sorted(t.__name__ for t in types)
