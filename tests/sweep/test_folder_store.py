"""A folder of records: its size, damage, and many that write at once."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skraee.sweep.folder_store import FolderStore


def record(value: float, size: int = 4) -> dict[str, np.ndarray]:
    return {"a": np.full((size, 2), value, np.float32), "b": np.array(True)}


def test_folder_store_drops_the_oldest_past_its_size(tmp_path: Path) -> None:
    store = FolderStore(tmp_path, max_bytes=200_000)
    for i in range(100):
        store.write({str(i).encode(): record(i, size=1000)})
    assert store.read([b"0"]) == [None]
    assert store.read([b"99"]) != [None]
    assert 5 < len(store) < 30


def test_folder_store_recomputes_a_damaged_record(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.write({b"x": record(1), b"y": record(2)})
    with sqlite3.connect(store.path) as connection:
        (value,) = connection.execute(
            "SELECT value FROM records WHERE key=?", (b"x",)
        ).fetchone()
        damaged = value[:-1] + bytes([value[-1] ^ 1])
        connection.execute("UPDATE records SET value=? WHERE key=?", (damaged, b"x"))
    connection.close()
    x, y = store.read([b"x", b"y"])
    assert x is None
    assert y is not None


def test_folder_store_sets_a_damaged_file_aside(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.write({b"x": record(1)})
    store.path.write_bytes(b"this is no database, and long enough to be read" * 100)
    with pytest.warns(UserWarning, match="were damaged"):
        assert store.read([b"x"]) == [None]
    store.write({b"x": record(2)})
    assert store.read([b"x"]) != [None]
    assert (tmp_path / "sweeps.damaged").is_file()


def test_folder_store_of_which_another_process_moved_the_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path)
    store.path.write_bytes(b"this is no database, and long enough to be read" * 100)
    rename = Path.rename

    def second(self: Path, target: Path) -> Path:
        self.unlink(missing_ok=True)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", second)
    with pytest.warns(UserWarning, match="were damaged"):
        assert store.read([b"x"]) == [None]
    store.write({b"x": record(1)})
    assert store.read([b"x"]) != [None]


def test_folder_store_takes_writers_from_many_threads(tmp_path: Path) -> None:
    def work(i: int) -> None:
        for j in range(10):
            FolderStore(tmp_path).write({f"{i} {j}".encode(): record(i)})

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(FolderStore(tmp_path)) == 80


def test_folder_store_waits_where_sqlite_itself_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path)
    connect, waits = sqlite3.connect, []
    other = connect(store.path)
    other.execute("BEGIN EXCLUSIVE")

    def release(seconds: float) -> None:
        waits.append(seconds)
        other.rollback()

    monkeypatch.setattr(sqlite3, "connect", lambda path, **_: connect(path, timeout=0))
    monkeypatch.setattr("skraee.sweep.shared_database.time.sleep", release)
    store.write({b"x": record(1)})
    assert len(waits) == 1
    assert len(store) == 1
    other.close()


def test_folder_store_does_not_wait_for_what_waiting_does_not_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise sqlite3.OperationalError("Could not decode to UTF-8 column")

    monkeypatch.setattr(sqlite3, "connect", refused)
    monkeypatch.setattr("skraee.sweep.shared_database.time.sleep", pytest.fail)
    with pytest.raises(sqlite3.OperationalError, match="Could not decode"):
        FolderStore(tmp_path).write({b"x": record(1)})


def test_folder_store_waits_for_others_only_so_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skraee.sweep.shared_database._PATIENCE", 0.02)
    store = FolderStore(tmp_path)
    store.write({b"x": record(1)})
    with closing(sqlite3.connect(store.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            store.write({b"y": record(2)})
    assert len(store) == 1
