"""Which stored keys are nearest to a query: an HNSW graph, and exact search beside it.

Both only propose candidates, in float32. Every distance that leaves this module is
computed anew from the stored keys in float64, in difference form: a stored key finds
itself at exactly 0, and a query gets the same answer alone and in any batch. hnswlib
is used in this module only.
"""

import threading
import warnings
from functools import cache
from typing import Any, Literal, Self, get_args

import joblib
import numpy as np
import numpy.typing as npt
from sklearn.utils import check_random_state

Metric = Literal["sqeuclidean", "euclidean", "cosine"]
Method = Literal["hnsw", "exact"]
FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
# Candidates: the row of a query and the number of a key, pair by pair.
Pairs = tuple[IntArray, IntArray]

MIN_RECALL = 0.99
MAX_PROBES = 256
MAX_QUERIES = 1_024
MAX_SCORES = 2**24  # 64 MiB of float32
MAX_COORDINATES = 2**21  # 16 MiB of float64


class NeighborIndex:
    """Find the nearest of a fixed set of keys.

    Parameters
    ----------
    keys : array-like of shape (n, d)
        Finite vectors; C-contiguous float32 is kept without a copy.
    metric : {"sqeuclidean", "euclidean", "cosine"}, default="sqeuclidean"
        The distance. Under "cosine" a zero vector is at distance 0 from a zero vector
        and at 1 from all others.
    method : {"hnsw", "exact"}, default="hnsw"
        "hnsw" walks a graph over the distinct keys (Malkov and Yashunin, 2018) and
        finds about 99 % of the true neighbours or more. "exact" finds all: choose it
        where a missed neighbour matters more than time. On 2 cores and 384 dimensions
        both took 0.14 s for 1,000 queries among 7,764 distinct keys, one query at a
        time 0.36 against 0.87 ms; building the graph took 2.3 s.
    n_jobs : int, default=None
        Threads that walk the graph, counted as joblib does; None is one.
    random_state : int, RandomState instance or None, default=0
        Seeds the graph: the same number gives the same neighbours.

    Examples
    --------
    >>> import numpy as np
    >>> from skraee.retrieval.neighbors import NeighborIndex
    >>> index = NeighborIndex(np.array([[0.0, 0.0], [3.0, 4.0]]), metric="euclidean")
    >>> index.search(np.array([[0.0, 0.0]]), k=2)
    (array([[0., 5.]]), array([[0, 1]]))
    """

    def __init__(
        self,
        keys: npt.ArrayLike,
        *,
        metric: Metric = "sqeuclidean",
        method: Method = "hnsw",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        _check_choice("metric", metric, get_args(Metric))
        _check_choice("method", method, get_args(Method))
        self.keys = check_keys(keys)
        self.metric = metric
        self.method = method
        self.n_jobs = n_jobs
        # Drawn once, so that an unpickled copy builds the same graph again.
        self.seed = int(check_random_state(random_state).randint(2**31 - 1))
        self._built: _Built | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.keys)

    def search(self, queries: npt.ArrayLike, k: int) -> tuple[FloatArray, IntArray]:
        """Find the k nearest keys of each query.

        Parameters
        ----------
        queries : array-like of shape (q, d)
            Finite vectors, compared as float32.
        k : int
            How many to find; all keys where there are fewer.

        Returns
        -------
        distances : ndarray of float64 of shape (q, min(k, n))
            Distances in the metric, ascending.
        indices : ndarray of int64 of shape (q, min(k, n))
            Rows of the keys, ascending where distances are equal.

        Raises
        ------
        ValueError
            If `k` is below 1, or the queries hold NaN or infinity, or have another
            number of dimensions than the keys.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        vectors = _finite_rows("queries", queries, n_dimensions=self.keys.shape[1])
        shape = len(vectors), min(k, len(self))
        distances, indices = np.empty(shape), np.empty(shape, dtype=np.int64)
        for batch in _batches(len(vectors), self._parts().proposer.max_queries):
            distances[batch], indices[batch] = self._search(vectors[batch], shape[1])
        return distances, indices

    def build(self, k: int) -> Self:
        """Build the graph now and choose how broadly a search for k keys walks it.

        Without it the first search does so; the graph is no part of a pickle.

        Parameters
        ----------
        k : int
            The k to expect.

        Returns
        -------
        self
        """
        self.search(self.keys[:1], k)
        return self

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_built": None, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"_lock": threading.Lock()})

    def _search(self, queries: Float32Array, k: int) -> tuple[FloatArray, IntArray]:
        built = self._parts()
        points = built.space.points(queries)
        rows, numbers = built.proposer.propose(points, min(k, len(built.copies.first)))
        keys = built.copies.first[numbers]
        distances = _distances(queries, rows, self.keys, keys, self.metric)
        return _k_best(
            *built.copies.expand(rows, numbers, distances, k), len(queries), k
        )

    def _parts(self) -> "_Built":
        with self._lock:
            if self._built is None:
                self._built = _Built(self)
            return self._built


class _Built:
    """What an index builds at its first search and never pickles."""

    def __init__(self, index: NeighborIndex) -> None:
        self.copies = _Copies(index.keys)
        distinct = index.keys[self.copies.first]
        self.space = _Space(distinct, index.metric)
        exact = _ExactProposer(self.space.points(distinct))
        self.proposer: _ExactProposer | _GraphProposer = exact
        if index.method == "hnsw" and _hnswlib():
            self.proposer = _GraphProposer(exact, index.n_jobs, index.seed)


class _Copies:
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
        self, rows: IntArray, numbers: IntArray, distances: FloatArray, k: int
    ) -> tuple[IntArray, FloatArray, IntArray]:
        """Turn each distinct key into the first k of its copies."""
        counts = np.minimum(self.counts[numbers], k)
        nth_copy = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
        keys = self.rows[np.repeat(self.starts[numbers], counts) + nth_copy]
        return np.repeat(rows, counts), np.repeat(distances, counts), keys


class _Space:
    """Float32 points whose Euclidean distances rank keys as the metric does.

    They are centred: the large mean that vectors of language models share would drown
    their differences in float32.
    """

    def __init__(self, keys: Float32Array, metric: Metric) -> None:
        self.metric = metric
        batches = _batches(len(keys), MAX_QUERIES)
        totals = [_embed(keys[rows], metric).sum(axis=0) for rows in batches]
        self.mean: FloatArray = np.sum(totals, axis=0) / len(keys)

    def points(self, vectors: Float32Array) -> Float32Array:
        n_extra = len(self.mean) - vectors.shape[1]
        points = np.pad(vectors, ((0, 0), (0, n_extra)))
        for rows in _batches(len(vectors), MAX_QUERIES):
            points[rows] = _embed(vectors[rows], self.metric) - self.mean
        return points


class _ExactProposer:
    """Proposes every point that may be among the k nearest, by a matrix product.

    |a - b|^2 = |a|^2 - 2 a.b + |b|^2 loses digits in float32, so a point is left out
    only where the bound on that loss rules it out.
    """

    def __init__(self, points: Float32Array) -> None:
        self.points = points
        self.squares = np.einsum("ij,ij->i", points, points, dtype=np.float64)
        self.max_queries = min(MAX_QUERIES, max(1, MAX_SCORES // len(points)))

    def propose(self, queries: Float32Array, k: int) -> Pairs:
        pairs = []
        with np.errstate(all="ignore"):  # scores may overflow, see below
            for batch in _batches(len(queries), self.max_queries):
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


class _GraphProposer:
    """Proposes what a walk through an HNSW graph meets near the query.

    A walk keeps the `breadth` nearest points that it has met. hnswlib takes the
    breadth from the larger of its `ef`, one setting for all threads, and the number
    of results; so here `ef` is never set and the number of results is the breadth.
    """

    max_queries = MAX_QUERIES

    def __init__(self, exact: _ExactProposer, n_jobs: int | None, seed: int) -> None:
        self.exact = exact
        self.n_jobs = n_jobs
        self.seed = seed
        self.graph = _hnswlib().Index("l2", exact.points.shape[1])
        self.graph.init_index(len(exact.points), random_seed=seed)
        # Several threads would insert in another order each time.
        self.graph.add_items(exact.points, num_threads=1)
        self.breadths: dict[int, int | None] = {}
        self._lock = threading.Lock()

    def propose(self, queries: Float32Array, k: int) -> Pairs:
        with self._lock:
            if k not in self.breadths:
                self.breadths[k] = self._choose_breadth(k)
        breadth = self.breadths[k]
        if breadth is None:
            return self.exact.propose(queries, k)
        return self._walk(queries, k, breadth)

    def _choose_breadth(self, k: int) -> int | None:
        """Find the least breadth with the recall wanted; None: search exactly."""
        points = self.exact.points
        chosen = np.random.default_rng(self.seed).permutation(len(points))[:MAX_PROBES]
        probes = points[chosen]
        farthest, _ = self._nearest(probes, self.exact.propose(probes, k), k)
        breadth = max(64, 4 * k)
        # A walk over a quarter of the points costs more than exact search.
        while breadth <= len(points) // 4:
            found, _ = self._nearest(probes, self._walk(probes, k, breadth), k)
            if np.mean(found <= farthest[:, -1:]) >= MIN_RECALL:
                return breadth
            breadth *= 2
        return None

    def _nearest(
        self, probes: Float32Array, pairs: Pairs, k: int
    ) -> tuple[FloatArray, IntArray]:
        rows, numbers = pairs
        distances = _distances(probes, rows, self.exact.points, numbers, "sqeuclidean")
        return _k_best(rows, distances, numbers, len(probes), k)

    def _walk(self, queries: Float32Array, k: int, breadth: int) -> Pairs:
        n_jobs = joblib.effective_n_jobs(self.n_jobs)
        try:
            numbers, squares = self.graph.knn_query(
                queries, breadth, num_threads=n_jobs
            )
        except RuntimeError:  # a walk met fewer points than the breadth
            return self._walk_alone(queries, k, breadth)
        # Ties at the k-th neighbour stay in, whatever float32 made of them.
        rows, columns = np.nonzero(squares <= squares[:, k - 1 : k] * np.float32(1.001))
        return rows, numbers[rows, columns].astype(np.int64)

    def _walk_alone(self, queries: Float32Array, k: int, breadth: int) -> Pairs:
        if len(queries) == 1:
            return self.exact.propose(queries, k)
        alone = [self._walk(query[None], k, breadth)[1] for query in queries]
        rows = np.repeat(np.arange(len(queries)), [len(numbers) for numbers in alone])
        return rows, np.concatenate(alone)


@cache
def _hnswlib() -> Any:
    """Import hnswlib; warn once and return None where that fails."""
    try:
        import hnswlib
    except ImportError as error:
        warnings.warn(
            f"hnswlib cannot be imported ({error}), so neighbours are searched "
            "exactly, which is slower on many keys; run `pip install hnswlib` (which "
            "needs a C++ compiler) or set index='exact'",
            UserWarning,
            stacklevel=2,
        )
        return None
    return hnswlib


def _embed(vectors: Float32Array, metric: Metric) -> FloatArray:
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


def _distances(
    queries: Float32Array,
    rows: IntArray,
    keys: Float32Array,
    numbers: IntArray,
    metric: Metric,
) -> FloatArray:
    """Compute the distance of each pair in float64, in difference form."""
    squares = np.empty(len(rows))
    size = max(1, MAX_COORDINATES // keys.shape[1])
    for part in _batches(len(rows), size):
        query, key = (
            _embed(queries[rows[part]], metric),
            _embed(keys[numbers[part]], metric),
        )
        squares[part] = np.square(query - key).sum(axis=1)
        if metric == "cosine":  # with a zero vector: 1, which rounding may miss
            squares[part][query[:, -1] != key[:, -1]] = 2.0
    if metric == "cosine":
        return squares / 2
    return np.sqrt(squares) if metric == "euclidean" else squares


def _k_best(
    rows: IntArray, distances: FloatArray, numbers: IntArray, n_rows: int, k: int
) -> tuple[FloatArray, IntArray]:
    """Sort each row's pairs by (distance, number) and keep the first k."""
    order = np.lexsort((numbers, distances, rows))
    starts = np.searchsorted(rows[order], np.arange(n_rows))
    best = order[starts[:, None] + np.arange(k)]
    return distances[best], numbers[best]


