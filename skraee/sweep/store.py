"""Keeps sweeps and keys per text, so that no text passes the backbone twice.

Records are per text and not per call, because the folds of a search shuffle texts.
A record's key is a hash of everything that it depends on; its value is a few named
arrays. Two stores share one interface: one in memory, one in a folder (SQLite).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import threading
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from skraee.engine.lru_cache import clear_caches
from skraee.exceptions import StoreWarning

Arrays = Mapping[str, npt.NDArray[Any]]
T = TypeVar("T")

_PROCESS_BYTES = 2**30
_FOLDER_BYTES = 2**32
_AT_ONCE = 500  # SQLite takes 999 values in a statement
_PATIENCE, _PAUSE = 60.0, 0.01  # seconds, for a file that others have locked
_TAKEN = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_TABLE = "CREATE TABLE records (key BLOB PRIMARY KEY, value BLOB)"


class Store(Protocol):
    """What a place for records can do."""

    def read(self, keys: Sequence[bytes]) -> list[Arrays | None]:
        """Return the records of these keys; None where there is none."""

    def write(self, records: Mapping[bytes, Arrays]) -> None:
        """Keep records; those that are there are replaced."""

    def clear(self) -> None:
        """Forget all records."""


class MemoryStore:
    """Records of this process; the least recently used go first.

    Parameters
    ----------
    max_bytes : int, default=1073741824
        Bytes of arrays to keep.
    """

    def __init__(self, max_bytes: int = _PROCESS_BYTES) -> None:
        self.max_bytes = max_bytes
        self.n_bytes = 0
        self._records: OrderedDict[bytes, Arrays] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._records)

    def read(self, keys: Sequence[bytes]) -> list[Arrays | None]:
        """Return the records of these keys; None where there is none."""
        with self._lock:
            found = [self._records.get(key) for key in keys]
            for key, record in zip(keys, found, strict=True):
                if record is not None:
                    self._records.move_to_end(key)
            return found

    def write(self, records: Mapping[bytes, Arrays]) -> None:
        """Keep records; those that are there are replaced."""
        with self._lock:
            for key, record in records.items():
                self._drop(key)
                self._records[key] = record
                self.n_bytes += _size(record)
            while self.n_bytes > self.max_bytes:
                self._drop(next(iter(self._records)))

    def clear(self) -> None:
        """Forget all records."""
        with self._lock:
            self._records.clear()
            self.n_bytes = 0

    def _drop(self, key: bytes) -> None:
        if (record := self._records.pop(key, None)) is not None:
            self.n_bytes -= _size(record)


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
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = FolderStore(folder)
    ...     store.write({b"text": {"key": np.zeros(3)}})
    ...     FolderStore(folder).read([b"text", b"other"])
    [{'key': array([0., 0., 0.])}, None]
    """

    def __init__(
        self, folder: str | os.PathLike[str], max_bytes: int = _FOLDER_BYTES
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

    def __len__(self) -> int:
        count = "SELECT COUNT(*) FROM records"
        return int(self._retried(lambda at: at.execute(count).fetchone()[0]))

    def read(self, keys: Sequence[bytes]) -> list[Arrays | None]:
        """Return the records of these keys; None where there is none."""
        if not self.path.is_file():
            return [None] * len(keys)
        found: dict[bytes, bytes] = {}
        for start in range(0, len(keys), _AT_ONCE):
            found |= self._found(keys[start : start + _AT_ONCE])
        return [_unpack(found.get(key)) for key in keys]

    def write(self, records: Mapping[bytes, Arrays]) -> None:
        """Keep records; those that are there are replaced."""
        if not records:
            return
        rows = [(key, _pack(record)) for key, record in records.items()]

        def replace(connection: sqlite3.Connection) -> None:
            with connection:
                connection.executemany("REPLACE INTO records VALUES (?, ?)", rows)
                self._shrink(connection)

        self._done(replace)

    def clear(self) -> None:
        """Forget all records and give the space back."""

        def empty(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM records")
            connection.commit()
            connection.execute("VACUUM")

        if self.path.is_file():
            self._retried(empty)

    def _found(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        marks = ",".join("?" * len(keys))
        query = f"SELECT key, value FROM records WHERE key IN ({marks})"
        return dict(self._done(lambda at: at.execute(query, keys).fetchall()) or ())

    def _done(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Do it; of a damaged file nothing can be had, so it is moved aside."""
        identity = self._identity()
        try:
            return self._retried(work)
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
                raise
            if identity == self._identity():  # else another process was first
                self._set_aside(error)
            return None

    def _retried(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do it, once more from the start while others have the file locked.

        SQLite's own patience ends at once where two change a new file to write-ahead
        mode, and where waiting might never end.
        """
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                with self._connection() as connection:
                    return work(connection)
            except sqlite3.OperationalError as error:
                # Errors of the module itself, not of SQLite, have no code.
                taken = getattr(error, "sqlite_errorcode", 0) & 0xFF in _TAKEN
                if not taken or time.monotonic() > until:
                    raise
            time.sleep(_PAUSE)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        # One for each call: a connection outlives neither its thread nor a fork.
        self.folder.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=_PATIENCE)) as connection:
            query = "SELECT sql FROM sqlite_master WHERE sql NOT NULL"
            tables = connection.execute(query).fetchall()
            if tables not in ([], [(_TABLE,)]):
                raise FileExistsError(
                    f"{str(self.path)!r} is the database of another program; give "
                    "memory= another folder."
                )
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            if not tables:
                connection.execute(_TABLE.replace("TABLE", "TABLE IF NOT EXISTS"))
            yield connection

    def _shrink(self, connection: sqlite3.Connection) -> None:
        """Drop the oldest records until a tenth of the space is free."""
        while _used_bytes(connection) > self.max_bytes:
            connection.execute(
                "DELETE FROM records WHERE rowid IN (SELECT rowid FROM records ORDER BY"
                " rowid LIMIT (SELECT MAX(1, COUNT(*) / 10) FROM records))"
            )

    def _identity(self) -> tuple[int, int] | None:
        """Return what tells the file from another one of its name."""
        with contextlib.suppress(FileNotFoundError):
            found = self.path.stat()
            return found.st_dev, found.st_ino
        return None

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        """Move a file that SQLite cannot read out of the way; nothing of it is lost."""
        names = (f"sweeps{-n or ''}.damaged" for n in count())
        aside = next(p for p in map(self.folder.joinpath, names) if not p.exists())
        for suffix in ("-journal", "-wal", "-shm", ""):  # first what a new file has not
            with contextlib.suppress(FileNotFoundError):
                old = self.path.with_name(self.path.name + suffix)
                old.rename(aside.with_name(aside.name + suffix))
        warnings.warn(
            f"the sweeps in {str(self.folder)!r} were damaged ({error}) and are "
            f"computed anew; the file was moved to {aside.name}.",
            StoreWarning,
            stacklevel=2,
        )


_process_store = MemoryStore()


def store_for(memory: Any) -> Store | None:
    """Return the store that the parameter ``memory`` stands for.

    Parameters
    ----------
    memory : "process", None, str, Path, joblib.Memory or Store
        "process": the one of this process; None: none; a folder, or an object with
        the ``location`` of one.

    Returns
    -------
    Store or None

    Raises
    ------
    TypeError
        If it is something else.
    """
    if memory is None:
        return None
    if isinstance(memory, str) and memory == "process":
        return _process_store
    if isinstance(memory, (str, os.PathLike)):
        return FolderStore(memory)
    if hasattr(memory, "read") and hasattr(memory, "write"):
        return memory  # type: ignore[no-any-return]
    if hasattr(memory, "location"):
        return None if memory.location is None else FolderStore(memory.location)
    raise TypeError(
        "memory must be 'process', None, a folder or a joblib.Memory, got "
        f"{type(memory).__name__}."
    )


def clear_sweeps(memory: Any = "process") -> None:
    """Forget the sweeps and keys that were kept.

    Parameters
    ----------
    memory : "process", str, Path, joblib.Memory or Store, default="process"
        As given to the estimator. "process" also forgets the indexes, neighbours and
        solved readouts that the last fits share.
    """
    store = store_for(memory)
    if store is not None:
        store.clear()
    if store is _process_store:
        clear_caches()


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


def _size(record: Arrays) -> int:
    return sum(array.nbytes for array in record.values())


def _used_bytes(connection: sqlite3.Connection) -> int:
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _pack(record: Arrays) -> bytes:
    """Lay arrays out as: checksum, length of the header, header, their bytes."""
    header = json.dumps(
        [(name, array.dtype.str, array.shape) for name, array in record.items()]
    ).encode()
    parts = [np.ascontiguousarray(array).tobytes() for array in record.values()]
    body = b"".join([len(header).to_bytes(4, "little"), header, *parts])
    return _checksum(body) + body


def _unpack(data: bytes | None) -> Arrays | None:
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
