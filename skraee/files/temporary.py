"""What is written beside its target, and what dead processes left of it.

Who writes a file or folder holds a lock on it that the system lets go of when the
process ends, however it ends. So whoever comes next can tell what is being written, by
another process or a thread of this one, from what nobody will ever finish.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows, which removes no file that is open
    fcntl = None

_FOLDER = re.compile(r"\.skraee-[0-9a-f]{16}\.folder")
_NAME = re.compile(r"\.skraee-[0-9a-f]{16}\.tmp(?:\..*)?", re.DOTALL)


@contextmanager
def temporary_beside(target: Path) -> Iterator[Path]:
    """Give an empty file in the target's folder that takes its place at the end.

    It is removed if the block fails. If the process dies, the next call for a target
    in this folder removes it.

    Parameters
    ----------
    target : Path
        It need not be there.

    Yields
    ------
    Path
        To open anew and write to, with the target's suffix.
    """
    clear_left_behind(target.parent)
    path, descriptor = _made_beside(target)
    try:
        with ExitStack() as held:
            held.callback(os.close, descriptor)
            yield path
            if fcntl is None:
                held.close()
            os.replace(path, target)
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def temporary_folder_beside(target: Path) -> Iterator[Path]:
    """Give an empty folder beside the target that takes its place at the end.

    It is removed if the block fails, or if the target is there by then. If the process
    dies, the next call for a target in this folder removes it, where the system has
    locks.

    Parameters
    ----------
    target : Path
        A folder that others may make at the same time, with the same content.

    Yields
    ------
    Path
    """
    clear_left_behind(target.parent)
    path, descriptor = _folder_made_beside(target)
    try:
        yield path
        try:
            path.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        if descriptor is not None:
            os.close(descriptor)
        shutil.rmtree(path, ignore_errors=True)


def clear_left_behind(folder: Path) -> None:
    """Remove the temporary files and folders of a folder that nobody alive writes.

    Parameters
    ----------
    folder : Path
        What cannot be read or removed in it stays.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in list(entries):
            with suppress(OSError):
                if _NAME.fullmatch(entry.name):
                    if entry.is_file(follow_symlinks=False):
                        _remove_unless_held(entry.path)
                elif _FOLDER.fullmatch(entry.name):
                    _remove_folder_unless_held(entry.path)


def _made_beside(target: Path) -> tuple[Path, int]:
    """Make a file and hold it."""
    while True:
        name = f".skraee-{secrets.token_hex(8)}.tmp{target.suffix}"
        path = target.with_name(name)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        _hold(descriptor)
        # Whoever clears up may have come between.
        if _leads_to(path, descriptor):
            return path, descriptor
        os.close(descriptor)


def _folder_made_beside(target: Path) -> tuple[Path, int | None]:
    """Make a folder and hold it, where folders can be held."""
    while True:
        path = target.with_name(f".skraee-{secrets.token_hex(8)}.folder")
        path.mkdir(mode=0o700)
        if fcntl is None:
            return path, None
        with suppress(FileNotFoundError):  # as for files
            descriptor = os.open(path, os.O_RDONLY)
            _hold(descriptor)
            if _leads_to(path, descriptor):
                return path, descriptor
            os.close(descriptor)


def _hold(descriptor: int) -> None:
    if fcntl is not None:
        with suppress(OSError):  # a file system without locks: nothing is cleared there
            fcntl.flock(descriptor, fcntl.LOCK_EX)


def _leads_to(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _remove_unless_held(path: str) -> None:
    if fcntl is None:
        os.unlink(path)
        return
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    finally:
        os.close(descriptor)


def _remove_folder_unless_held(path: str) -> None:
    if fcntl is None:
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(descriptor)
