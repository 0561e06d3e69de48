"""The command ``skraee`` as a process of its own, also ``python -m skraee``."""

from __future__ import annotations

import io
import os
import sys

from skraee.cli.main import main

# What a shell shows for a command that SIGPIPE (13) ended.
_NOBODY_READS = 128 + 13


def run() -> int:
    """Run the command of this process.

    The standard output is UTF-8 with bare line feeds, whatever the locale. Where its
    reader leaves early, as in ``skraee predict ... | head``, nothing is said.

    Returns
    -------
    int
        The exit status, that of :func:`skraee.cli.main.main` or 141 where nobody reads.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            encoding="utf-8", errors="backslashreplace", newline="\n"
        )
    try:
        return main()
    except BrokenPipeError:
        return _NOBODY_READS
    finally:
        _flush_or_drop()


def _flush_or_drop() -> None:
    """Leave nothing to the end of the process, where an error cannot be caught."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(run())
