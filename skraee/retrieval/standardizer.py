"""Keys of one depth, brought to one scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from skraee.exceptions import BackboneChangedError
from skraee.retrieval.vectors import (
    Float32Array,
    KeyArray,
    parts_of,
    refuse_other_width,
)


@dataclass(frozen=True)
class Standardizer:
    """Brings states of one depth to mean 0 and deviation 1.

    Attributes
    ----------
    mean, variance : ndarray of shape (H,), float64
        Of the training keys.
    count : int
        How many there were.
    """

    mean: npt.NDArray[np.float64]
    variance: npt.NDArray[np.float64]
    count: int

    @classmethod
    def fit(cls, keys: Float32Array) -> Self:
        """Take mean and variance of training keys (n, H)."""
        # In float64 all keys at once would take thrice as much as they do.
        parts = parts_of(keys)
        sums = [keys[part].astype(np.float64).sum(axis=0) for part in parts]
        mean = np.sum(sums, axis=0) / len(keys)
        squares = [np.square(keys[part] - mean).sum(axis=0) for part in parts]
        return cls(mean, np.sum(squares, axis=0) / len(keys), len(keys))

    @property
    def scale(self) -> npt.NDArray[np.float64]:
        """Deviation of each component; 1 where it is constant but for rounding."""
        deviation = np.sqrt(self.variance)
        return np.where(deviation > 1e-6 * np.abs(self.mean).max(), deviation, 1.0)

    def joined(self, other: Self) -> Self:
        """Return mean and variance of two sets of keys together (Chan et al.)."""
        count = self.count + other.count
        share = other.count / count
        gap = other.mean - self.mean
        variance = (1 - share) * self.variance + share * other.variance
        variance += share * (1 - share) * gap**2
        return type(self)(self.mean + share * gap, variance, count)

    def __call__(self, keys: Float32Array) -> Float32Array:
        """Standardise keys (n, H)."""
        refuse_other_width(keys, len(self.mean))
        scaled, scale = np.empty(keys.shape, dtype=np.float32), self.scale
        with np.errstate(over="ignore"):
            for part in parts_of(keys):
                scaled[part] = (keys[part] - self.mean) / scale
        if np.isfinite(keys).all() and not np.isfinite(scaled).all():
            raise BackboneChangedError(
                f"keys of new texts reach {np.abs(keys).max():.3g}, too large for the "
                "scale of those of fit, so what makes them is another than it was; "
                "fetch it as it was, or fit again."
            )
        return scaled

    def undo(self, keys: KeyArray) -> Float32Array:
        """Return standardised keys (n, H) to what they were."""
        undone, scale = np.empty(keys.shape, dtype=np.float32), self.scale
        for part in parts_of(keys):
            undone[part] = keys[part] * scale + self.mean
        return undone
