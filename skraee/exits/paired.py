"""What one choice of exits loses against another on the same texts, and how surely.

Both choices answer the same texts, so only those count that one answers rightly and the
other wrongly. The bound on the difference is that of Tango's score test, which is made
for two shares of the same sample, holds where few texts differ or none, and needs no
draws.

Tango's test is that of "Equivalence test and confidence interval for the difference in
proportions for the paired-sample design", Statistics in Medicine 17, 1998.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from skraee.readout.weights import WeightedShare

BoolArray = npt.NDArray[np.bool_]
Float64Array = npt.NDArray[np.float64]

#: How sure a bound is, one-sided.
CONFIDENCE = 0.95

# Halvings of the interval in which a bound lies: to 1e-12.
_HALVINGS = 40


@dataclass(frozen=True, eq=False)
class Paired:
    """How the answers of some choices differ from those of a reference.

    Attributes
    ----------
    lost : ndarray of shape (L,)
        Weighted share of the texts that only the reference answers rightly.
    gained : ndarray of shape (L,)
        Of those that only the choice does.
    n_texts : float
        Texts of equal weight that would tell as much.
    """

    lost: Float64Array
    gained: Float64Array
    n_texts: float

    @classmethod
    def of(
        cls,
        answers: BoolArray,
        reference: BoolArray,
        weights: Float64Array,
    ) -> Self:
        """Compare choices with a reference.

        Parameters
        ----------
        answers : ndarray of bool of shape (L, n)
            Whether each choice answers each text rightly.
        reference : ndarray of bool of shape (n,)
            Whether the reference does.
        weights : ndarray of shape (n,)
            Of the texts, at least 0.
        """
        share = WeightedShare(weights)
        lost = share((reference & ~answers).T)
        gained = share((answers & ~reference).T)
        n_texts = float(weights.sum() ** 2 / (weights**2).sum())
        return cls(lost, gained, n_texts)

    @property
    def loss(self) -> Float64Array:
        """Accuracy of the reference less that of each choice (L,)."""
        return self.lost - self.gained

    def loss_bound(self) -> Float64Array:
        """Return what each choice loses at the most (L,), with 95 % confidence.

        Examples
        --------
        >>> import numpy as np
        >>> from skraee.exits.paired import Paired
        >>> nothing_differs = Paired(np.zeros(1), np.zeros(1), 300)
        >>> print(nothing_differs.loss_bound().round(4))
        [0.0089]
        """
        low, high = self.loss, np.ones_like(self.loss)
        z = norm.ppf(CONFIDENCE)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            refuted = self._score(middle) <= -z  # so large a loss is ruled out
            low, high = np.where(refuted, low, middle), np.where(refuted, middle, high)
        return high

    def is_surely_worse(self) -> BoolArray:
        """Say of which choices it is 95 % sure that they lose anything (L,)."""
        found: BoolArray = self._score(np.zeros_like(self.loss)) >= norm.ppf(CONFIDENCE)
        return found

    def _score(self, loss: Float64Array) -> Float64Array:
        """Return how far above a loss the seen one is, in standard errors under it."""
        differing = self.lost + self.gained
        # The likeliest share of gains, if the loss were this one.
        b = 2 * loss - loss * self.loss - differing
        c = -self.gained * loss * (1 - loss)
        gains = (np.sqrt(np.maximum(b**2 - 8 * c, 0)) - b) / 4
        variance = np.maximum(2 * gains + loss * (1 - loss), 0)
        above = self.loss - loss
        error = np.sqrt(variance / self.n_texts)
        return np.divide(above, error, out=np.zeros_like(above), where=error > 0)


def fewest_texts(max_loss: float) -> int:
    """Return how many texts it takes to see that a choice that loses nothing does.

    Parameters
    ----------
    max_loss : float
        Above 0.

    Examples
    --------
    >>> from skraee.exits.paired import fewest_texts
    >>> fewest_texts(0.01), fewest_texts(0.05)
    (268, 52)
    """
    z = norm.ppf(CONFIDENCE)
    return int(np.ceil(z**2 * (1 - max_loss) / max_loss))
