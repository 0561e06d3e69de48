"""Scores to probabilities that mean what they say: one temperature per depth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

Float64Array = npt.NDArray[np.float64]

# Sharpest and flattest softmax that is considered, as powers of e.
_RANGE = (-7.0, 7.0)


def fit_inverse_temperature(
    scores: npt.NDArray[np.floating],
    codes: npt.NDArray[np.integer],
    weights: Float64Array,
) -> float:
    """Find the inverse temperature of a softmax for the least log-loss.

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
    >>> from skraee.readout.calibration import fit_inverse_temperature
    >>> scores = np.array([[9.0, 0.0], [9.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    >>> codes, weights = np.array([0, 0, 1, 1]), np.ones(4)
    >>> round(9 * fit_inverse_temperature(scores, codes, weights), 3)
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
