"""One file of JSON and arrays: checked, replaced as a whole, and free of code.

A ZIP holds ``manifest.json`` and ``.npy`` members, whose SHA-256 stand in the manifest.
It is stored, not deflated: float32 numbers hardly shrink, reading goes at the disk's
speed, and a file that unpacks to its own size can be no bomb.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from skraee.exceptions import FileFormatError
from skraee.text.files import replacing
from skraee.versions import installed

#: Number of the format that `write` writes, and the newest that `read` reads.
FORMAT = 4

Arrays = dict[str, npt.NDArray[Any]]
Manifest = dict[str, Any]

_MANIFEST = "manifest.json"
_ZIP = b"PK\x03\x04"


def write(
    path: str | os.PathLike[str], manifest: Mapping[str, Any], arrays: Arrays
) -> None:
    """Write a file beside the target, check it, and put it in the target's place.

    Parameters
    ----------
    path : str or Path
        A file that is there is replaced, or kept as it is if anything fails.
    manifest : mapping
        Plain JSON values.
    arrays : dict of str to ndarray
        Of any dtype but object.

    Raises
    ------
    OSError
        If there is no such folder, or no room in it.
    FileFormatError
        If what was written cannot be read back.
    """
    with replacing(path) as temporary:
        written = _write_new(temporary, manifest, arrays)
        with open(temporary, "rb") as file, telling_damage(temporary):
            _check_members(zipfile.ZipFile(file), written)
    _sync_folder(temporary.parent)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Arrays]:
    """Read what `write` wrote; nothing in it is unpickled or run.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    manifest : dict
    arrays : dict of str to ndarray

    Raises
    ------
    OSError
        If there is no such file.
    FileFormatError
        If it is none of ours, damaged, or of a newer format.
    """
    with open(path, "rb") as file, telling_damage(path):
        if file.read(len(_ZIP)) != _ZIP:
            raise FileFormatError(
                f"{os.fspath(path)!r} is no file that an estimator's save wrote; what "
                "joblib.dump wrote is read by joblib.load."
            )
        with zipfile.ZipFile(file) as archive:
            manifest = _manifest(archive, path)
            _check_members(archive, manifest["members"])
            names = manifest["members"]
            return manifest, {name: _array(archive, name) for name in names}


@contextmanager
def telling_damage(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what a damaged file makes of its reader into one clear error.

    Parameters
    ----------
    path : str or Path
        The file, for the message.
    """
    try:
        yield
    except FileFormatError:
        raise
    # All that zipfile, numpy and json were seen to raise with single bytes changed.
    except (
        *(zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError),
        *(ValueError, TypeError, LookupError, AttributeError, RuntimeError),
        *(EOFError, OSError),
    ) as error:
        raise FileFormatError(
            f"{os.fspath(path)!r} is damaged ({error}); take an intact copy of it, or "
            "save the fitted estimator again."
        ) from error


def _write_new(
    path: Path, manifest: Mapping[str, Any], arrays: Arrays
) -> dict[str, str]:
    """Write the file, down to the disk; return the SHA-256 of its members."""
    with open(path, "xb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            sums = {name: _put(archive, name, arrays[name]) for name in arrays}
            whole = {"skraee_format": FORMAT, **manifest, "members": sums}
            archive.writestr(zipfile.ZipInfo(_MANIFEST), json.dumps(whole, indent=1))
        file.flush()
        os.fsync(file.fileno())
    return sums


def _put(archive: zipfile.ZipFile, name: str, array: npt.NDArray[Any]) -> str:
    # A ZipInfo of its own has no time in it: equal estimators make equal files.
    info = zipfile.ZipInfo(_member(name))
    with archive.open(info, "w", force_zip64=True) as member:
        hashing: Any = _Hashing(member)
        np.lib.format.write_array(hashing, array, allow_pickle=False)
    return str(hashing.sum.hexdigest())


class _Hashing:
    """Passes on what is written, and hashes it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sum = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sum.update(data)
        return self._file.write(data)


def _manifest(archive: zipfile.ZipFile, path: str | os.PathLike[str]) -> dict[str, Any]:
    if _MANIFEST not in archive.namelist():
        raise FileFormatError(
            f"{os.fspath(path)!r} is a ZIP but no file that an estimator's save wrote: "
            f"it holds no {_MANIFEST}."
        )
    manifest: dict[str, Any] = json.loads(archive.read(_stored(archive, _MANIFEST)))
    found = manifest["skraee_format"]
    if not 1 <= found <= FORMAT:
        raise FileFormatError(
            f"{os.fspath(path)!r} has format {found}, written by skraee "
            f"{manifest['versions']['skraee']}, and skraee {_version()} reads formats "
            f"up to {FORMAT}; update it: pip install --upgrade skraee."
        )
    return manifest


def _check_members(archive: zipfile.ZipFile, sums: Mapping[str, str]) -> None:
    for name, expected in sums.items():
        with archive.open(_stored(archive, _member(name))) as member:
            found = hashlib.file_digest(member, "sha256").hexdigest()  # type: ignore[arg-type]
        if found != expected:
            raise ValueError(f"member {_member(name)!r} does not match its SHA-256")


def _array(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    with archive.open(_stored(archive, _member(name))) as member:
        array: npt.NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
    return array


def _stored(archive: zipfile.ZipFile, member: str) -> zipfile.ZipInfo:
    info = archive.getinfo(member)
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"member {member!r} is compressed")
    return info


def _member(name: str) -> str:
    return f"{name}.npy"


def _sync_folder(folder: Path) -> None:
    """Bring the new name to the disk, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _version() -> str:
    return installed(("skraee",))["skraee"]
