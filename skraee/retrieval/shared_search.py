"""Indexes and neighbour lists that several fits of a search share.

In a grid over k, tau, below_tau or min_exit the folds come back with the same keys.
What depends on the keys alone is kept for the last few of them, found by content.
"""

from __future__ import annotations

from typing import Any

from skraee.engine.lru_cache import LRUCache, content_hash
from skraee.retrieval.neighbors import NeighborIndex
from skraee.retrieval.vectors import Float32Array, Float64Array, IntArray

_indexes = LRUCache()
_neighbors = LRUCache()


def shared_index(keys: Float32Array, **settings: Any) -> NeighborIndex:
    """Return an index over these keys, the one of an earlier fit where there is one."""
    name = (content_hash(keys), *sorted(settings.items()))
    return _indexes.get(name, lambda: NeighborIndex(keys, **settings))


def shared_search(
    index: NeighborIndex, queries: Float32Array, k: int
) -> tuple[Float64Array, IntArray]:
    """Search an index, or find the same search of an earlier predict."""
    name = (id(index), content_hash(queries), k)
    found = _neighbors.get(name, lambda: (index, *index.search(queries, k)))
    return found[1], found[2]  # the index is kept so that its id stays its own
