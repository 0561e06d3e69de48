"""Exact search: the candidates that no rounding can hide.

They come from float32 matrix products.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from skraee.retrieval.distances import Metric, batches, embed
from skraee.retrieval.vectors import Float32Array, Float64Array, IntArray

# Candidates: the row of a query and the number of a key, pair by pair.
Pairs = tuple[IntArray, IntArray]

MAX_QUERIES = 1_024
MAX_SCORES = 2**24  # 64 MiB of float32


class Copies:
    """The distinct keys, numbered as they first appear, and the rows that hold them.

    Many copies of one key cut a graph to pieces, and whichever of them a search met
    would be its neighbours; so only distinct keys are searched.
    """

    def __init__(self, keys: Float32Array) -> None:
        # As bytes -0.0 is not 0.0; the sum makes it so.
        as_bytes = (keys + np.float32(0)).view(f"V{4 * keys.shape[1]}")[:, 0]
        _, first, group = np.unique(as_bytes, return_index=True, return_inverse=True)
        number = first.argsort().argsort()[group]
        self.first = np.sort(first)
        self.rows = np.argsort(number, kind="stable")
        self.counts = np.bincount(number)
        self.starts = np.cumsum(self.counts) - self.counts

    def expand(
        self, rows: IntArray, numbers: IntArray, distances: Float64Array, k: int
    ) -> tuple[IntArray, Float64Array, IntArray]:
        """Turn each distinct key into the first k of its copies."""
        counts = np.minimum(self.counts[numbers], k)
        nth_copy = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
        keys = self.rows[np.repeat(self.starts[numbers], counts) + nth_copy]
        return np.repeat(rows, counts), np.repeat(distances, counts), keys


class Space:
    """Float32 points whose Euclidean distances rank keys as the metric does.

    They are centred: the large mean that vectors of language models share would drown
    their differences in float32.
    """

    def __init__(self, keys: Float32Array, metric: Metric) -> None:
        self.metric = metric
        parts = batches(len(keys), MAX_QUERIES)
        totals = [embed(keys[rows], metric).sum(axis=0) for rows in parts]
        self.mean: Float64Array = np.sum(totals, axis=0) / len(keys)

    def points(self, vectors: Float32Array) -> Float32Array:
        """Return the points of vectors (n, d)."""
        n_extra = len(self.mean) - vectors.shape[1]
        points = np.pad(vectors, ((0, 0), (0, n_extra)))
        for rows in batches(len(vectors), MAX_QUERIES):
            points[rows] = embed(vectors[rows], self.metric) - self.mean
        return points


class ExactProposer:
    """Proposes every point that may be among the k nearest, by a matrix product.

    |a - b|^2 = |a|^2 - 2 a.b + |b|^2 loses digits in float32, so a point is left out
    only where the bound on that loss rules it out.
    """

    def __init__(self, points: Float32Array) -> None:
        self.points = points
        self.squares = np.einsum("ij,ij->i", points, points, dtype=np.float64)
        self.max_queries = min(MAX_QUERIES, max(1, MAX_SCORES // len(points)))

    def propose(self, queries: Float32Array, k: int) -> Pairs:
        """Return the candidates for the k nearest points of each query."""
        pairs = []
        with np.errstate(all="ignore"):  # scores may overflow, see below
            for batch in batches(len(queries), self.max_queries):
                pair = np.argwhere(self._candidates(queries[batch], k))
                pairs.append(pair + np.array([batch.start, 0]))
        rows, numbers = np.concatenate(pairs).T
        return rows, numbers

    def _candidates(self, queries: Float32Array, k: int) -> npt.NDArray[np.bool_]:
        # s_j = |a_j|^2 - 2 a_j.b is wrong by at most e (|a_j|^2 + |b|^2). The k-th
        # smallest upper bound is no nearer than the k-th neighbour, so a neighbour's
        # lower bound is not above it; e |b|^2 is added once, for both bounds.
        dimensions = queries.shape[1]
        e = (dimensions + 32) * np.finfo(np.float32).eps / 2
        underflow = 4 * dimensions * np.finfo(np.float32).tiny
        bounds = queries @ self.points.T
        bounds *= -2
        bounds += ((1 + e) * self.squares).astype(np.float32)
        limit = np.partition(bounds, k - 1, axis=1)[:, k - 1].astype(np.float64)
        limit += 2 * e * np.square(queries, dtype=np.float64).sum(axis=1) + underflow
        bounds -= (2 * e * self.squares).astype(np.float32)
        # Not <=: where a score has overflowed to NaN, nothing is ruled out.
        return ~(bounds > limit.astype(np.float32)[:, None])
