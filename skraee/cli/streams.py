"""What the commands print: results on the standard output, messages beside it."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from skraee.text.json_values import plain


def say(result: object) -> None:
    """Print a result on the standard output."""
    print(result, flush=True)


def say_json(result: Any) -> None:
    """Print a result as JSON; a number that is none there is null."""
    say(json.dumps(plain(result), indent=2, ensure_ascii=False, allow_nan=False))


def print_beside(lines: str) -> None:
    """Print lines as they are on the standard error."""
    print(lines, file=sys.stderr)


def tell(message: str) -> None:
    """Print a message on the standard error."""
    print(f"skraee: {message}", file=sys.stderr)


def tell_error(error: BaseException) -> None:
    """Print an error on the standard error, in one line."""
    tell(f"error: {one_line(error)}")


def one_line(error: BaseException) -> str:
    """Return what an error says, in one line."""
    return " ".join(str(error).split())


def verbosity(arguments: argparse.Namespace) -> int:
    """Return whether there are progress bars, as `verbose` of an estimator.

    They are for who looks at them: none in a file or a pipe, none with ``--quiet``.
    """
    looked_at = sys.stderr is not None and sys.stderr.isatty()
    return int(looked_at and not is_quiet(arguments))


def is_quiet(arguments: argparse.Namespace) -> bool:
    """Return whether ``--quiet`` was given."""
    return getattr(arguments, "quiet", False)


def size_of(n_bytes: int) -> str:
    """Return how large a file is, for people."""
    return f"{n_bytes / 1e3:,.1f} kB" if n_bytes < 1e6 else f"{n_bytes / 1e6:,.1f} MB"


@contextmanager
def short_warnings() -> Iterator[None]:
    """Show warnings without the source line that they come from."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"skraee: warning: {message}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before
