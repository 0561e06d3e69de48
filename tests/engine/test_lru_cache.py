"""The last few things are kept, by name and by content."""

from __future__ import annotations

import numpy as np
import pytest

from skraee.engine.lru_cache import LRUCache, clear_caches, content_hash


def test_cache_forgets_what_was_used_longest_ago() -> None:
    kept = LRUCache(2)
    for name in ("a", "b", "a", "c"):
        assert kept.get(name, lambda name=name: name) == name
    assert kept.names() == ["a", "c"]
    assert kept.get("a", lambda: "again") == "a"
    assert kept.get("b", lambda: "again") == "again"


def test_cache_keeps_nothing_of_what_failed() -> None:
    kept = LRUCache()
    with pytest.raises(ZeroDivisionError):
        kept.get("a", lambda: 1 / 0)
    assert kept.names() == []


def test_all_caches_are_cleared_at_once() -> None:
    caches = [LRUCache(), LRUCache()]
    for kept in caches:
        kept.get("a", lambda: 1)
    clear_caches()
    assert [kept.names() for kept in caches] == [[], []]


def test_a_cache_that_is_never_cleared_keeps_what_it_has() -> None:
    kept = LRUCache(is_cleared=False)
    kept.get("a", lambda: 1)
    clear_caches()
    assert kept.get("a", lambda: 2) == 1


def test_content_hash_tells_values_shapes_and_dtypes_apart() -> None:
    array = np.arange(6.0)
    others = [array + 1, array.reshape(2, 3), array.astype(np.int64), array[::-1]]
    assert content_hash(array) == content_hash(array.copy())
    assert len({content_hash(other) for other in [array, *others]}) == 5
