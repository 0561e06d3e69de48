"""How far a method's probabilities can be believed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

N_BINS = 15


def log_proba_of_class(
    proba: npt.ArrayLike, classes: npt.ArrayLike, y: npt.ArrayLike
) -> FloatArray:
    """Return the log-probability of each text's right class.

    The mean of its negative is `sklearn.metrics.log_loss`; as there, a probability of 0
    counts as the smallest step of its number format.

    Parameters
    ----------
    proba : array-like of shape (n, C)
    classes : array-like of shape (C,)
        Sorted. A text of a class that is not among them has probability 0.
    y : array-like of shape (n,)

    Returns
    -------
    ndarray of shape (n,)
    """
    proba, classes, y = np.asarray(proba), np.asarray(classes), np.asarray(y)
    columns = np.searchsorted(classes, y).clip(max=len(classes) - 1)
    of_class = np.where(classes[columns] == y, proba[np.arange(len(y)), columns], 0.0)
    return np.asarray(np.log(of_class.clip(min=np.finfo(proba.dtype).eps)))


def calibration_error(
    proba: npt.ArrayLike,
    classes: npt.ArrayLike,
    y: npt.ArrayLike,
    n_bins: int = N_BINS,
) -> float:
    """Return the expected calibration error of the top class, in bins of equal mass.

    The texts are sorted by their top probability and cut into bins of as many texts (to
    one); the mean of the bins' differences of mean probability and accuracy is
    weighted by the bins' sizes. Equal mass rather than equal width, since most texts
    are near a probability of 1, where bins of equal width put them all into one.

    Parameters
    ----------
    proba : array-like of shape (n, C)
    classes : array-like of shape (C,)
    y : array-like of shape (n,)
    n_bins : int, default=15
        Fewer where there are few texts: n texts are at most n bins. A perfect method
        has an error, too, of the order of sqrt(n_bins / n) / 2 where it is unsure.

    Returns
    -------
    float
        In [0, 1].
    """
    proba, classes, y = np.asarray(proba, float), np.asarray(classes), np.asarray(y)
    top = proba.max(axis=1)
    right = classes[proba.argmax(axis=1)] == y
    order = np.argsort(top, kind="stable")
    gaps = np.array_split((top - right)[order], min(n_bins, len(y)))
    return float(sum(abs(gap.sum()) for gap in gaps) / len(y))
