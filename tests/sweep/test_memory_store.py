"""The store in memory counts its bytes, whatever was stopped."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from skraee.sweep.memory_store import MemoryStore
from tests.support.interrupts import Interrupt, interrupted


def record(n: int) -> dict[str, np.ndarray]:
    return {"a": np.zeros(n, np.int8)}


CALLS: dict[str, Callable[[MemoryStore], None]] = {
    "write": lambda store: store.write({b"a": record(7), b"b": record(50)}),
    "clear": lambda store: store.clear(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_store_counts_its_bytes_wherever_a_call_is_interrupted(
    call: Callable[[MemoryStore], None],
) -> None:
    n_stopped = 0
    for line in range(1, 100):
        store = MemoryStore(max_bytes=80)
        store.write({b"a": record(20), b"c": record(30)})
        try:
            with interrupted("skraee.sweep.memory_store", line):
                call(store)
        except Interrupt:
            n_stopped += 1
        store.write({b"d": record(60)})
        names = (b"a", b"b", b"c", b"d")
        held = [one for name in names for one in store.read([name]) if one is not None]
        assert store.n_bytes == sum(one["a"].nbytes for one in held) <= 80
        assert store.read([b"d"]) != [None]
    assert 0 < n_stopped < 99
