"""Distances of vectors, exact: in float64 and in difference form."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np

from skraee.retrieval.vectors import Float32Array, Float64Array, IntArray, KeyArray

Metric = Literal["sqeuclidean", "euclidean", "cosine"]

# Half a MiB of float64. The few arrays of this size then stay in a processor's cache:
# three times as fast as with 16 MiB, for keys of 32 to 1,024 numbers.
MAX_COORDINATES = 2**16


class Rows(Protocol):
    """Vectors of which some are asked for by their numbers."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of vectors and of their dimensions."""

    def __getitem__(self, numbers: IntArray, /) -> KeyArray: ...


def embed(vectors: KeyArray, metric: Metric) -> Float64Array:
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
    keys: Rows,
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
