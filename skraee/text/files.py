"""Files that are written as a whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def check_writable(path: str | os.PathLike[str]) -> Path:
    """Refuse a place where no file can be written, before the work for it is done.

    Parameters
    ----------
    path : str or Path
        Of the file.

    Returns
    -------
    Path
        Where the file will be: links are followed.

    Raises
    ------
    OSError
        If it is a folder, in no folder, or not to be written by this user.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(
            f"{os.fspath(path)!r} is a folder; give the name of a file in it."
        )
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"there is no folder {str(target.parent)!r} to write to; make it first."
        )
    places = [target] if target.exists() else []
    if not _is_special(target):
        places.append(target.parent)
    for place in places:
        if not os.access(place, os.W_OK):
            raise PermissionError(
                f"{str(place)!r} cannot be written to by this user; name another place."
            )
    return target


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a file to write that takes the place of another when the block ends well.

    Parameters
    ----------
    path : str or Path
        A file that is there is replaced, or kept as it is if anything fails; a device
        or a pipe is written to.

    Yields
    ------
    Path
        Beside the other, with its suffix; there is no file yet.
    """
    target = check_writable(path)
    if _is_special(target):
        yield target
        return
    temporary = target.with_name(f".skraee-{secrets.token_hex(8)}.tmp{target.suffix}")
    try:
        yield temporary
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _is_special(target: Path) -> bool:
    return target.exists() and not target.is_file()
