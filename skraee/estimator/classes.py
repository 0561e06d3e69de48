"""Classes that come call by call, and their weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from skraee.readout.weights import sample_weights
from skraee.text.labels import check_classes


def later_classes(
    labels: npt.NDArray[Any], given: Any, known: npt.NDArray[Any] | None
) -> npt.NDArray[Any]:
    """Return the classes of `partial_fit`; refuse labels that are none of them.

    Parameters
    ----------
    labels : ndarray of shape (n,)
        Of the new texts.
    given : array-like of shape (C,) or None
        What `classes` was.
    known : ndarray of shape (C,) or None
        Those of the first call.

    Returns
    -------
    ndarray of shape (C,)

    Raises
    ------
    ValueError
        If they are not known, others than before, or lack a label.
    """
    if given is not None:
        found = check_classes(given)
    elif known is not None:
        found = known
    else:
        raise ValueError(
            "the first call of partial_fit must name all classes; pass "
            "classes=np.unique(y_all)."
        )
    if known is not None and not np.array_equal(found, known):
        raise ValueError(
            f"classes are {known.tolist()} since the first call, got "
            f"{found.tolist()}; leave classes out or call fit on all texts."
        )
    unknown = set(labels.tolist()).difference(found.tolist())
    if unknown:
        raise ValueError(
            f"y holds classes that partial_fit was not told of: "
            f"{sorted(unknown)} (known: {found.tolist()}); call fit on all texts."
        )
    return found


def check_class_weight(
    class_weight: Any,
    labels: npt.NDArray[Any],
    classes: npt.NDArray[Any],
    codes_before: npt.NDArray[Any] | None = None,
) -> None:
    """Refuse a `class_weight` that does not suit y, before anything is loaded.

    Parameters
    ----------
    class_weight : None, "balanced" or dict
    labels : ndarray of shape (n,)
    classes : ndarray of shape (C,)
    codes_before : ndarray, optional
        Class codes of the texts that were fitted before.
    """
    codes = np.searchsorted(classes, labels)
    if codes_before is not None:
        codes = np.concatenate([codes_before, codes])
    sample_weights(codes, classes, class_weight)
