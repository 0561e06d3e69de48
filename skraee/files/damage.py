"""Damaged files, told in one error of ours."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from skraee.exceptions import FileFormatError


@contextmanager
def telling_damage(path: str | os.PathLike[str], again: str) -> Iterator[None]:
    """Turn what a damaged file makes of its reader into one clear error.

    Parameters
    ----------
    path : str or Path
        The file, for the message.
    again : str
        How such a file is made anew, for the message.
    """
    try:
        yield
    except (FileFormatError, MemoryError):
        raise
    # Whatever zipfile, json, numpy and our own classes make of it.
    except Exception as error:
        raise FileFormatError(
            f"{os.fspath(path)!r} is damaged ({error}); take an intact copy of it, or "
            f"{again}."
        ) from error


def refuse_special(path: str | os.PathLike[str], writer: str) -> None:
    """Refuse what would never end, such as a pipe.

    Parameters
    ----------
    path : str or Path
    writer : str
        What writes such files, for the message.

    Raises
    ------
    FileNotFoundError
        If there is nothing.
    FileFormatError
        If it is neither a file nor a folder.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"there is no file {os.fspath(path)!r}; check the path."
        ) from error
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise FileFormatError(
            f"{os.fspath(path)!r} is no regular file; name the file that {writer} "
            "wrote."
        )
