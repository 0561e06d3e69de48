"""Search by an object that the user gives, such as a vector database.

Like a graph it only proposes candidates: how many it is asked for is chosen by probes
with exact search, and every distance is computed anew from the stored keys.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from skraee.retrieval.distances import pair_distances
from skraee.retrieval.exact_search import ExactProposer, Pairs
from skraee.retrieval.graph_search import GraphProposer
from skraee.retrieval.points import Points
from skraee.retrieval.vectors import Float32Array, Float64Array, IntArray

_METHODS = ("add", "search", "save")
# Positions that are asked for at a time.
_AT_ONCE = 2**20


class SearchIndex(Protocol):
    """What ``index=`` takes beside its names: an object that finds near points.

    It is given as it is made, empty, and copied (`copy.deepcopy`) for every set of keys
    that is searched, so that it must be cheap to copy and to pickle: where a server or
    a folder is, and not what is in it. Whatever the estimator's metric, it is asked for
    Euclidean neighbours: points are made so that these are the metric's.

    See Also
    --------
    skraee.retrieval.lance_index.LanceIndex : One for LanceDB.

    Examples
    --------
    >>> import numpy as np
    >>> from skraee.retrieval.neighbors import NeighborIndex
    >>> class Plain:
    ...     def add(self, keys):
    ...         self.keys = np.asarray(keys)
    ...     def search(self, queries, k):
    ...         distances = np.square(queries[:, None] - self.keys).sum(axis=2)
    ...         positions = distances.argsort(axis=1)[:, :k]
    ...         return np.take_along_axis(distances, positions, axis=1), positions
    ...     def save(self):
    ...         pass
    >>> index = NeighborIndex([[0.0, 0.0], [3.0, 4.0]], method=Plain())
    >>> index.search([[3.0, 3.0]], k=1)
    (array([[1.]]), array([[1]]))
    """

    def add(self, keys: Any) -> None:
        """Take all points; called once, before anything else.

        Parameters
        ----------
        keys : array-like of shape (n, d)
            Of float32, no two alike. It has `shape` and `len`, and is to be read in
            slices, ``keys[:4096]``: points of a large database are made while they are
            read. ``numpy.asarray(keys)`` brings all of them into memory.
        """

    def search(
        self, queries: npt.NDArray[np.float32], k: int
    ) -> tuple[npt.ArrayLike, npt.ArrayLike]:
        """Find points near to queries; several threads may do so at once.

        Parameters
        ----------
        queries : ndarray of float32 of shape (q, d)
        k : int
            How many to find of each; for more of them it may look farther around.

        Returns
        -------
        distances : array-like of shape (q, k)
            As the index has them. Only whether they are finite is looked at.
        positions : array-like of int of shape (q, k)
            Places in the order of `add`; -1 where no more were found.
        """

    def save(self) -> None:
        """Make ready what was added, and durable where it is to outlive the process.

        Called once, after `add`. An estimator's pickle or file holds the keys and not
        the index, so that a later process calls `add` with the same points again: find
        them there, or take them anew.
        """


def is_search_index(value: Any) -> bool:
    """Whether an object has the methods of `SearchIndex`."""
    is_class = isinstance(value, type)
    return not is_class and all(callable(getattr(value, m, None)) for m in _METHODS)


class OuterGraph:
    """An object of the user's, filled, in the place of a graph."""

    is_lost = False
    n_bytes = 0  # none of this process's that would be known

    def __init__(self, empty: SearchIndex) -> None:
        self._name = type(empty).__name__
        self._index = deepcopy(empty)
        self._n_points = 0

    def hold(self, points: Points) -> None:
        """Fill the object with all points."""
        self._index.add(points)
        self._index.save()
        self._n_points = len(points)

    def walk(self, queries: Float32Array, k: int) -> IntArray:
        """Return positions of shape (q, k); -1 where none was found."""
        found = np.full((len(queries), k), -1, dtype=np.int64)
        size = max(1, _AT_ONCE // k)
        for start in range(0, len(queries), size):
            part = slice(start, start + size)
            distances, positions = self._index.search(queries[part], k)
            found[part] = self._checked(distances, positions, (len(queries[part]), k))
        return found

    def _checked(self, distances: Any, positions: Any, shape: tuple[int, int]) -> Any:
        far, places = np.asarray(distances), np.asarray(positions)
        if places.shape != shape or far.shape != shape or places.dtype.kind not in "iu":
            raise ValueError(
                f"search of index={self._name} must return distances and whole numbers "
                f"of shape {shape}, got {far.shape} and {places.shape} of "
                f"{places.dtype}; fill up with -1 where fewer are found."
            )
        is_one = (places >= 0) & np.isfinite(far)
        if (places[is_one] >= self._n_points).any():
            raise ValueError(
                f"search of index={self._name} returned position "
                f"{places[is_one].max()} of {self._n_points} points; what it searches "
                "is not what it was given, so empty its folder or service."
            )
        return np.where(is_one, places, -1)


class OuterProposer(GraphProposer):
    """Proposes what an object of the user's finds.

    `breadths` are how many it is asked for. All that it finds are candidates, since its
    own distances may be of compressed numbers.
    """

    graph: Any
    # Probes are keys: of 10^5 in 316 partitions LanceDB found 99.0 % of the neighbours
    # of probes, and 98.6 % of those of queries that are none.
    margin = 0.005

    def __init__(self, exact: ExactProposer, seed: int, empty: SearchIndex) -> None:
        graph: Any = OuterGraph(empty)
        super().__init__(exact, None, seed, graph)

    def _walk(self, queries: Float32Array, k: int, breadth: int) -> Pairs:
        rows, numbers = self._found(queries, breadth)
        counts = np.bincount(rows, minlength=len(queries))
        if (few := np.flatnonzero(counts < k)).size:
            is_kept = ~np.isin(rows, few)
            more, others = self.exact.propose(queries[few], k)
            rows = np.concatenate([rows[is_kept], few[more]])
            numbers = np.concatenate([numbers[is_kept], others])
        return rows, numbers

    def _recall(
        self, probes: Float32Array, farthest: Float64Array, k: int, breadth: int
    ) -> float:
        # Where exact search has to help out, the object has not found them.
        rows, numbers = self._found(probes, breadth)
        squares = pair_distances(
            probes, rows, self.exact.points, numbers, "sqeuclidean"
        )
        near = rows[squares <= farthest[rows]]
        hits = np.minimum(np.bincount(near, minlength=len(probes)), k)
        return float(hits.mean() / k)

    def _found(self, queries: Float32Array, breadth: int) -> Pairs:
        """Return what the object finds, each pair once."""
        found = self.graph.walk(queries, breadth)
        rows, columns = np.nonzero(found >= 0)
        n_points = len(self.exact.points)
        pairs = np.unique(rows * n_points + found[rows, columns])
        return np.divmod(pairs, n_points)
