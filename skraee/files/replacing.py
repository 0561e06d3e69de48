"""Files that are written as a whole or not at all."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skraee.files.temporary import temporary_beside

# What may stand in the place of a file, and what rows of text can be written to.
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_STREAMS = (stat.S_IFIFO, stat.S_IFCHR)


def check_writable(path: str | os.PathLike[str], *, streams: bool = True) -> Path:
    """Refuse a place where no file can be written, before the work for it is done.

    Parameters
    ----------
    path : str or Path
        Of the file.
    streams : bool, default=True
        Whether it may be a pipe or a device, such as a terminal.

    Returns
    -------
    Path
        Where the file will be: links are followed.

    Raises
    ------
    OSError
        If it is a folder, in no folder, no regular file, a link that leads to itself,
        or not to be written by this user.
    """
    target = Path(os.path.realpath(path))
    if os.path.exists(path) and not target.exists():
        target = Path(path)  # /dev/stdout in a pipe: it leads to what has no path
    if target.is_dir():
        raise IsADirectoryError(
            f"{os.fspath(path)!r} is a folder; give the name of a file in it."
        )
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"there is no folder {str(target.parent)!r} to write to; make it first."
        )
    if target.is_symlink() and not target.exists():
        raise OSError(
            f"{os.fspath(path)!r} is a link that leads back to itself; remove it, or "
            "name another place."
        )
    _refuse_special(path, target, streams)
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
def replacing(path: str | os.PathLike[str], *, streams: bool = True) -> Iterator[Path]:
    """Give a file to write that takes the place of another when the block ends well.

    Parameters
    ----------
    path : str or Path
        A file that is there is replaced, or kept as it is if anything fails; a link
        stays, and what it leads to is replaced.
    streams : bool, default=True
        Whether a pipe or a device is written to; else it is refused.

    Yields
    ------
    Path
        Beside the other, with its suffix, and empty; or the pipe or device.
    """
    target = check_writable(path, streams=streams)
    if _is_special(target):
        yield target
        return
    with temporary_beside(target) as temporary:
        yield temporary
        if target.exists():
            shutil.copymode(target, temporary)


def _is_special(target: Path) -> bool:
    return target.exists() and not target.is_file()


def _refuse_special(path: str | os.PathLike[str], target: Path, streams: bool) -> None:
    """Refuse what is there and neither a file nor a stream that will do."""
    if not _is_special(target):
        return
    kind = stat.S_IFMT(target.stat().st_mode)
    if not (streams and kind in _STREAMS):
        raise OSError(
            f"{os.fspath(path)!r} is {_KINDS.get(kind, 'no file')}, which a file must "
            "not replace; name another place."
        )
