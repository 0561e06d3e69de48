"""The command ``skraee``: one of its commands, and how it ends.

Everything heavy is imported inside the commands, so that ``skraee --help`` is instant.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

from skraee.cli.arguments import COMMANDS, parser
from skraee.cli.streams import one_line, short_warnings, tell, tell_error

# Errors whose own words are enough: something of the user's does not fit.
_TOLD = (ImportError, OSError, ValueError, MemoryError)

_REFUSED = 2

# What a shell shows for a command that SIGINT (2) ended.
_INTERRUPTED = 128 + 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str, optional
        What follows ``skraee``; that of the process by default.

    Returns
    -------
    int
        The exit status: 0; 1 after a negative finding, as where `backbones` shows some
        and refuses others; 2 after one line on the standard error when files, columns,
        names or words do not fit; 130 after Ctrl-C.

    Raises
    ------
    BrokenPipeError
        If nobody reads the standard output any more.

    Examples
    --------
    >>> from skraee.cli.main import main
    >>> main(["predict", "no-such-model.joblib", "new.csv"])  # doctest: +SKIP
    skraee: error: there is no file 'no-such-model.joblib'; check the path.
    2
    """
    words = sys.argv[1:] if argv is None else argv
    if not words:
        parser().print_help(sys.stderr)
        return _REFUSED
    arguments = parser().parse_args(words)
    try:
        with short_warnings():
            status = COMMANDS[arguments.command].run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()  # while an error can still be told
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        tell("stopped")
        return _INTERRUPTED
    except Exception as error:
        if getattr(arguments, "debug", False):
            traceback.print_exc()
        _tell(error)
        return _REFUSED
    return status or 0


def _tell(error: Exception) -> None:
    if isinstance(error, _TOLD):
        tell_error(error)
        return
    tell(
        f"error: {type(error).__name__}: {one_line(error)} (run it again with --debug "
        "to see where that came from)"
    )
