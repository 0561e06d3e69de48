"""A folder of records: its size, damage, and many that write at once."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skraee.sweep.folder_store import FolderStore
from skraee.sweep.packing import unpack


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


def test_folder_store_takes_no_record_for_that_of_another_text(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.write({b"x": record(1), b"y": record(2)})
    with closing(sqlite3.connect(store.path)) as other, other:
        query = "UPDATE records SET value = (SELECT value FROM records WHERE key = ?)"
        other.execute(query, (b"y",))
    found = store.read([b"x", b"y"])
    assert found[0] is None
    assert found[1] is not None


@pytest.mark.parametrize(
    "header",
    [
        [["a", "<f4", [2], "more"]],
        [["a", "no dtype", [2]]],
        [["a", "|O", [2]]],
        [["a", "<f4", [3]]],
        [["a", "<f4", [2**70]]],
        [["a", "<f4", "two"]],
        [[["a"], "<f4", [2]]],
        {"a": 1},
        7,
    ],
)
def test_what_another_release_laid_out_is_as_good_as_missing(header: Any) -> None:
    def packed(header: Any) -> bytes:
        head = json.dumps(header).encode()
        body = b"".join([len(head).to_bytes(4, "little"), head, b"\0" * 8])
        return hashlib.blake2b(b"x" + body, digest_size=16).digest() + body

    assert unpack(b"x", packed([["a", "<f4", [2]]])) is not None
    assert unpack(b"x", packed(header)) is None
    assert unpack(b"y", packed([["a", "<f4", [2]]])) is None


def test_forks_and_threads_use_sqlite_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, n_open, most = sqlite3.connect, [0], [0]

    class Counted(sqlite3.Connection):
        def close(self) -> None:
            super().close()
            n_open[0] -= 1

    def counted(*args: Any, **keywords: Any) -> sqlite3.Connection:
        n_open[0] += 1
        most[0] = max(most[0], n_open[0])
        return connect(*args, **keywords, factory=Counted)

    monkeypatch.setattr(sqlite3, "connect", counted)
    store = FolderStore(tmp_path)
    threads = [
        threading.Thread(target=lambda i=i: store.write({bytes([i]): record(i)}))
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store) == 8
    assert (n_open, most) == ([0], [1])
