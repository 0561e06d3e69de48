"""What was computed last and may be asked for again, kept and found by name."""

from __future__ import annotations

import hashlib
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from skraee.threads.locks import fork_safe_lock

T = TypeVar("T")

#: What is weighed takes so much, or is one thing: the sweeps' own limit (1 GiB).
MOST_BYTES = 2**30

_cleared: weakref.WeakSet[LRUCache] = weakref.WeakSet()


class LRUCache:
    """The few things that were used last; safe in threads.

    Parameters
    ----------
    size : int, default=16
        How many.
    is_cleared : bool, default=True
        Whether `clear_caches` empties it: where what is kept hangs on texts.
    weigh : callable, optional
        Returns the bytes of a list of things. Of those that are more than `MOST_BYTES`
        together the last one alone is kept for certain.

    Examples
    --------
    >>> from skraee.engine.lru_cache import LRUCache
    >>> kept = LRUCache(1)
    >>> kept.get("a", lambda: 1), kept.get("a", lambda: 2), kept.get("b", lambda: 3)
    (1, 1, 3)
    """

    def __init__(
        self,
        size: int = 16,
        *,
        is_cleared: bool = True,
        weigh: Callable[[list[Any]], int] | None = None,
    ) -> None:
        self._size = size
        self._weigh = weigh
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = fork_safe_lock()
        if is_cleared:
            _cleared.add(self)

    def get(self, name: Hashable, make: Callable[[], T]) -> T:
        """Return what has this name; make it where it is not kept."""
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                kept: T = self._kept[name]
                return kept
        made = make()  # outside the lock: the last of two threads wins, both are right
        with self._lock:
            self._kept[name] = made
            while len(self._kept) > self._size or self._is_heavy():
                self._kept.popitem(last=False)
        return made

    def names(self) -> list[Hashable]:
        """Return the names of what is kept, the one used last at the end."""
        with self._lock:
            return list(self._kept)

    def _is_heavy(self) -> bool:
        if self._weigh is None or len(self._kept) < 2:
            return False
        return self._weigh(list(self._kept.values())) > MOST_BYTES

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._kept.clear()


def clear_caches() -> None:
    """Forget what the caches of this process keep, but those that are never cleared."""
    for kept in list(_cleared):
        kept.clear()


def content_hash(array: npt.NDArray[Any]) -> bytes:
    """Return a hash of an array's shape and values."""
    digest = hashlib.blake2b(str((array.dtype.str, array.shape)).encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.digest()
