"""The standard input as a file that can be read more than once."""

from __future__ import annotations

import io
import sys
from typing import IO, Any


class Piped:
    """What came by the standard input; it opens as a `Path` does.

    Parameters
    ----------
    content : bytes
        All of it.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content

    @classmethod
    def read(cls) -> Piped:
        """Read the standard input to its end.

        Raises
        ------
        OSError
            If it is closed.
        """
        if sys.stdin is None:
            raise OSError("the standard input is closed; name a file in place of '-'.")
        return cls(sys.stdin.buffer.read())

    def open(
        self,
        mode: str = "r",
        encoding: str | None = None,
        newline: str | None = None,
    ) -> IO[Any]:
        """Open it from its start."""
        binary = io.BytesIO(self._content)
        if "b" in mode:
            return binary
        return io.TextIOWrapper(binary, encoding=encoding, newline=newline)

    def read_bytes(self) -> bytes:
        """Return all of it."""
        return self._content

    def __str__(self) -> str:
        return "the standard input"
