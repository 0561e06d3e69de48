"""Exact search: the candidates that no rounding can hide.

They come from float32 matrix products over parts of the points, which need be neither
in memory at once nor scored for more than a few queries at a time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from skraee.retrieval.distances import batches
from skraee.retrieval.points import Points
from skraee.retrieval.vectors import Float32Array, Float64Array, IntArray

# Candidates: the row of a query and the number of a key, pair by pair.
Pairs = tuple[IntArray, IntArray]

MAX_QUERIES = 1_024
MAX_SCORES = 2**24  # 64 MiB of float32
MAX_PAIRS = 2**26
LEAST_QUERIES = 16


class ExactProposer:
    """Proposes every point that may be among the k nearest, by a matrix product.

    |a - b|^2 = |a|^2 - 2 a.b + |b|^2 loses digits in float32, so a point is left out
    only where the bound on that loss rules it out.
    """

    def __init__(self, points: Points) -> None:
        self.points = points
        squares = [_squares(points[part]) for part in points.parts(MAX_QUERIES)]
        self.squares = np.concatenate(squares)
        # Where scores overflow every pair is a candidate, so that few go at a time.
        most = max(MAX_PAIRS // len(points), LEAST_QUERIES)
        self.max_queries = min(MAX_QUERIES, most)

    def propose(self, queries: Float32Array, k: int) -> Pairs:
        """Return the candidates for the k nearest points of each query."""
        pairs = []
        with np.errstate(all="ignore"):  # scores may overflow, see below
            for batch in batches(len(queries), self.max_queries):
                rows, numbers = self._candidates(queries[batch], k)
                pairs.append((rows + batch.start, numbers))
        all_rows, all_numbers = zip(*pairs, strict=True)
        return np.concatenate(all_rows), np.concatenate(all_numbers)

    def _candidates(self, queries: Float32Array, k: int) -> Pairs:
        # s_j = |a_j|^2 - 2 a_j.b is wrong by at most e (|a_j|^2 + |b|^2). The k-th
        # smallest upper bound is no nearer than the k-th neighbour, so a neighbour's
        # lower bound is not above it; e |b|^2 is added once, for both bounds.
        dimensions = queries.shape[1]
        e = (dimensions + 32) * np.finfo(np.float32).eps / 2
        underflow = 4 * dimensions * np.finfo(np.float32).tiny
        slack = 2 * e * np.square(queries, dtype=np.float64).sum(axis=1) + underflow
        nearest = np.full((len(queries), k), np.inf, dtype=np.float32)
        found = []
        for part in self.points.parts(MAX_SCORES // len(queries)):
            squares = self.squares[part]
            bounds = queries @ self.points[part].T
            bounds *= -2
            bounds += ((1 + e) * squares).astype(np.float32)
            nearest = _smallest(np.hstack([nearest, _smallest(bounds, k)]), k)
            limit = _limit(nearest, slack)
            bounds -= (2 * e * squares).astype(np.float32)
            rows, columns = np.nonzero(_may_be_within(bounds, limit[:, None]))
            found.append((rows, columns + part.start, bounds[rows, columns]))
        rows, numbers, lower = map(np.concatenate, zip(*found, strict=True))
        within = _may_be_within(lower, limit[rows])  # the limit of all parts
        return rows[within], numbers[within]


def _squares(points: Float32Array) -> Float64Array:
    squares: Float64Array = np.einsum("ij,ij->i", points, points, dtype=np.float64)
    return squares


def _smallest(scores: Float32Array, k: int) -> Float32Array:
    """Return the k smallest of each row, or all where there are fewer; NaN is last."""
    if scores.shape[1] <= k:
        return scores
    return np.partition(scores, k - 1, axis=1)[:, :k]


def _limit(nearest: Float32Array, slack: Float64Array) -> Float32Array:
    limit = np.partition(nearest, -1, axis=1)[:, -1].astype(np.float64) + slack
    return limit.astype(np.float32)


def _may_be_within(bounds: Float32Array, limit: Float32Array) -> npt.NDArray[np.bool_]:
    # Not <=: where a score has overflowed to NaN, nothing is ruled out.
    return ~(bounds > limit)
