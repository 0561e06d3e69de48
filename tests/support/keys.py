"""Keys to search among, as no model made them, and what an index does with them."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

METRICS = ["sqeuclidean", "euclidean", "cosine"]
METHODS = ["exact", "hnsw"]


def mixture(
    n: int,
    *,
    n_queries: int = 0,
    d: int = 384,
    rank: int = 64,
    centres: int = 200,
    copies: float = 0.3,
    seed: int = 0,
) -> tuple[Any, Any]:
    """Draw keys with exact copies among them, and queries from the same mixture."""
    rng = np.random.default_rng(seed)
    basis = rng.normal(size=(rank, d)) / np.sqrt(rank)
    means = rng.normal(size=(centres, rank))
    which = rng.integers(centres, size=n + n_queries)
    points = means[which] + 0.5 * rng.normal(size=(n + n_queries, rank))
    vectors = (points @ basis).astype(np.float32)
    keys, queries = vectors[:n], vectors[n:]
    copied = rng.permutation(n)[: int(copies * n)]
    keys[copied] = keys[rng.integers(n, size=len(copied))]
    return keys, queries


def parts_of(index: Any) -> Any:
    """What an index builds at its first search; no result shows how it was found."""
    return index._parts()


def graph_of(index: Any) -> Any:
    return parts_of(index).proposer


class Plain:
    """Compares all points, as the methods of `SearchIndex` are told to."""

    filled: ClassVar[list[Any]] = []

    def add(self, keys: Any) -> None:
        parts = [keys[start : start + 100] for start in range(0, len(keys), 100)]
        self.points = np.concatenate(parts)
        assert self.points.shape == keys.shape
        np.testing.assert_array_equal(np.asarray(keys), self.points)
        assert self.points.dtype == np.float32
        self.calls: list[Any] = ["add"]
        self.filled.append(self)

    def save(self) -> None:
        self.calls.append("save")

    def search(self, queries: Any, k: int) -> Any:
        self.calls.append(k)
        squares = ((queries[:, None] - self.points) ** 2).sum(axis=2)
        positions = squares.argsort(axis=1)[:, :k]
        return np.take_along_axis(squares, positions, axis=1), positions
