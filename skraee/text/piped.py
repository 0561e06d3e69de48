"""The standard input, or a pipe, as a file that can be read more than once."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import IO, Any

from skraee.text.table_format import STREAM


class Piped:
    """What came by a pipe; it opens as a `Path` does.

    Parameters
    ----------
    content : bytes
        All of it.
    name : str, default="the standard input"
        For errors.
    """

    def __init__(self, content: bytes, name: str = "the standard input") -> None:
        self._content = content
        self._name = name

    @classmethod
    def read(cls, path: Path = STREAM) -> Piped:
        """Read the standard input, or a pipe that has a path, to its end.

        Parameters
        ----------
        path : Path, default=STREAM
            ``-`` is the standard input.

        Raises
        ------
        OSError
            If the standard input is closed.
        """
        if path != STREAM:
            return cls(path.read_bytes(), str(path))
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

    def __str__(self) -> str:
        return self._name
