"""The command ``skraee`` as a process of its own, also ``python -m skraee``."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from skraee.cli.main import main

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

# What a shell shows for a command that SIGPIPE (13) ended.
_NOBODY_READS = 128 + 13

# What a shell shows for one that SIGTERM (15) ended.
_TERMINATED = 128 + 15

# Seconds until a signal that got lost is sent again: by then its destructor is left.
_SENT_AGAIN_AFTER = 0.02


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
        sys.exit(_TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        with _no_signal_lost():
            yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _no_signal_lost() -> Iterator[None]:
    """Send a signal again whose exception Python dropped.

    It is raised wherever the main thread happens to be, and from a destructor or a
    callback of the garbage collector no exception gets out: the command would go on as
    if nobody had asked it to stop. Parsing a regular expression, as tokenizers do when
    they are loaded, runs thousands of destructors.
    """
    tell_of = sys.unraisablehook

    def hook(lost: UnraisableHookArgs) -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt):
            _send_again(signal.SIGINT)
        elif getattr(lost.exc_value, "code", None) == _TERMINATED:
            _send_again(signal.SIGTERM)
        else:
            tell_of(lost)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = tell_of


def _send_again(number: signal.Signals) -> None:
    timer = threading.Timer(_SENT_AGAIN_AFTER, signal.raise_signal, [number])
    timer.daemon = True
    timer.start()


def _flush_or_drop() -> None:
    """Leave nothing to the end of the process, where an error cannot be caught."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(run())
