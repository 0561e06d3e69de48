"""Arrays as `.npy` members: their headers are believed only if the sizes agree.

`numpy.lib.format` reads a header as Python source and makes room for what it says. Here
one regular expression reads what `numpy.save` writes of arrays without Python objects,
and room is made only where the member is just as large.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from typing import IO, Any

import numpy as np
import numpy.typing as npt

_MAGIC = b"\x93NUMPY"
# Of each version how many bytes tell the length of the header.
_LENGTH_BYTES = {b"\x01\x00": 2, b"\x02\x00": 4}
_LONGEST_HEADER = 4096
_MOST_DIMENSIONS = 8
_AT_ONCE = 2**20

_HEADER = re.compile(
    r"\{'descr': '(?P<dtype>[<>|=][biufcmMUS]\d{1,9}(?:\[\w{1,9}\])?)', "
    r"'fortran_order': (?P<fortran>True|False), "
    r"'shape': \((?P<shape>|\d{1,18},|\d{1,18}(?:, \d{1,18})+)\), \} *\n"
)


@dataclass(frozen=True)
class Header:
    """What stands before the numbers.

    Attributes
    ----------
    dtype : dtype
    shape : tuple of int
    is_fortran : bool
        Whether the first index runs fastest.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    is_fortran: bool

    def shaped(self, flat: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return numbers in the order of the file with their shape; no copy."""
        order: Any = "F" if self.is_fortran else "C"
        return flat.reshape(self.shape, order=order)


def read_array(file: Any, n_bytes: int) -> npt.NDArray[Any]:
    """Read an array; no room is made for more than there is.

    Parameters
    ----------
    file : file-like
        With `read`, at the beginning of the member.
    n_bytes : int
        Size of the member.

    Raises
    ------
    ValueError
        If it is no array of numbers, texts or dates, or of another size than it says.
    """
    header, _ = read_header(file, n_bytes)
    flat = np.empty(prod(header.shape), header.dtype)
    _fill(flat.view(np.uint8), file)
    # Of another machine's byte order nothing but numpy makes use.
    return header.shaped(flat.astype(header.dtype.newbyteorder("="), copy=False))


def read_header(file: Any, n_bytes: int) -> tuple[Header, int]:
    """Read what stands before the numbers, and see that there is room for these.

    Parameters
    ----------
    file : file-like
        With `read`, at the beginning of the member.
    n_bytes : int
        Size of the member.

    Returns
    -------
    header : Header
    n_read : int
        Its bytes.

    Raises
    ------
    ValueError
        As `read_array` does.
    """
    header, n_read = _header(file)
    if max(header.shape, default=0) > n_bytes:
        raise ValueError(f"an array of shape {header.shape} in {n_bytes} bytes")
    expected = prod(header.shape) * header.dtype.itemsize
    if expected != n_bytes - n_read:
        raise ValueError(
            f"an array of {expected} bytes, dtype {header.dtype} and shape "
            f"{header.shape}, in {n_bytes - n_read} bytes"
        )
    return header, n_read


def _header(file: IO[bytes]) -> tuple[Header, int]:
    start = file.read(len(_MAGIC) + 2)
    n_length = _LENGTH_BYTES.get(start[len(_MAGIC) :])
    if start[: len(_MAGIC)] != _MAGIC or n_length is None:
        raise ValueError("a member that is no array")
    length = int.from_bytes(file.read(n_length), "little")
    if length > _LONGEST_HEADER:
        raise ValueError(f"the header of an array with {length} bytes")
    found = _HEADER.fullmatch(file.read(length).decode("latin-1"))
    if found is None:
        raise ValueError("an array with a header of another form")
    shape = tuple(int(n) for n in found["shape"].split(",") if n.strip())
    dtype = np.dtype(found["dtype"])
    if dtype.itemsize == 0 or len(shape) > _MOST_DIMENSIONS:
        raise ValueError(f"an array of dtype {dtype} and {len(shape)} dimensions")
    header = Header(dtype, shape, found["fortran"] == "True")
    return header, len(start) + n_length + length


def _fill(room: npt.NDArray[np.uint8], file: IO[bytes]) -> None:
    for start in range(0, len(room), _AT_ONCE):
        part = room[start : start + _AT_ONCE]
        found = file.read(len(part))
        if len(found) < len(part):
            raise ValueError("an array whose end is missing")
        part[:] = np.frombuffer(found, np.uint8)
