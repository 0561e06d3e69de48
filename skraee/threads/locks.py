"""Locks that a forked process finds free.

A fork copies every lock as it is, and of all threads only the one that forks: a lock
that another thread held then would be held in the new process for ever, and what it
guards be half changed. So a fork waits until the other threads have left what is
locked. Where that may take minutes and what is half made can be made again, it does
not wait, and the new process begins without.

All locks of the package are made here.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from weakref import WeakKeyDictionary, WeakMethod

_PATIENCE = 60.0  # seconds; a thread may wait for the one that forks
_TURN = 0.05

# Lock -> what its owner does where it was lost; None where a fork waits for it.
_locks: WeakKeyDictionary[Any, WeakMethod[Callable[[], None]] | None]
_locks = WeakKeyDictionary()
_forking = threading.local()  # `held`: what this thread took in order to fork


def fork_safe_lock(
    forget: Callable[[], None] | None = None,
) -> AbstractContextManager[bool]:
    """Return a lock that its thread may take again, and that no fork leaves taken.

    Parameters
    ----------
    forget : method, optional
        Drops what may be half made. A fork does not wait for this lock then: where
        another thread has it, the new process calls this. By default a fork waits, a
        minute at the most.

    Examples
    --------
    >>> from skraee.threads.locks import fork_safe_lock
    >>> lock = fork_safe_lock()
    >>> with lock:
    ...     pass
    """
    # Not a class of ours around it: an interrupt between its lines would leave the
    # lock taken.
    lock = threading.RLock()
    _locks[lock] = None if forget is None else WeakMethod(forget)
    return lock


def _all_locks() -> list[Any]:
    return [lock for held in _locks.keyrefs() if (lock := held()) is not None]


def _before_fork() -> None:
    _forking.held = []
    until = time.monotonic() + _PATIENCE
    wanted = [lock for lock in _all_locks() if _locks[lock] is None]
    while (missed := _taken(wanted)) is not None and time.monotonic() < until:
        _release()  # two locks are taken in any order, so none is kept meanwhile
        wanted.sort(key=lambda lock: lock is not missed)
    for lock in _all_locks():
        if _locks[lock] is not None and lock.acquire(blocking=False):
            _forking.held.append(lock)


def _taken(wanted: list[Any]) -> Any:
    """Take locks; return the first that another thread has for long."""
    for lock in wanted:
        if not lock.acquire(timeout=_TURN):
            return lock
        _forking.held.append(lock)
    return None


def _release() -> None:
    while _forking.held:
        _forking.held.pop().release()


def _in_child() -> None:
    _release()
    for lock in _all_locks():
        if lock.acquire(blocking=False):
            lock.release()
            continue
        lock._at_fork_reinit()  # as the standard library does with its own
        if (forget := _locks[lock]) is not None and (call := forget()) is not None:
            call()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=_before_fork, after_in_parent=_release, after_in_child=_in_child
    )
