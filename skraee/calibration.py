"""Scores to probabilities that mean what they say: one temperature per depth."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

FloatArray = npt.NDArray[np.float64]

# Sharpest and flattest softmax that is considered, as powers of e.
_RANGE = (-7.0, 7.0)


def fit_sharpness(
    scores: npt.NDArray[np.floating],
    codes: npt.NDArray[np.integer],
    weights: FloatArray,
) -> float:
    """Find the factor (1 / temperature) for the least log-loss of a softmax.

    Parameters
    ----------
    scores : ndarray of shape (n, C)
        Larger is more likely.
    codes : ndarray of shape (n,)
        The right columns.
    weights : ndarray of shape (n,)
        Of the texts.

    Returns
    -------
    float
        Above 0: an order among the classes is never turned round.

    Examples
    --------
    >>> import numpy as np
    >>> from skraee.calibration import fit_sharpness
    >>> scores = np.array([[9.0, 0.0], [9.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    >>> round(fit_sharpness(scores, np.array([0, 0, 1, 1]), np.ones(4)) * 9, 3)
    1.099
    """
    scores = np.asarray(scores, dtype=np.float64)
    scores = scores - scores.max(axis=1, keepdims=True)
    right = np.arange(len(codes)), codes

    def log_loss(power: float) -> float:
        logs = log_softmax(np.exp(power) * scores, axis=1)
        return float(-(weights * logs[right]).sum() / weights.sum())

    found = minimize_scalar(log_loss, bounds=_RANGE, method="bounded")
    return float(np.exp(found.x))


def sample_weights(
    codes: npt.NDArray[np.integer], n_classes: int, class_weight: Any
) -> FloatArray:
    """Return the weight of each text; they add up to their number.

    Parameters
    ----------
    codes : ndarray of shape (n,)
        Class codes, 0 to n_classes - 1.
    n_classes : int
    class_weight : None or "balanced"
        As `RAEEClassifier` was given it. "balanced" gives every class that occurs
        the same weight in all.

    Returns
    -------
    ndarray of shape (n,)
    """
    if class_weight is None:
        return np.ones(len(codes))
    counts = np.bincount(codes, minlength=n_classes)
    share = len(codes) / np.count_nonzero(counts)
    weights: FloatArray = share / counts[codes]
    return weights


def weighted_accuracy(
    scores: npt.NDArray[np.floating],
    codes: npt.NDArray[np.integer],
    weights: FloatArray,
) -> FloatArray:
    """Return the weighted share of right answers.

    Parameters
    ----------
    scores : ndarray of shape (n, ..., C)
    codes : ndarray of shape (n,)
    weights : ndarray of shape (n,)

    Returns
    -------
    ndarray of shape (...)
    """
    best = scores.argmax(axis=-1)
    right = best == codes.reshape(-1, *[1] * (best.ndim - 1))
    return np.asarray(np.tensordot(weights / weights.sum(), right, axes=1))
