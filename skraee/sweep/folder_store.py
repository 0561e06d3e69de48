"""A store in a folder."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from skraee.sweep.packing import pack, unpack
from skraee.sweep.shared_database import SharedDatabase
from skraee.sweep.store import Arrays

_MAX_BYTES = 2**32
_AT_ONCE = 500  # SQLite takes 999 values in a statement
_TABLE = "CREATE TABLE records (key BLOB PRIMARY KEY, value BLOB)"


class FolderStore:
    """Records in a folder, for later processes and for several at once.

    A SQLite file in write-ahead mode: what a crash interrupts is not there. A damaged
    file is moved aside, and the database of another program is not touched. Nothing in
    it is ever unpickled.

    Parameters
    ----------
    folder : str or Path
        Made where it is not there. Give each machine of a cluster its own: SQLite
        does not lock reliably on network drives.
    max_bytes : int, default=4294967296
        Size of the file at which the oldest records go.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from skraee.sweep.folder_store import FolderStore
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = FolderStore(folder)
    ...     store.write({b"text": {"key": np.zeros(3)}})
    ...     FolderStore(folder).read([b"text", b"other"])
    [{'key': array([0., 0., 0.])}, None]
    """

    def __init__(
        self, folder: str | os.PathLike[str], max_bytes: int = _MAX_BYTES
    ) -> None:
        if "\0" in os.fspath(folder):
            raise ValueError(
                f"memory= must be the path of a folder, got {os.fspath(folder)!r}, "
                "which holds a zero byte; give another one, or None."
            )
        self.folder = Path(folder).expanduser().absolute()
        self.max_bytes = max_bytes

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return self.folder / "sweeps.sqlite"

    @property
    def _database(self) -> SharedDatabase:
        return SharedDatabase(self.path, _TABLE)

    def __len__(self) -> int:
        query = "SELECT COUNT(*) FROM records"
        count = self._database.run_or_replace(lambda at: at.execute(query).fetchone())
        return 0 if count is None else int(count[0])

    def read(self, keys: Sequence[bytes]) -> list[Arrays | None]:
        """Return the records of these keys; None where there is none."""
        if not self.path.is_file():
            return [None] * len(keys)
        found: dict[bytes, bytes] = {}
        for start in range(0, len(keys), _AT_ONCE):
            found |= self._found(keys[start : start + _AT_ONCE])
        return [unpack(key, found.get(key)) for key in keys]

    def write(self, records: Mapping[bytes, Arrays]) -> None:
        """Keep records; those that are there are replaced."""
        if not records:
            return
        rows = [(key, pack(key, record)) for key, record in records.items()]

        def replace(connection: sqlite3.Connection) -> None:
            with connection:
                connection.executemany("REPLACE INTO records VALUES (?, ?)", rows)
                self._shrink(connection)

        self._database.run_or_replace(replace)

    def clear(self) -> None:
        """Forget all records and give the space back."""

        def empty(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM records")
            connection.commit()
            connection.execute("VACUUM")

        if not self.path.is_file():
            return
        try:
            self._database.run_or_replace(empty)
        except sqlite3.Error as error:
            raise OSError(
                f"the store in {str(self.folder)!r} cannot be emptied "
                f"({type(error).__name__}: {error}); mend the folder, or remove it."
            ) from error

    def _found(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        marks = ",".join("?" * len(keys))
        query = f"SELECT key, value FROM records WHERE key IN ({marks})"
        found = self._database.run_or_replace(
            lambda at: at.execute(query, keys).fetchall()
        )
        return dict(found or ())

    def _shrink(self, connection: sqlite3.Connection) -> None:
        """Drop the oldest records until a tenth of the space is free."""
        while _used_bytes(connection) > self.max_bytes:
            connection.execute(
                "DELETE FROM records WHERE rowid IN (SELECT rowid FROM records ORDER BY"
                " rowid LIMIT (SELECT MAX(1, COUNT(*) / 10) FROM records))"
            )


def _used_bytes(connection: sqlite3.Connection) -> int:
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)
