"""Keys as points whose Euclidean distances rank them as the metric does."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from skraee.retrieval.distances import Metric, batches, embed
from skraee.retrieval.vectors import Float32Array, Float64Array, IntArray, KeyArray

# Rows that are embedded in one go, in float64.
_AT_ONCE = 1_024

# Numbers of points that are held, 256 MiB of float32: beyond it a second copy of all
# keys would double what a database takes, and hides that they are in a file.
MOST_HELD = 2**26

# Numbers of points that are made in one go where they are not held: 4 MiB, which stay
# in a processor's cache until they are multiplied.
MADE_AT_ONCE = 2**20


class Space:
    """Float32 points whose Euclidean distances rank keys as the metric does.

    They are centred: the large mean that vectors of language models share would drown
    their differences in float32.

    Parameters
    ----------
    keys : ndarray of shape (n, d)
    first : ndarray of shape (m,)
        Rows of the distinct keys.
    metric : str
    """

    def __init__(self, keys: KeyArray, first: IntArray, metric: Metric) -> None:
        self.metric = metric
        parts = batches(len(first), _AT_ONCE)
        totals = [embed(keys[first[rows]], metric).sum(axis=0) for rows in parts]
        self.mean: Float64Array = np.sum(totals, axis=0) / len(first)

    def points(self, vectors: KeyArray) -> Float32Array:
        """Return the points of vectors (n, d)."""
        if self.metric != "cosine":
            # Any origin will do, so its own rounding does no harm.
            with np.errstate(over="ignore"):
                origin = self.mean.astype(np.float32)
                centred: Float32Array = np.subtract(vectors, origin, dtype=np.float32)
            return centred
        points = np.empty((len(vectors), len(self.mean)), dtype=np.float32)
        for rows in batches(len(vectors), _AT_ONCE):
            points[rows] = embed(vectors[rows], self.metric) - self.mean
        return points


class Points:
    """The points of the distinct keys: few are held, many are made when asked for.

    Parameters
    ----------
    space : Space
    keys : ndarray of shape (n, d)
    first : ndarray of shape (m,)
        Rows of the distinct keys, ascending.

    Attributes
    ----------
    shape : tuple of int
        Number of points and of their dimensions.
    """

    def __init__(self, space: Space, keys: KeyArray, first: IntArray) -> None:
        self.shape = len(first), len(space.mean)
        self._space = space
        self._keys = keys
        self._first = None if len(first) == len(keys) else first
        self._held: Float32Array | None = None
        if prod(self.shape) <= MOST_HELD:
            self._held = self[:]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, numbers: IntArray | slice) -> Float32Array:
        if self._held is not None:
            return self._held[numbers]
        rows = numbers if self._first is None else self._first[numbers]
        return self._space.points(self._keys[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """Return all points, for what takes no slices."""
        return np.asarray(self[:], dtype=dtype)

    def parts(self, most: int, start: int = 0) -> list[slice]:
        """Cut the points from a number on into slices of at most `most`."""
        if self._held is None:
            most = min(most, max(1, MADE_AT_ONCE // self.shape[1]))
        cut = batches(len(self) - start, max(1, most))
        return [slice(start + part.start, start + part.stop) for part in cut]
