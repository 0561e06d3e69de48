"""Arrays that stay in their file: the system reads what is looked at, when it is."""

from __future__ import annotations

import mmap
from math import prod
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from skraee.files.npy import Header

#: Bytes to whose multiples numbers are brought in a file, so that a processor's widest
#: instructions may load them where they lie.
ALIGNMENT = 64


def mapped_array(file: IO[bytes], start: int, header: Header) -> npt.NDArray[Any]:
    """Return an array that is read-only and takes no memory of its own.

    It outlives the file's name: where another file is put in the place, the system
    keeps this one until the array is gone.

    Parameters
    ----------
    file : binary file
        Of the disk, open for reading.
    start : int
        Where the numbers begin in it; any place will do, a multiple of `ALIGNMENT` is
        faster.
    header : Header
        Their dtype, of this machine's byte order, and shape.
    """
    whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    flat = np.frombuffer(whole, header.dtype, prod(header.shape), start)
    return header.shaped(flat)


def release_pages(array: npt.NDArray[Any]) -> None:
    """Let go of what was read of a mapped array; it is read again when it is needed.

    Parameters
    ----------
    array : ndarray
        Others are left alone.
    """
    mapped = _map_of(array)
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def is_mapped(array: npt.NDArray[Any]) -> bool:
    """Whether an array, or what it is a view of, stays in its file."""
    return _map_of(array) is not None


def _map_of(array: Any) -> mmap.mmap | None:
    below = array
    while below is not None and not isinstance(below, mmap.mmap):
        is_view = isinstance(below, memoryview)
        below = below.obj if is_view else getattr(below, "base", None)
    return below
