"""A folder for sweeps that cannot be used costs one warning, and no answer."""

from __future__ import annotations

import re
import sqlite3
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.model_selection import cross_val_score

from skraee import RAEEClassifierCV, clear_sweeps, toy
from skraee.baselines import AdaInferClassifier, DeeBERTClassifier
from skraee.exceptions import StoreWarning
from skraee.sweep import chunks
from skraee.sweep.best_effort_store import BestEffortStore
from skraee.sweep.folder_store import FolderStore
from skraee.sweep.packing import pack
from skraee.sweep.shared_database import SharedDatabase
from tests.support.classifiers import early_exit, make_classifier, raee

X, Y = toy.reviews(60)
X_NEW, _ = toy.reviews(30, seed=1)
CLASSES = ["negative", "positive"]


class Spoiled:
    """A folder that has been made unusable."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, until: ExitStack):
        self.folder = folder
        self.patch = patch
        self.until = until
        self.store = FolderStore(folder)
        self.again: Callable[[], None] = lambda: None

    def connecting(self, connect: Callable[..., sqlite3.Connection]) -> None:
        self.patch.setattr(sqlite3, "connect", connect)


def is_a_file(spoiled: Spoiled) -> None:
    spoiled.folder.rmdir()
    spoiled.folder.write_text("no folder")


def is_below_a_file(spoiled: Spoiled) -> None:
    is_a_file(spoiled)
    spoiled.store = FolderStore(spoiled.folder / "kept")


def is_a_link_to_itself(spoiled: Spoiled) -> None:
    spoiled.folder.rmdir()
    spoiled.folder.symlink_to(spoiled.folder)


def may_not_be_made(spoiled: Spoiled) -> None:
    def refused(self: Path, *_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    spoiled.patch.setattr(Path, "mkdir", refused)


def may_not_be_looked_into(spoiled: Spoiled) -> None:
    is_file, folder = Path.is_file, spoiled.folder

    def refused(self: Path) -> bool:
        if folder in self.parents:
            raise PermissionError(13, "Permission denied", str(self))
        return is_file(self)

    spoiled.patch.setattr(Path, "is_file", refused)


def has_a_folder_in_its_place(spoiled: Spoiled) -> None:
    spoiled.store.path.mkdir()


def may_not_be_opened(spoiled: Spoiled) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise sqlite3.OperationalError("unable to open database file")

    spoiled.connecting(refused)


def is_read_only(spoiled: Spoiled) -> None:
    spoiled.store.write({b"x": {"a": np.zeros(3)}})
    connect, uri = sqlite3.connect, f"{spoiled.store.path.as_uri()}?mode=ro"
    spoiled.connecting(lambda *_, **__: connect(uri, uri=True))


def is_full(spoiled: Spoiled) -> None:
    spoiled.store.write({b"x": {"a": np.zeros(3)}})
    connect = sqlite3.connect

    def full(*args: Any, **keywords: Any) -> sqlite3.Connection:
        connection = connect(*args, **keywords)
        connection.execute("PRAGMA max_page_count = 1")  # no more than it has
        return connection

    spoiled.connecting(full)


def is_locked_for_good(spoiled: Spoiled) -> None:
    spoiled.patch.setattr("skraee.sweep.shared_database._PATIENCE", 0.02)
    other = spoiled.until.enter_context(closing(sqlite3.connect(spoiled.store.path)))
    other.execute("BEGIN EXCLUSIVE")
    other.execute("CREATE TABLE records (key BLOB PRIMARY KEY, value BLOB)")


def holds_the_data_of_others(spoiled: Spoiled) -> None:
    with closing(sqlite3.connect(spoiled.store.path)) as other, other:
        other.execute("CREATE TABLE people (name TEXT)")
        other.execute("INSERT INTO people VALUES ('Ada')")


def holds_records_of_others(spoiled: Spoiled) -> None:
    with closing(sqlite3.connect(spoiled.store.path)) as other, other:
        other.execute("CREATE TABLE records (key BLOB, value BLOB NOT NULL, year INT)")
        other.execute("INSERT INTO records VALUES ('a', 'b', 1999)")


def is_damaged(spoiled: Spoiled) -> None:
    spoiled.store.path.write_bytes(b"this is no database, but long enough" * 100)


def is_damaged_inside(spoiled: Spoiled) -> None:
    spoiled.store.write({bytes([i]): {"a": np.full(2000, i)} for i in range(50)})
    data = bytearray(spoiled.store.path.read_bytes())
    for page in range(4096, len(data), 4096):  # the first one has the schema
        data[page : page + 4096] = b"\xff" * 4096
    spoiled.store.path.write_bytes(data)


def has_a_folder_beside_it(spoiled: Spoiled) -> None:
    spoiled.store.write({b"x": {"a": np.zeros(3)}})
    spoiled.store.path.with_name("sweeps.sqlite-wal").mkdir()


# What is found out by writing only, since reading finds no file or serves.
WRITING = [
    is_a_file,
    is_below_a_file,
    is_a_link_to_itself,
    may_not_be_made,
    has_a_folder_in_its_place,
    is_read_only,
    is_full,
]
READING = [
    may_not_be_looked_into,
    is_locked_for_good,
    holds_the_data_of_others,
    holds_records_of_others,
]
DAMAGE = [is_damaged, is_damaged_inside, has_a_folder_beside_it]
EVERY_WAY = [*WRITING, *READING, *DAMAGE, may_not_be_opened]


@pytest.fixture
def spoiled(
    request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Spoiled]:
    monkeypatch.setattr(chunks, "CHUNK_SIZE", 16)  # each call has several parts
    folder = tmp_path / "kept"
    folder.mkdir()
    with ExitStack() as until, monkeypatch.context() as patch:
        made = Spoiled(folder, patch, until)
        made.again = partial(request.param, made)
        made.again()
        yield made


def one_warning_of(folder: Path, call: Callable[[], Any]) -> Any:
    with pytest.warns(StoreWarning, match=re.escape(repr(str(folder)))) as caught:
        found = call()
    assert [w.category for w in caught] == [StoreWarning], [str(w) for w in caught]
    return found


@pytest.mark.parametrize("readout", ["lm_head", "ridge"])
@pytest.mark.parametrize("spoiled", EVERY_WAY, indirect=True)
def test_fit_warns_once_and_learns_what_it_learns_without_a_store(
    spoiled: Spoiled, readout: Any
) -> None:
    clf = raee(memory=spoiled.store.folder, readout=readout)
    one_warning_of(spoiled.store.folder, lambda: clf.fit(X, Y))
    plain = raee(memory=None, readout=readout).fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)
        found = clf.predict_proba([*X, *X_NEW])
    expected = plain.predict_proba([*X, *X_NEW])
    # What a damaged file has made way for serves the second call.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("spoiled", READING, indirect=True)
@pytest.mark.parametrize(
    "method", ["predict", "exit_layers", "layer_proba", "kneighbors", "sweep"]
)
def test_methods_warn_once_and_answer(spoiled: Spoiled, method: str) -> None:
    clf = raee(memory=None).fit(X, Y)
    expected = getattr(clf, method)(X)
    clf.set_params(memory=spoiled.store.folder)
    found = one_warning_of(spoiled.folder, lambda: getattr(clf, method)(X))
    if method == "sweep":
        found, expected = found.logits, expected.logits
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("spoiled", [is_full, is_read_only], indirect=True)
def test_a_store_that_cannot_be_written_is_still_read(
    spoiled: Spoiled, rows: Counter[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", sqlite3.Connection)
        raee(memory=spoiled.folder).fit(X[:40], Y[:40])
    rows.clear()
    clf = raee(memory=spoiled.folder)
    one_warning_of(spoiled.folder, lambda: clf.fit(X, Y))
    assert rows["sweep"] == len(set(X) - set(X[:40]))


@pytest.mark.parametrize(
    "spoiled", [holds_the_data_of_others, holds_records_of_others], indirect=True
)
def test_the_database_of_another_program_is_left_as_it_is(spoiled: Spoiled) -> None:
    before = spoiled.store.path.read_bytes()
    clf = raee(memory=spoiled.folder)
    one_warning_of(spoiled.folder, lambda: clf.fit(X, Y))
    one_warning_of(spoiled.folder, lambda: clf.predict(X))
    with pytest.raises(FileExistsError, match="is the database of another program"):
        clear_sweeps(spoiled.folder)
    with pytest.raises(FileExistsError, match="memory= another folder"):
        len(spoiled.store)
    assert spoiled.store.path.read_bytes() == before
    assert [path.name for path in spoiled.folder.iterdir()] == ["sweeps.sqlite"]


@pytest.mark.parametrize("spoiled", DAMAGE, indirect=True)
def test_a_damaged_file_is_moved_and_the_next_fit_finds_a_new_one(
    spoiled: Spoiled, rows: Counter[str]
) -> None:
    damaged = spoiled.store.path.read_bytes()
    clf = raee(memory=spoiled.folder)
    one_warning_of(spoiled.folder, lambda: clf.fit(X, Y))
    assert (spoiled.folder / "sweeps.damaged").read_bytes() == damaged
    rows.clear()
    clf.fit(X, Y)
    assert not rows


@pytest.mark.parametrize("spoiled", DAMAGE, indirect=True)
def test_a_damaged_file_is_moved_by_what_clears_and_counts_too(
    spoiled: Spoiled,
) -> None:
    assert one_warning_of(spoiled.folder, lambda: len(spoiled.store)) == 0
    spoiled.again()
    damaged = spoiled.store.path.read_bytes()
    one_warning_of(spoiled.folder, lambda: clear_sweeps(spoiled.folder))
    assert (spoiled.folder / "sweeps-1.damaged").read_bytes() == damaged
    clear_sweeps(spoiled.folder)
    assert len(spoiled.store) == 0


@pytest.mark.parametrize("readout", ["lm_head", "ridge"])
def test_records_of_another_release_are_computed_anew(
    readout: Any, tmp_path: Path, rows: Counter[str]
) -> None:
    clf = raee(memory=tmp_path, readout=readout).fit(X, Y)
    expected = clf.layer_proba(X)
    for as_there in (_turned, _renamed, _doubled):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "skraee.sweep.folder_store.pack",
                lambda name, it: pack(name, as_there(it)),  # noqa: B023
            )
            clear_sweeps(tmp_path)
            clf.fit(X, Y)
        rows.clear()
        again = raee(memory=tmp_path, readout=readout).fit(X, Y)
        assert rows["sweep"] == len(set(X))
        np.testing.assert_allclose(again.layer_proba(X), expected, rtol=0, atol=1e-5)


def _turned(record: Any) -> Any:
    return {part: array[..., None] for part, array in record.items()}


def _renamed(record: Any) -> Any:
    return {f"{part}_of_text": array for part, array in record.items()}


def _doubled(record: Any) -> Any:
    return {part: array.astype(np.float64) for part, array in record.items()}


def test_what_was_moved_before_stays(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    contents = [f"no database {i} ".encode() * 100 for i in range(3)]
    for content in contents:
        store.path.write_bytes(content)
        with pytest.warns(StoreWarning, match="were damaged"):
            store.read([b"x"])
    names = ["sweeps.damaged", "sweeps-1.damaged", "sweeps-2.damaged"]
    assert [(tmp_path / name).read_bytes() for name in names] == contents


def test_what_another_process_has_made_anew_is_not_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path)
    store.path.write_bytes(b"this is no database, but long enough" * 100)
    run, first = SharedDatabase.run, FolderStore(tmp_path)

    def second(self: SharedDatabase, work: Any) -> Any:
        monkeypatch.undo()
        try:
            return run(self, work)
        finally:  # it fails, and meanwhile another process has mended it
            with pytest.warns(StoreWarning, match="were damaged"):
                first.read([b"x"])
            first.write({b"x": {"a": np.ones(2)}})

    monkeypatch.setattr(SharedDatabase, "run", second)
    assert store.read([b"x"]) == [None]
    assert store.read([b"x"]) != [None]


def test_a_record_that_cannot_be_kept_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path)
    store.write({b"x": {"a": np.ones(2)}})

    def too_big(*_: Any) -> None:
        raise sqlite3.DataError("string or blob too big")

    monkeypatch.setattr(store, "_shrink", too_big)
    with pytest.raises(sqlite3.DataError, match="too big"):
        store.write({b"y": {"a": np.ones(2)}})
    monkeypatch.undo()
    assert store.read([b"x"]) != [None]


@pytest.mark.parametrize("spoiled", [is_a_file], indirect=True)
def test_partial_fit_without_its_states_is_the_same_clear_error(
    spoiled: Spoiled,
) -> None:
    clf = early_exit(memory=spoiled.folder)
    fit = clf.partial_fit
    one_warning_of(spoiled.folder, lambda: fit(X[:40], Y[:40], classes=CLASSES))
    with (
        pytest.warns(StoreWarning, match="cannot be written"),
        pytest.raises(ValueError, match="they are not in the memory any more"),
    ):
        fit(X[40:], Y[40:])


@pytest.mark.parametrize("spoiled", [is_a_file, is_full], indirect=True)
@pytest.mark.parametrize(
    "cls", [RAEEClassifierCV, AdaInferClassifier, DeeBERTClassifier]
)
def test_other_estimators_warn_once_and_learn(spoiled: Spoiled, cls: Any) -> None:
    make = partial(make_classifier, cls)
    clf = one_warning_of(spoiled.folder, lambda: make(memory=spoiled.folder).fit(X, Y))
    plain = make(memory=None).fit(X, Y)
    np.testing.assert_array_equal(clf.predict_proba(X_NEW), plain.predict_proba(X_NEW))


@pytest.mark.parametrize("spoiled", [is_a_file], indirect=True)
def test_each_fit_of_a_search_in_threads_warns_once(spoiled: Spoiled) -> None:
    clf = raee(memory=spoiled.folder)
    with (
        joblib.parallel_config("threading"),
        pytest.warns(StoreWarning, match="cannot be written") as caught,
    ):
        scores = cross_val_score(clf, X, Y, cv=3, n_jobs=2)
    assert len(caught) == 3
    plain = cross_val_score(raee(memory=None), X, Y, cv=3)
    np.testing.assert_array_equal(scores, plain)


class Failing:
    """A store that counts what it is asked for and can do nothing."""

    def __init__(self) -> None:
        self.n_calls = 0

    def read(self, keys: Any) -> Any:
        return self.clear()

    def write(self, records: Any) -> None:
        self.clear()

    def clear(self) -> Any:
        self.n_calls += 1
        raise OSError("gone")


def test_a_store_is_not_tried_again_where_it_cannot_be_read() -> None:
    store = Failing()
    kept = BestEffortStore(store)
    with pytest.warns(StoreWarning, match=r"cannot be read \(OSError: gone\)"):
        assert kept.read([b"x", b"y"]) == [None, None]
    assert kept.read([b"x"]) == [None]
    kept.write({b"x": {}})
    assert store.n_calls == 1


def test_a_store_that_cannot_be_written_is_read_until_that_fails_too() -> None:
    store = Failing()
    kept = BestEffortStore(store)
    with pytest.warns(StoreWarning, match=r"cannot be written \(OSError: gone\)"):
        kept.write({b"x": {}})
    kept.write({b"x": {}})
    assert kept.read([b"x"]) == [None]
    assert kept.read([b"x"]) == [None]
    assert store.n_calls == 2


@pytest.mark.parametrize("spoiled", [is_read_only], indirect=True)
def test_clear_of_a_folder_that_cannot_be_written_names_it(spoiled: Spoiled) -> None:
    said = rf"store in {re.escape(repr(str(spoiled.folder)))} cannot be emptied .*mend"
    with pytest.raises(OSError, match=said):
        clear_sweeps(spoiled.folder)


def test_clear_of_a_store_that_fails_is_its_error() -> None:
    with pytest.raises(OSError, match="gone"):
        BestEffortStore(Failing()).clear()


def test_records_of_another_type_are_computed_anew(tmp_path: Path) -> None:
    clf = raee(memory=tmp_path).fit(X, Y)
    with closing(sqlite3.connect(FolderStore(tmp_path).path)) as connection:
        connection.execute("UPDATE records SET value = 'text'")
        connection.commit()
    again = raee(memory=tmp_path).fit(X, Y)
    np.testing.assert_array_equal(again.layer_proba(X), clf.layer_proba(X))
