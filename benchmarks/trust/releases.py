"""Releases of skraee that lay records out in other ways, as this one sees them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np

from skraee.sweep import packing

_Packed = tuple[Callable[..., bytes], Callable[..., Any]]


def _without_name(name: bytes, record: Any) -> bytes:
    """Pack as releases did that had no name in the checksum."""
    body = packing.pack(name, record)[16:]
    return hashlib.blake2b(body, digest_size=16).digest() + body


def _of_no_name(name: bytes, data: Any) -> Any:
    if data is None or data[:16] != hashlib.blake2b(data[16:], digest_size=16).digest():
        return None
    return packing.unpack(name, _summed(name, data[16:]))


def _with_more_in_the_header(name: bytes, record: Any) -> bytes:
    """Pack as a release may that says more of each array, and sums the same way."""
    header = json.dumps(
        [(part, a.dtype.str, a.shape, "raw") for part, a in record.items()]
    ).encode()
    data = [np.ascontiguousarray(array).tobytes() for array in record.values()]
    return _summed(name, b"".join([len(header).to_bytes(4, "little"), header, *data]))


def _with_other_parts(name: bytes, record: Any) -> bytes:
    """Pack as a release may that calls the arrays otherwise, and turns them."""
    return packing.pack(name, {f"{part}s": array.T for part, array in record.items()})


def _with_other_dtypes(name: bytes, record: Any) -> bytes:
    """Pack as a release may that keeps other numbers."""
    turned = {part: array.astype(np.float64) for part, array in record.items()}
    return packing.pack(name, turned)


def _summed(name: bytes, body: bytes) -> bytes:
    return hashlib.blake2b(name + body, digest_size=16).digest() + body


def _nothing(name: bytes, data: Any) -> None:
    return None


PRETENDED: dict[str, _Packed] = {
    "an older checksum": (_without_name, _of_no_name),
    "a fuller header": (_with_more_in_the_header, _nothing),
    "other parts": (_with_other_parts, _nothing),
    "other numbers": (_with_other_dtypes, _nothing),
}


@contextmanager
def as_release(name: str) -> Iterator[None]:
    """Read and write records as a pretended release does."""
    pack, unpack = PRETENDED[name]
    with (
        mock.patch("skraee.sweep.folder_store.pack", pack),
        mock.patch("skraee.sweep.folder_store.unpack", unpack),
    ):
        yield
