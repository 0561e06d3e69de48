"""Indexes and neighbour lists that several fits of a search share.

In a grid over k, tau, below_tau or min_exit the folds come back with the same keys.
What depends on the keys alone is kept for the last few of them, found by content.
"""

from __future__ import annotations

import hashlib
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import numpy.typing as npt

from skraee.retrieval.exact_search import Float64Array, IntArray
from skraee.retrieval.neighbors import NeighborIndex

_SIZE = 16

_everything: weakref.WeakSet[LRUCache] = weakref.WeakSet()


class LRUCache:
    """The few things that were used last; safe in threads.

    Parameters
    ----------
    size : int, default=16
        How many.

    Examples
    --------
    >>> kept = LRUCache(1)
    >>> kept.get("a", lambda: 1), kept.get("a", lambda: 2), kept.get("b", lambda: 3)
    (1, 1, 3)
    """

    def __init__(self, size: int = _SIZE) -> None:
        self._size = size
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()
        _everything.add(self)

    def get(self, name: Hashable, make: Callable[[], Any]) -> Any:
        """Return what has this name; make it where it is not kept."""
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
        made = make()  # outside the lock: the last of two threads wins, both are right
        with self._lock:
            self._kept[name] = made
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return made

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._kept.clear()


_indexes = LRUCache()
_neighbors = LRUCache()


def shared_index(
    keys: npt.NDArray[np.float32], seed: int, **settings: Any
) -> NeighborIndex:
    """Return an index over these keys, the one of an earlier fit where there is one.

    Parameters
    ----------
    keys : ndarray of shape (n, d), float32
    seed : int
        Of the graph.
    **settings
        What `NeighborIndex` takes.

    Returns
    -------
    NeighborIndex
    """
    name = (content(keys), seed, *sorted(settings.items()))
    return _indexes.get(  # type: ignore[no-any-return]
        name, lambda: NeighborIndex(keys, random_state=seed, **settings)
    )


def shared_search(
    index: NeighborIndex, queries: npt.NDArray[np.float32], k: int
) -> tuple[Float64Array, IntArray]:
    """Search an index, or find the same search of an earlier predict.

    Parameters
    ----------
    index : NeighborIndex
    queries : ndarray of shape (q, d), float32
    k : int

    Returns
    -------
    distances, indices
        As `NeighborIndex.search` gives them.
    """
    name = (id(index), content(queries), k)
    found = _neighbors.get(name, lambda: (index, *index.search(queries, k)))
    return found[1], found[2]  # the index is kept so that its id stays its own


def clear_caches() -> None:
    """Forget what any `LRUCache` of this process keeps."""
    for kept in list(_everything):
        kept.clear()


def content(array: npt.NDArray[Any]) -> bytes:
    """Return a hash of an array's shape and values.

    Parameters
    ----------
    array : ndarray

    Returns
    -------
    bytes
    """
    digest = hashlib.blake2b(str((array.dtype.str, array.shape)).encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.digest()
