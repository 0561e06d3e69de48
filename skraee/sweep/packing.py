"""A record as bytes: checksum, length of the header, header, the arrays' bytes."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from skraee.sweep.store import Arrays


def pack(record: Arrays) -> bytes:
    """Lay the arrays of a record out."""
    header = json.dumps(
        [(name, array.dtype.str, array.shape) for name, array in record.items()]
    ).encode()
    parts = [np.ascontiguousarray(array).tobytes() for array in record.values()]
    body = b"".join([len(header).to_bytes(4, "little"), header, *parts])
    return _checksum(body) + body


def unpack(data: bytes | None) -> Arrays | None:
    """Return the arrays; None for a damaged record, which is as good as missing."""
    # SQLite keeps what it is given, of any type.
    if not isinstance(data, bytes) or _checksum(data[16:]) != data[:16]:
        return None
    length = int.from_bytes(data[16:20], "little")
    start = 20 + length
    record = {}
    for name, dtype, shape in json.loads(data[20:start]):
        count = int(np.prod(shape))
        array = np.frombuffer(data, np.dtype(dtype), count, start).reshape(shape)
        record[name] = array
        start += array.nbytes
    return record


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).digest()
