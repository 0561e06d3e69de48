"""The members of an archive, none of them larger than the file has room for."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from skraee.files.npy import read_array


class Members:
    """A ZIP that is open for reading.

    Parameters
    ----------
    file : binary file
        Of the disk.

    Raises
    ------
    ValueError, BadZipFile
        If it is no ZIP of members that are stored as they are, each once, and that fit
        in the file one beside the other.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._archive = zipfile.ZipFile(file)
        self._size = os.fstat(file.fileno()).st_size

    @property
    def names(self) -> list[str]:
        """Names of all members."""
        return self._archive.namelist()

    def check_sizes(self) -> None:
        """Refuse what would unpack to more than the file's own size."""
        if len(set(self.names)) < len(self.names):
            raise ValueError("two members have one name")
        for info in self._archive.infolist():
            self._check_stored(info)
        if sum(info.file_size for info in self._archive.infolist()) > self._size:
            raise ValueError("its members overlap")

    def read(self, name: str) -> bytes:
        """Return a member's bytes."""
        info = self._archive.getinfo(name)
        self._check_stored(info)
        return self._archive.read(info)

    def array(self, name: str, sha256: str | None = None) -> npt.NDArray[Any]:
        """Read an array, and hold it to its hash, or to the ZIP's own check."""
        info = self._archive.getinfo(name)
        with self._archive.open(info) as member:
            hashing = _Hashing(member)
            array = read_array(hashing, info.file_size)
        if sha256 is not None:
            _check_sum(name, hashing.sum.hexdigest(), sha256)
        return array

    def check(self, sums: Mapping[str, str]) -> None:
        """Hold members to their hashes, without room for any."""
        for name, expected in sums.items():
            with self._archive.open(name) as member:
                found = hashlib.file_digest(member, "sha256").hexdigest()  # type: ignore[arg-type]
            _check_sum(name, found, expected)

    def _check_stored(self, info: zipfile.ZipInfo) -> None:
        if info.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"member {info.filename!r} is compressed")
        fits = 0 <= info.header_offset <= self._size - info.file_size
        if info.compress_size != info.file_size or not fits:
            raise ValueError(f"member {info.filename!r} is larger than the file")


def put_array(archive: zipfile.ZipFile, name: str, array: npt.NDArray[Any]) -> str:
    """Write an array without Python objects as a member, and return its SHA-256.

    `numpy.savez` before numpy 2.1 cannot be told to pickle nothing.
    """
    # A ZipInfo of its own has no time in it: equal arrays make equal files.
    with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member:
        hashing: Any = _Hashing(member)
        np.lib.format.write_array(hashing, array, allow_pickle=False)
    return str(hashing.sum.hexdigest())


class _Hashing:
    """Passes on what is read or written, and hashes it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sum = hashlib.sha256()

    def read(self, n: int) -> bytes:
        data = self._file.read(n)
        self.sum.update(data)
        return data

    def write(self, data: bytes) -> int:
        self.sum.update(data)
        return self._file.write(data)


def _check_sum(name: str, found: str, expected: str) -> None:
    if found != expected:
        raise ValueError(f"member {name!r} does not match its SHA-256")
