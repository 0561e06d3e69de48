"""A record as bytes: checksum, length of the header, header, the arrays' bytes.

The checksum is that of the record under its name: a damaged index that leads to the
record of another text leads to nothing.
"""

from __future__ import annotations

import hashlib
import json
import math

import numpy as np

from skraee.sweep.store import Arrays

_CHECKSUM_BYTES = 16


def pack(name: bytes, record: Arrays) -> bytes:
    """Lay the arrays of a record out."""
    header = json.dumps(
        [(part, array.dtype.str, array.shape) for part, array in record.items()]
    ).encode()
    parts = [np.ascontiguousarray(array).tobytes() for array in record.values()]
    body = b"".join([len(header).to_bytes(4, "little"), header, *parts])
    return _checksum(name, body) + body


def unpack(name: bytes, data: object) -> Arrays | None:
    """Return the arrays; None for what is damaged, and so as good as missing."""
    # SQLite keeps what it is given, of any type.
    if not isinstance(data, bytes):
        return None
    body = data[_CHECKSUM_BYTES:]
    if _checksum(name, body) != data[:_CHECKSUM_BYTES]:
        return None
    try:
        return _arrays(body)
    except (
        ValueError,
        TypeError,
        OverflowError,
        RecursionError,
    ):  # another release laid it out
        return None


def _arrays(body: bytes) -> Arrays:
    start = 4 + int.from_bytes(body[:4], "little")
    record = {}
    for part, dtype, shape in json.loads(body[4:start]):
        array = np.frombuffer(body, np.dtype(dtype), math.prod(shape), start)
        record[part] = array.reshape(shape)
        start += array.nbytes
    return record


def _checksum(name: bytes, body: bytes) -> bytes:
    digest = hashlib.blake2b(name, digest_size=_CHECKSUM_BYTES)
    digest.update(body)
    return digest.digest()
