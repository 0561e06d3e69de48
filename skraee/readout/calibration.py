"""Scores to probabilities that mean what they say: one temperature per depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

Float64Array = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]

# A standard normal prior of a temperature's logarithm. Without one a depth that answers
# all of a few texts rightly, or says the same of all, would be sharpened a
# thousandfold: to answers of 0 and 1, or to what is rounding.
_PULL = 1.0

# Sharpest and flattest softmax that is considered, as powers of e.
_RANGE = (-7.0, 7.0)


def fit_inverse_temperature(
    scores: npt.NDArray[np.floating],
    codes: npt.NDArray[np.integer],
    weights: Float64Array,
    pull: float = 0.0,
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
    pull : float, default=0.0
        How strongly it is held near 1: half the square of its logarithm, times this,
        is added to the log-loss of all texts.

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
        held = pull * power**2 / 2
        return float((held - (weights * logs[right]).sum()) / weights.sum())

    found = minimize_scalar(log_loss, bounds=_RANGE, method="bounded")
    return float(np.exp(found.x))


@dataclass(frozen=True, eq=False)
class Calibration:
    """What label words' logits are divided by at every depth.

    Attributes
    ----------
    temperatures : ndarray of shape (m + 1,)
        Above 0: the order of the classes stays.
    logits : ndarray of shape (n, m + 1, C), float32, or None
        Of the texts that they were fitted on, to fit them again with more; None where
        that will not be.
    """

    temperatures: Float64Array
    logits: Float32Array | None = None

    @classmethod
    def fit(
        cls,
        logits: Float32Array,
        codes: npt.NDArray[np.integer],
        weights: Float64Array,
    ) -> Self:
        """Find the temperature of every depth for the least log-loss, held near 1.

        Parameters
        ----------
        logits : ndarray of shape (n, m + 1, C)
        codes : ndarray of shape (n,)
            The right columns.
        weights : ndarray of shape (n,)
            Of the texts.
        """
        inverse = [
            fit_inverse_temperature(logits[:, depth], codes, weights, _PULL)
            for depth in range(logits.shape[1])
        ]
        return cls(1.0 / np.array(inverse), logits)

    def scores(self, logits: Float32Array) -> Float32Array:
        """Divide the logits (n, m + 1, C) of every depth, counted from the largest."""
        return _divided(logits, self.temperatures)

    def scores_at(
        self, logits: Float32Array, depths: npt.NDArray[np.integer]
    ) -> Float32Array:
        """Divide logits (n, C), each of a text at a depth of its own, like `scores`."""
        return _divided(logits, self.temperatures[depths])


def _divided(logits: Float32Array, temperatures: Float64Array) -> Float32Array:
    # From the largest: of large numbers float32 would round what tells them apart.
    below: Float32Array = logits - logits.max(axis=-1, keepdims=True)
    below /= temperatures.astype(np.float32)[:, None]
    return below
