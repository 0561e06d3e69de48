"""The command ``skraee`` as a process of its own, also ``python -m skraee``."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from skraee.cli.main import main

# What a shell shows for a command that SIGPIPE (13) ended.
_NOBODY_READS = 128 + 13


def run() -> int:
    """Run the command of this process.

    The standard output is UTF-8 with bare line feeds, whatever the locale. Where its
    reader leaves early, as in ``skraee predict ... | head``, nothing is said. Who ends
    it by SIGTERM finds no half-written file.

    Returns
    -------
    int
        The exit status, that of :func:`skraee.cli.main.main` or 141 where nobody reads.

    Raises
    ------
    SystemExit
        With 143 after SIGTERM.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            encoding="utf-8", errors="backslashreplace", newline="\n"
        )
    try:
        with _ended_in_order():
            return main()
    except BrokenPipeError:
        return _NOBODY_READS
    finally:
        _flush_or_drop()


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Let SIGTERM (15) clear up what is being written, as Ctrl-C does."""

    def end(*_: object) -> NoReturn:
        sys.exit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _flush_or_drop() -> None:
    """Leave nothing to the end of the process, where an error cannot be caught."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(run())
