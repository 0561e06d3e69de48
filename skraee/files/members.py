"""The members of an archive, none of them larger than the file has room for."""

from __future__ import annotations

import hashlib
import os
import struct
import zipfile
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from skraee.files.mapping import ALIGNMENT, mapped_array
from skraee.files.npy import read_array, read_header

# What stands before a member; the last two numbers are the lengths of its name and of
# the fields that follow. Of these, the one that zipfile writes for sizes past 4 GiB has
# 20 bytes, and the one that Android's tools pad with this number and two lengths first.
_LOCAL_HEADER = struct.Struct("<26sHH")
_SIZES_FIELD = 20
_PADDING = struct.Struct("<HHH")
_PADDING_ID = 0xD935


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
        self._file = file
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

    def array(
        self, name: str, sha256: str | None = None, *, mapped: bool = False
    ) -> npt.NDArray[Any]:
        """Read an array, and hold it to its hash, or to the ZIP's own check.

        Parameters
        ----------
        name : str
            Of the member.
        sha256 : str, optional
            Its hash.
        mapped : bool, default=False
            Whether the array stays in the file. It is read through once all the same,
            for its hash, and no memory is taken for it.
        """
        info = self._archive.getinfo(name)
        if mapped and (array := self._mapped(info)) is not None:
            self._check_sum_of(name, sha256)
            return array
        with self._archive.open(info) as member:
            hashing = _Hashing(member)
            array = read_array(hashing, info.file_size)
        if sha256 is not None:
            _check_sum(name, hashing.sum.hexdigest(), sha256)
        return array

    def check(self, sums: Mapping[str, str]) -> None:
        """Hold members to their hashes, without room for any."""
        for name, expected in sums.items():
            self._check_sum_of(name, expected)

    def _check_sum_of(self, name: str, expected: str | None) -> None:
        with self._archive.open(name) as member:  # whose end is checked by the ZIP
            found = hashlib.file_digest(member, "sha256").hexdigest()  # type: ignore[arg-type]
        if expected is not None:
            _check_sum(name, found, expected)

    def _mapped(self, info: zipfile.ZipInfo) -> npt.NDArray[Any] | None:
        """Return an array in its place; None for another machine's byte order."""
        self._check_stored(info)
        with self._archive.open(info) as member:
            header, n_read = read_header(member, info.file_size)
        start = self._start_of(info)
        if not header.dtype.isnative or info.file_size == n_read:
            return None  # and there is nothing to map of an empty one
        if start + info.file_size > self._size:
            raise ValueError(f"member {info.filename!r} is larger than the file")
        return mapped_array(self._file, start + n_read, header)

    def _start_of(self, info: zipfile.ZipInfo) -> int:
        """Return where a member's bytes begin, behind its own header."""
        self._file.seek(info.header_offset)
        fixed = self._file.read(_LOCAL_HEADER.size)
        _, n_of_name, n_of_fields = _LOCAL_HEADER.unpack(fixed)
        start: int = info.header_offset + len(fixed) + n_of_name + n_of_fields
        return start

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
    info = zipfile.ZipInfo(name)
    info.extra = _padding(archive.fp.tell(), name)  # type: ignore[union-attr]
    with archive.open(info, "w", force_zip64=True) as member:
        hashing: Any = _Hashing(member)
        np.lib.format.write_array(hashing, array, allow_pickle=False)
    return str(hashing.sum.hexdigest())


def _padding(start: int, name: str) -> bytes:
    """Return a field that brings a member to a multiple of `ALIGNMENT`.

    So are its numbers then, for numpy pads its own header to 64 bytes.
    """
    fixed = _LOCAL_HEADER.size + len(name.encode()) + _SIZES_FIELD + _PADDING.size
    n_bytes = -(start + fixed) % ALIGNMENT
    return _PADDING.pack(_PADDING_ID, 2 + n_bytes, ALIGNMENT) + bytes(n_bytes)


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
