"""Stores that tell what they were given."""

from __future__ import annotations

from collections.abc import Mapping

from skraee.sweep.memory_store import MemoryStore
from skraee.sweep.store import Arrays


class NotingStore(MemoryStore):
    """One that remembers every record that was ever written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: dict[bytes, Arrays] = {}

    def write(self, records: Mapping[bytes, Arrays]) -> None:
        self.written.update(records)
        super().write(records)
