"""A fork leaves no lock taken and nothing half made."""

from __future__ import annotations

import gc
import time
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skraee import clear_backbones, clear_sweeps, toy
from skraee.backbone.registry import loaded_models
from skraee.retrieval.neighbors import NeighborIndex
from skraee.sweep import memory, shared_database
from skraee.threads import locks
from skraee.threads.locks import fork_safe_lock
from tests.support.classifiers import raee
from tests.support.forks import held_by_a_thread, is_found_in_fork, needs_fork

pytestmark = needs_fork

X, Y = toy.reviews(40)
KEYS = np.random.default_rng(0).normal(size=(600, 8)).astype(np.float32)


def is_free(lock: Any) -> bool:
    taken: bool = lock.acquire(blocking=False)
    return taken


class Owner:
    """Has a lock for which no fork waits."""

    def __init__(self) -> None:
        self.made: list[int] = [1]
        self.lock = fork_safe_lock(self._forget)

    def _forget(self) -> None:
        self.made.clear()


def test_fork_waits_for_a_lock() -> None:
    lock = fork_safe_lock()
    with held_by_a_thread(lock, 0.3) as has_gone:
        assert is_found_in_fork(lambda: has_gone.is_set() and is_free(lock))


def test_fork_waits_for_locks_that_are_taken_in_another_order() -> None:
    first, second = fork_safe_lock(), fork_safe_lock()
    with held_by_a_thread(second, 0.3), held_by_a_thread(first, 0.2):
        assert is_found_in_fork(lambda: is_free(first) and is_free(second))
    with first, second:  # and so they are here
        pass


def test_fork_waits_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_PATIENCE", 0.1)
    lock = fork_safe_lock()
    with held_by_a_thread(lock) as has_gone:
        assert is_found_in_fork(lambda: not has_gone.is_set() and is_free(lock))
        assert not is_free(lock)  # here the thread still has it


def test_fork_does_not_wait_where_what_is_half_made_can_be_forgotten() -> None:
    owner, began = Owner(), time.monotonic()
    with held_by_a_thread(owner.lock):
        assert is_found_in_fork(lambda: is_free(owner.lock) and owner.made == [])
    assert time.monotonic() - began < locks._PATIENCE / 2
    assert is_found_in_fork(lambda: is_free(owner.lock) and owner.made == [1])
    assert owner.made == [1]


def test_thread_that_forks_keeps_its_lock_on_both_sides() -> None:
    for lock in (fork_safe_lock(), Owner().lock):
        with lock:

            def is_mine() -> bool:
                lock.release()  # type: ignore[attr-defined]  # noqa: B023
                return is_free(lock)  # noqa: B023

            assert is_found_in_fork(is_mine)
        assert is_free(lock)


def test_lock_goes_with_its_owner() -> None:
    owner = Owner()
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None


EVERY_LOCK = {
    "registry": lambda: loaded_models._lock,
    "memory": lambda: memory._process_store._lock,
    "sqlite": lambda: shared_database._in_sqlite,
}


@pytest.mark.parametrize("lock", EVERY_LOCK.values(), ids=EVERY_LOCK)
def test_classifier_answers_in_a_fork_whatever_lock_is_taken(
    lock: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_PATIENCE", 0.05)
    clf = raee(memory=tmp_path).fit(X, Y)
    expected = clf.predict_proba(X)

    def is_same() -> bool:
        clear_sweeps(tmp_path)
        clear_sweeps()
        clear_backbones()
        return bool(np.allclose(clf.predict_proba(X), expected, atol=1e-5))

    with held_by_a_thread(lock()):
        assert is_found_in_fork(is_same)


def test_graph_that_a_thread_was_in_is_built_anew() -> None:
    index = NeighborIndex(KEYS).build(3)
    graph = index._parts().graph
    assert graph is not None
    expected = index.search(KEYS[:20], 3)

    def is_same() -> bool:
        found = index.search(KEYS[:20], 3)
        is_other = index._parts().graph is not graph
        return is_other and all(map(np.array_equal, found, expected))

    with held_by_a_thread(graph._lock):
        assert is_found_in_fork(is_same)
    assert index._parts().graph is graph
    assert is_found_in_fork(lambda: index._parts().graph is graph)


@pytest.mark.parametrize("lock", ["index", "proposer"])
def test_index_that_a_thread_is_building_is_built_in_the_fork(lock: str) -> None:
    index = NeighborIndex(KEYS)
    if lock == "proposer":
        index.build(2)
    owner: Any = index if lock == "index" else index._parts().proposer
    expected = NeighborIndex(KEYS).search(KEYS[:20], 3)

    def is_same() -> bool:
        return all(map(np.array_equal, index.search(KEYS[:20], 3), expected))

    with held_by_a_thread(owner._lock):
        assert is_found_in_fork(is_same)
