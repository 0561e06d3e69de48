"""Approximate search: the candidates that a walk through an HNSW graph meets.

hnswlib is used in this module only.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import joblib
import numpy as np

from skraee.exceptions import warn_user
from skraee.retrieval.distances import k_best, pair_distances
from skraee.retrieval.exact_search import MAX_QUERIES, ExactProposer, Pairs
from skraee.retrieval.points import Points
from skraee.retrieval.vectors import Float32Array, Float64Array, IntArray
from skraee.threads.locks import fork_safe_lock

MIN_RECALL = 0.99
MAX_PROBES = 256
MAX_BREADTH = 2**14


class Graph:
    """An HNSW graph that may grow while smaller indexes still search it."""

    def __init__(self, n_dimensions: int, n_points: int, seed: int) -> None:
        self._graph = import_hnswlib().Index("l2", n_dimensions)
        self._graph.init_index(n_points, random_seed=seed)
        self._lock = fork_safe_lock(self._forget)
        self.is_lost = False  # another thread was in it at a fork

    def hold(self, points: Points) -> None:
        """Insert the points that are not there yet; the first ones are."""
        with self._lock:
            n_held = self._graph.get_current_count()
            if len(points) > self._graph.get_max_elements():
                self._graph.resize_index(max(len(points), 2 * n_held))
            for part in points.parts(MAX_QUERIES, start=n_held):
                # Several threads would insert in another order each time.
                self._graph.add_items(points[part], num_threads=1)

    @property
    def n_points(self) -> int:
        """How many points it holds."""
        return int(self._graph.get_current_count())

    @property
    def n_bytes(self) -> int:
        """Bytes that it would take as a file, with the points in it."""
        return int(self._graph.index_file_size())

    def walk(
        self, queries: Float32Array, breadth: int, n_jobs: int
    ) -> tuple[IntArray, Float32Array]:
        """Return the nearest points met, their numbers and squared distances."""
        with self._lock:
            numbers, squares = self._graph.knn_query(
                queries, breadth, num_threads=n_jobs
            )
        return numbers.astype(np.int64), squares

    def _forget(self) -> None:
        # hnswlib has locks of its own, and they may be taken for ever.
        self.is_lost = True


class GraphProposer:
    """Proposes what a walk through an HNSW graph meets near the query.

    A walk keeps the `breadth` nearest points that it has met. hnswlib takes the
    breadth from the larger of its `ef`, one setting for all threads, and the number
    of results; so here `ef` is never set and the number of results is the breadth.
    """

    max_queries = MAX_QUERIES
    margin = 0.0  # of the recall of probes

    def __init__(
        self,
        exact: ExactProposer,
        n_jobs: int | None,
        seed: int,
        graph: Graph | None = None,
    ) -> None:
        self.exact = exact
        self.n_jobs = n_jobs
        self.seed = seed
        n_points, n_dimensions = exact.points.shape
        self.graph = graph or Graph(n_dimensions, n_points, seed)
        self.graph.hold(exact.points)
        self.breadths: dict[int, int | None] = {}
        self._lock = fork_safe_lock(self._forget)

    def propose(self, queries: Float32Array, k: int) -> Pairs:
        """Return the candidates for the k nearest points of each query."""
        with self._lock:
            if k not in self.breadths:
                self.breadths[k] = self._choose_breadth(k)
        breadth = self.breadths[k]
        if breadth is None:
            return self.exact.propose(queries, k)
        return self._walk(queries, k, breadth)

    def _forget(self) -> None:
        self.breadths.clear()

    def _choose_breadth(self, k: int) -> int | None:
        """Find the least breadth with the recall wanted; None: search exactly."""
        points = self.exact.points
        chosen = np.random.default_rng(self.seed).permutation(len(points))[:MAX_PROBES]
        probes = points[chosen]
        farthest, _ = self._nearest(probes, self.exact.propose(probes, k), k)
        breadth = max(64, 4 * k)
        # A walk over a quarter of the points costs more than exact search, and so does
        # one that keeps very many: it looks at the neighbours of all of them.
        while breadth <= min(len(points) // 4, MAX_BREADTH):
            recall = self._recall(probes, farthest[:, -1], k, breadth)
            if recall >= MIN_RECALL + self.margin:
                return breadth
            breadth *= 2
        return None

    def _recall(
        self, probes: Float32Array, farthest: Float64Array, k: int, breadth: int
    ) -> float:
        """Return the share of the k nearest, up to the farthest, that a walk finds."""
        found, _ = self._nearest(probes, self._walk(probes, k, breadth), k)
        return float(np.mean(found <= farthest[:, None]))

    def _nearest(
        self, probes: Float32Array, pairs: Pairs, k: int
    ) -> tuple[Float64Array, IntArray]:
        rows, numbers = pairs
        distances = pair_distances(
            probes, rows, self.exact.points, numbers, "sqeuclidean"
        )
        return k_best(rows, distances, numbers, len(probes), k)

    def _walk(self, queries: Float32Array, k: int, breadth: int) -> Pairs:
        n_jobs = joblib.effective_n_jobs(self.n_jobs)
        try:
            numbers, squares = self.graph.walk(queries, breadth, n_jobs)
        except RuntimeError:  # a walk met fewer points than the breadth
            return self._walk_alone(queries, k, breadth)
        # Points that the graph got for a larger index are none of this one.
        squares = np.where(numbers < len(self.exact.points), squares, np.inf)
        kth = np.partition(squares, k - 1, axis=1)[:, k - 1 : k]
        if not np.isfinite(kth).all():
            return self._walk_alone(queries, k, breadth)
        # Ties at the k-th neighbour stay in, whatever float32 made of them.
        rows, columns = np.nonzero(squares <= kth * np.float32(1.001))
        return rows, numbers[rows, columns]

    def _walk_alone(self, queries: Float32Array, k: int, breadth: int) -> Pairs:
        if len(queries) == 1:
            return self.exact.propose(queries, k)
        alone = [self._walk(query[None], k, breadth)[1] for query in queries]
        rows = np.repeat(np.arange(len(queries)), [len(numbers) for numbers in alone])
        return rows, np.concatenate(alone)


@cache
def import_hnswlib() -> Any:
    """Import hnswlib; warn once and return None where that fails."""
    try:
        import hnswlib
    except ImportError as error:
        warn_user(
            f"hnswlib cannot be imported ({error}), so neighbours are searched "
            "exactly, which is slower on many keys; run `pip install hnswlib` (which "
            "needs a C++ compiler) or set index='exact'.",
            UserWarning,
        )
        return None
    return hnswlib
