"""What every store does, and what the one in memory does besides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skraee.sweep.folder_store import FolderStore
from skraee.sweep.memory_store import MemoryStore


@pytest.fixture(params=["memory", "folder"])
def store(request: Any, tmp_path: Path) -> Any:
    return MemoryStore() if request.param == "memory" else FolderStore(tmp_path)


def record(value: float, size: int = 4) -> dict[str, np.ndarray]:
    return {"a": np.full((size, 2), value, np.float32), "b": np.array(True)}


def test_store_returns_what_was_written_in_order(store: Any) -> None:
    store.write({b"x": record(1), b"y": record(2)})
    store.write({b"x": record(3)})
    y, none, x = store.read([b"y", b"z", b"x"])
    assert none is None
    np.testing.assert_array_equal(x["a"], record(3)["a"])
    np.testing.assert_array_equal(y["a"], record(2)["a"])
    assert x["b"].shape == ()
    assert bool(x["b"]) is True
    assert len(store) == 2


def test_store_reads_more_than_a_statement_takes(store: Any) -> None:
    keys = [str(i).encode() for i in range(1203)]
    store.write({key: record(float(key)) for key in keys})
    found = store.read(keys)
    assert [float(r["a"][0, 0]) for r in found] == [float(key) for key in keys]


def test_store_clear_forgets_all(store: Any) -> None:
    store.write({b"x": record(1)})
    store.clear()
    assert store.read([b"x"]) == [None]
    assert len(store) == 0


def test_memory_store_drops_the_least_recently_used() -> None:
    one = sum(array.nbytes for array in record(0).values())
    store = MemoryStore(max_bytes=2 * one)
    store.write({b"x": record(1), b"y": record(2)})
    store.read([b"x"])
    store.write({b"z": record(3)})
    assert [r is None for r in store.read([b"x", b"y", b"z"])] == [False, True, False]
    assert store.n_bytes == 2 * one
