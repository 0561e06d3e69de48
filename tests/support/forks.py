"""What a forked process finds."""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Event, Thread

import pytest

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")


def is_found_in_fork(check: Callable[[], bool], seconds: float = 60.0) -> bool | None:
    """Fork, and return what the new process finds; None where it does not end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of forks while there are threads
        child = os.fork()
    if child == 0:
        code = 2
        try:
            code = 0 if check() else 1
        finally:
            os._exit(code)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) != 2, "check() has failed"
            return status == 0
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


@contextmanager
def held_by_a_thread(
    lock: AbstractContextManager[object], seconds: float = 3600.0
) -> Iterator[Event]:
    """Let another thread hold a lock; yield what is set once it has let go."""
    is_held, may_go, has_gone = Event(), Event(), Event()

    def hold() -> None:
        with lock:
            is_held.set()
            may_go.wait(seconds)
            has_gone.set()

    thread = Thread(target=hold, daemon=True)
    thread.start()
    is_held.wait()
    try:
        yield has_gone
    finally:
        may_go.set()
        thread.join()
