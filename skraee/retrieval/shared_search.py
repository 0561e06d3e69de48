"""Indexes and neighbour lists that several fits of a search share.

In a grid over k, tau, below_tau or min_exit the folds come back with the same keys.
What depends on the keys alone is kept for the last few of them, found by content; of
large ones for the last.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from skraee.engine.lru_cache import LRUCache, content_hash
from skraee.retrieval.neighbors import NeighborIndex
from skraee.retrieval.vectors import Float32Array, Float64Array, IntArray, KeyArray

# Keys, and as much again for a graph.
_BYTES_OF_KEYS = 2


def _bytes_of(indexes: list[NeighborIndex]) -> int:
    each = {id(index): index.keys.nbytes for index in indexes}
    total: int = sum(each.values())
    return _BYTES_OF_KEYS * total


def _bytes_found(found: list[tuple[NeighborIndex, Float64Array, IntArray]]) -> int:
    indexes, distances, rows = zip(*found, strict=True)
    arrays: int = sum(array.nbytes for array in (*distances, *rows))
    return _bytes_of(list(indexes)) + arrays


_indexes = LRUCache(weigh=_bytes_of)
_neighbors = LRUCache(weigh=_bytes_found)


def shared_index(keys: KeyArray, **settings: Any) -> NeighborIndex:
    """Return an index over these keys, the one of an earlier fit where there is one."""
    named = {setting: _name_of(value) for setting, value in settings.items()}
    name = (content_hash(keys), *sorted(named.items()))
    return _indexes.get(name, lambda: NeighborIndex(keys, **settings))


def shared_search(
    index: NeighborIndex, queries: Float32Array, k: int
) -> tuple[Float64Array, IntArray]:
    """Search an index, or find the same search of an earlier predict."""
    name = (id(index), content_hash(queries), k)
    found = _neighbors.get(name, lambda: (index, *index.search(queries, k)))
    return found[1], found[2]  # the index is kept so that its id stays its own


def _name_of(setting: Any) -> Hashable:
    """Return a setting, or what tells an object that cannot be hashed from others."""
    try:
        hash(setting)
    except TypeError:
        return id(setting)  # which the index that is kept under this name keeps alive
    name: Hashable = setting
    return name
