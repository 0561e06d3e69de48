"""A store in the memory of this process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from skraee.sweep.store import Arrays
from skraee.threads.locks import fork_safe_lock

_MAX_BYTES = 2**30


class MemoryStore:
    """Records of this process; the least recently used go first.

    Parameters
    ----------
    max_bytes : int, default=1073741824
        Bytes of arrays to keep.
    """

    def __init__(self, max_bytes: int = _MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self.n_bytes = 0
        self._records: OrderedDict[bytes, Arrays] = OrderedDict()
        self._is_counted = True  # but where an interrupt has come between
        self._lock = fork_safe_lock()

    def __len__(self) -> int:
        return len(self._records)

    def read(self, keys: Sequence[bytes]) -> list[Arrays | None]:
        """Return the records of these keys; None where there is none."""
        with self._lock:
            found = [self._records.get(key) for key in keys]
            for key, record in zip(keys, found, strict=True):
                if record is not None:
                    self._records.move_to_end(key)
            return found

    def write(self, records: Mapping[bytes, Arrays]) -> None:
        """Keep records; those that are there are replaced."""
        with self._lock:
            if not self._is_counted:
                self.n_bytes = sum(map(_size, self._records.values()))
            self._is_counted = False
            for key, record in records.items():
                self._drop(key)
                self._records[key] = record
                self.n_bytes += _size(record)
            while self.n_bytes > self.max_bytes:
                self._drop(next(iter(self._records)))
            self._is_counted = True

    def clear(self) -> None:
        """Forget all records."""
        with self._lock:
            self._is_counted = False
            self._records.clear()
            self.n_bytes = 0
            self._is_counted = True

    def _drop(self, key: bytes) -> None:
        if (record := self._records.pop(key, None)) is not None:
            self.n_bytes -= _size(record)


def _size(record: Arrays) -> int:
    return sum(array.nbytes for array in record.values())