def _batches(n: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, n, size)]


def _finite_rows(
    name: str, values: npt.ArrayLike, n_dimensions: int | None = None
) -> Float32Array:
    with np.errstate(over="ignore"):  # what overflows float32 is refused below
        vectors = np.ascontiguousarray(values, dtype=np.float32)
    if vectors.ndim != 2 or n_dimensions not in (None, vectors.shape[1]):
        raise ValueError(
            f"{name} must have shape (n, {n_dimensions or 'd'}), got {vectors.shape}"
        )
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise ValueError(
            f"{name} must be finite in float32, but {len(bad)} of {len(vectors)} hold "
            f"NaN or infinity, the first at position {bad[0]}; leave these texts out "
            "or mend the encoder that made them"
        )
    return vectors


def check_keys(keys: npt.ArrayLike) -> Float32Array:
    """Return keys as finite, contiguous float32 rows.

    Parameters
    ----------
    keys : array-like of shape (n, d)

    Returns
    -------
    ndarray of float32 of shape (n, d)

    Raises
    ------
    ValueError
        If there are none, or if some hold NaN or infinity.
    """
    rows = _finite_rows("keys", keys)
    if rows.size == 0:
        raise ValueError(f"keys must not be empty, got shape {rows.shape}")
    return rows


def _check_choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
