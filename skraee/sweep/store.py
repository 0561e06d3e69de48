"""Where sweeps and keys are kept per text, so that no text passes the backbone twice.

Records are per text and not per call, because the folds of a search shuffle texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
