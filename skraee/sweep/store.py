"""Where sweeps and keys are kept per text, so that no text passes the backbone twice.

Records are per text and not per call, because the folds of a search shuffle texts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy.typing as npt

#: A record: a few named arrays.
Arrays = Mapping[str, npt.NDArray[Any]]


class Store(Protocol):
    """What a place for records can do."""

    def read(self, keys: Sequence[bytes]) -> list[Arrays | None]:
        """Return the records of these keys; None where there is none."""

    def write(self, records: Mapping[bytes, Arrays]) -> None:
        """Keep records; those that are there are replaced."""

    def clear(self) -> None:
        """Forget all records."""


def record_keys(
    kind: str, context: Sequence[Any], samples: Iterable[tuple[str, ...]]
) -> list[bytes]:
    """Return the keys of records.

    Parameters
    ----------
    kind : str
        What the records hold.
    context : sequence
        Everything beside the text on which they depend.
    samples : iterable of n tuples of str
        The texts, field by field.

    Returns
    -------
    list of n bytes
    """
    start = hashlib.blake2b(json.dumps([kind, *context]).encode(), digest_size=20)
    keys = []
    for fields in samples:
        digest = start.copy()
        for field in fields:
            data = field.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "little"))
            digest.update(data)
        keys.append(digest.digest())
    return keys
