"""Interrupts at any line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Interrupt(BaseException):
    """Stands for Ctrl-C, which no code handles."""


@contextmanager
def interrupted(module: str, number: int) -> Iterator[None]:
    """Raise `Interrupt` where so many lines of a module have run in this thread."""
    before, left = sys.gettrace(), number

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_globals.get("__name__") != module:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                raise Interrupt
        return trace

    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)
