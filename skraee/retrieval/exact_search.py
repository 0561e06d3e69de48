"""Exact search: the candidates that no rounding can hide, and exact distances.

Candidates come from float32 matrix products; every distance that leaves this package
is computed anew in float64, in difference form.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Metric = Literal["sqeuclidean", "euclidean", "cosine"]
Float64Array = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
# Candidates: the row of a query and the number of a key, pair by pair.
Pairs = tuple[IntArray, IntArray]

MAX_QUERIES = 1_024
MAX_SCORES = 2**24  # 64 MiB of float32
# Half a MiB of float64. The few arrays of this size then stay in a processor's cache:
# three times as fast as with 16 MiB, for keys of 32 to 1,024 numbers.
MAX_COORDINATES = 2**16


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


def embed(vectors: Float32Array, metric: Metric) -> Float64Array:
    """Map vectors to where half the squared distance is the cosine distance.

    That is their unit vectors, with one more coordinate in which the zero vector is 1
    and all others 0. The Euclidean metrics need no such map.
    """
    embedded = vectors.astype(np.float64)
    if metric != "cosine":
        return embedded
    norms = np.sqrt(np.square(embedded).sum(axis=1, keepdims=True))
    is_zero = norms == 0
    return np.hstack([embedded / np.where(is_zero, 1.0, norms), is_zero])


def pair_distances(
    queries: Float32Array,
    rows: IntArray,
    keys: Float32Array,
    numbers: IntArray,
    metric: Metric,
) -> Float64Array:
    """Compute the distance of each pair in float64, in difference form."""
    squares = np.empty(len(rows))
    size = max(1, MAX_COORDINATES // keys.shape[1])
    for part in batches(len(rows), size):
        query, key = (
            embed(queries[rows[part]], metric),
            embed(keys[numbers[part]], metric),
        )
        squares[part] = np.square(query - key).sum(axis=1)
        if metric == "cosine":  # with a zero vector: 1, which rounding may miss
            squares[part][query[:, -1] != key[:, -1]] = 2.0
    if metric == "cosine":
        return squares / 2
    return np.sqrt(squares) if metric == "euclidean" else squares


def k_best(
    rows: IntArray, distances: Float64Array, numbers: IntArray, n_rows: int, k: int
) -> tuple[Float64Array, IntArray]:
    """Sort each row's pairs by (distance, number) and keep the first k."""
    order = np.lexsort((numbers, distances, rows))
    starts = np.searchsorted(rows[order], np.arange(n_rows))
    best = order[starts[:, None] + np.arange(k)]
    return distances[best], numbers[best]


def batches(n: int, size: int) -> list[slice]:
    """Cut n rows into slices of at most `size`."""
    return [slice(start, start + size) for start in range(0, n, size)]
