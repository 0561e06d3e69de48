"""A SQLite file that threads and processes share."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TypeVar

from skraee.exceptions import StoreWarning, warn_user
from skraee.threads.locks import fork_safe_lock

T = TypeVar("T")

_PATIENCE, _PAUSE = 60.0, 0.01  # seconds, for a file that others have locked
_TURN = 0.05  # of these, how long SQLite itself waits: a fork has to wait for it
_TAKEN = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

# SQLite has locks of its own, which a new process would find taken.
_in_sqlite = fork_safe_lock()


@dataclass(frozen=True)
class SharedDatabase:
    """A SQLite file of one table, in write-ahead mode; made where it is not there.

    Attributes
    ----------
    path : Path
        Of the file; another program's database in its place is not touched.
    table : str
        The statement that creates the table.
    """

    path: Path
    table: str

    def run_or_replace(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Do some work; of a damaged file nothing can be had, so it is moved aside."""
        identity = self._identity()
        try:
            return self.run(work)
        except sqlite3.DatabaseError as error:
            if not (_code(error) in _DAMAGED or self._is_blocked()):
                raise
            if identity == self._identity():  # else another process was first
                self._set_aside(error)
            return None

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do some work, once more from the start while others have the file locked.

        SQLite's own patience ends at once where two change a new file to write-ahead
        mode, and where waiting might never end. It is short, as no process can fork
        meanwhile.
        """
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                with _in_sqlite, self._connection() as connection:
                    return work(connection)
            except sqlite3.OperationalError as error:
                if _code(error) not in _TAKEN or time.monotonic() > until:
                    raise
            time.sleep(_PAUSE)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        # One for each call: a connection outlives neither its thread nor a fork.
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=_TURN)) as connection:
            query = "SELECT sql FROM sqlite_master WHERE sql NOT NULL"
            tables = connection.execute(query).fetchall()
            if tables not in ([], [(self.table,)]):
                raise FileExistsError(
                    f"{str(self.path)!r} is the database of another program, or of "
                    "another release of skraee; give memory= another folder."
                )
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            if not tables:
                connection.execute(self.table.replace("TABLE", "TABLE IF NOT EXISTS"))
            yield connection

    def _identity(self) -> tuple[int, int] | None:
        """Return what tells the file from another one of its name."""
        with contextlib.suppress(FileNotFoundError):
            found = self.path.stat()
            return found.st_dev, found.st_ino
        return None

    def _beside(self) -> list[Path]:
        """Return the files that SQLite keeps beside a database."""
        name = self.path.name
        return [self.path.with_name(name + s) for s in ("-journal", "-wal", "-shm")]

    def _is_blocked(self) -> bool:
        """Whether something else stands where SQLite has to make a file."""
        return any(place.is_dir() for place in self._beside())

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        """Move a file that SQLite cannot read out of the way; nothing of it is lost."""
        folder, stem = self.path.parent, self.path.stem
        names = (f"{stem}{-n or ''}.damaged" for n in count())
        aside = next(p for p in map(folder.joinpath, names) if not p.exists())
        for old in (*self._beside(), self.path):  # first what a new file has not
            with contextlib.suppress(FileNotFoundError):
                suffix = old.name.removeprefix(self.path.name)
                old.rename(aside.with_name(aside.name + suffix))
        warn_user(
            f"the {stem} in {str(folder)!r} were damaged ({error}) and are computed "
            f"anew; the file was moved to {aside.name}.",
            StoreWarning,
        )


def _code(error: sqlite3.Error) -> int:
    """Return what SQLite says; 0 where the error is the module's own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
