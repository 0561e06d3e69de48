"""One pass per text: in a fit, in a search, across processes and after damage."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV, cross_val_score

from skraee import RAEEClassifier, clear_sweeps, toy
from skraee.engine.lru_cache import LRUCache
from skraee.exceptions import TruncationWarning
from skraee.retrieval import graph_search, neighbors
from skraee.sweep.store import FolderStore, MemoryStore, record_keys, store_for
from tests.support.classifiers import early_exit

X, Y = toy.reviews(60)
X_NEW, _ = toy.reviews(30, seed=1)
GRID = {"k": [2, 4, 6, 9, 12], "tau": [0.0, 0.5, 0.7, 0.9, 0.95]}


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    clear_sweeps()
    yield
    clear_sweeps()


def classifier(**params: Any) -> RAEEClassifier:
    defaults = {
        "backbone": toy.backbone(),
        "template": toy.TEMPLATES["masked"],
        "label_words": toy.LABEL_WORDS,
        "k": 4,
    }
    return RAEEClassifier(**{**defaults, **params})


@pytest.mark.parametrize("kind", ["process", "folder"])
def test_a_second_fit_and_a_prediction_of_known_texts_run_nothing(
    kind: str, rows: Counter[str], tmp_path: Path
) -> None:
    memory = "process" if kind == "process" else tmp_path
    clf = classifier(memory=memory).fit(X, Y)
    assert rows == {"sweep": len(set(X))}
    rows.clear()
    again = classifier(memory=memory, k=9).fit(X[::-1], Y[::-1])
    again.predict(X)
    again.layer_proba(X)
    assert not rows
    plain = classifier(memory=None, k=9).fit(X[::-1], Y[::-1])
    np.testing.assert_allclose(
        again.predict_proba(X), plain.predict_proba(X), atol=1e-5
    )
    np.testing.assert_array_equal(
        clf.exit_layers(X), clone(clf).fit(X, Y).exit_layers(X)
    )


@pytest.mark.parametrize("memory", ["process", None])
def test_predict_writes_nothing(memory: Any, rows: Counter[str]) -> None:
    clf = classifier(memory=memory).fit(X, Y)
    rows.clear()
    clf.predict(X_NEW)
    once = rows["run"]
    clf.predict(X_NEW)
    assert once == len(set(X_NEW) - (set(X) if memory else set()))
    assert rows["run"] == 2 * once


@pytest.mark.parametrize("memory", ["process", "folder"])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"encoder": 2},
        {"readout": "ridge"},
        {"confident": True},
        {"budget": 0.5},
    ],
    ids=lambda params: "-".join(map(str, params)) or "default",
)
def test_timings_run_known_texts_like_new_ones(
    memory: str,
    params: dict[str, Any],
    rows: Counter[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    where = tmp_path if memory == "folder" else memory
    if params.get("confident"):
        clf: Any = early_exit(memory=where).fit(X, Y)
    else:
        clf = classifier(memory=where, **params).fit(X, Y)
    clf.predict(X)
    searched = []
    search = neighbors.NeighborIndex.search

    def counting(self: Any, queries: Any, k: int) -> Any:
        searched.append(len(queries))
        return search(self, queries, k)

    monkeypatch.setattr(neighbors.NeighborIndex, "search", counting)
    for _ in range(2):  # nor is anything known of the first time
        rows.clear()
        searched.clear()
        assert clf.timings(X).n_texts == 60
        assert set(rows.values()) == {len(set(X))}
        by_keys = isinstance(clf, RAEEClassifier)
        assert sum(searched) == (len(set(X)) if by_keys else 0)


def test_timings_change_nothing_of_what_is_shared(rows: Counter[str]) -> None:
    clf = classifier().fit(X, Y)
    n_kept = len(store_for("process"))
    clf.timings(X_NEW)
    assert len(store_for("process")) == n_kept
    clf.predict(X)
    assert rows["run"] == len(set(X_NEW))


def test_memory_none_keeps_nothing(rows: Counter[str]) -> None:
    clf = classifier(memory=None)
    clf.fit(X, Y).fit(X, Y)
    assert rows["sweep"] == 2 * len(set(X))
    assert len(store_for("process")) == 0


@pytest.mark.parametrize("encoder", [None, 2, TfidfVectorizer()])
def test_a_grid_of_25_with_5_folds_is_one_pass_and_6_indexes(
    encoder: Any,
    rows: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
    record_property: Any,
) -> None:
    graphs = []
    build = graph_search.GraphProposer.__init__

    def counting(self: Any, *args: Any) -> None:
        graphs.append(1)
        build(self, *args)

    monkeypatch.setattr(graph_search.GraphProposer, "__init__", counting)
    search = GridSearchCV(classifier(encoder=encoder), GRID, cv=5, n_jobs=None)
    search.fit(X, Y)
    rows.pop("text_means", None)  # runs no layer
    n_texts, n_early = len(set(X)), sum(rows.values()) - rows["sweep"]
    assert rows["sweep"] == n_texts
    # The first fold's part that is predicted comes before the fit that sweeps it.
    assert 0 < n_early <= n_texts / 5
    assert len(graphs) == 6
    record_property(
        "counted",
        f"25 candidates by 5 folds, encoder={encoder!r}: {rows['sweep']} of {n_texts} "
        f"texts swept once, {n_early} run once more",
    )
    plain = GridSearchCV(classifier(encoder=encoder, memory=None), GRID, cv=5)
    plain.fit(X, Y)
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"]
    )
    assert rows["sweep"] > 100 * len(set(X))


def test_a_grid_over_templates_is_one_pass_each(rows: Counter[str]) -> None:
    templates = ["{text} it was {mask}.", "{text} so {mask}.", "{mask} : {text}"]
    grid = {"template": templates, "below_tau": ["top3", "skip"], "metric": ["cosine"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        GridSearchCV(classifier(), grid, cv=3).fit(X, Y)
    # The last third of each template's texts is predicted before it is fitted.
    assert 3 * len(set(X)) <= rows["sweep"] + rows["run"] <= 4 * len(set(X))


def test_another_encoder_runs_no_layer_again(rows: Counter[str]) -> None:
    classifier().fit(X, Y)
    rows.clear()
    classifier(encoder=lambda texts: np.array([[len(t)] for t in texts])).fit(X, Y)
    assert not rows
    classifier(encoder=2).fit(X, Y)
    assert rows == {"states_at": len(set(X))}


def test_words_named_later_join_the_record(rows: Counter[str]) -> None:
    classifier(label_words={"negative": "bad", "positive": "good"}).fit(X, Y)
    classifier().fit(X, Y)
    rows.clear()
    classifier(label_words={"negative": "bad", "positive": "great"}).fit(X, Y)
    assert not rows


@pytest.mark.filterwarnings("ignore:y holds one class only")
def test_a_fold_without_a_class_finds_the_sweeps_of_all_words(
    rows: Counter[str],
) -> None:
    only = [text for text, label in zip(X, Y, strict=True) if label == "positive"]
    classifier().fit(X, Y)
    rows.clear()
    clf = classifier().fit(only, ["positive"] * len(only))
    assert clf.predict_proba(X).shape == (60, 1)
    assert not rows


def test_records_differ_by_everything_they_depend_on(rows: Counter[str]) -> None:
    classifier().fit(X, Y)
    for other in (
        {"backbone": toy.backbone(seed=1)},
        {"template": "{text} so {mask}."},
        {"max_length": 60},
        {"dtype": "bfloat16"},
    ):
        rows.clear()
        classifier(**other).fit(X, Y)
        assert rows["sweep"] == len(set(X)), other


@pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning")
def test_known_texts_still_count_as_cut() -> None:
    long = [f"{text} " * 9 for text in X]
    clf = classifier(max_length=20)
    for _ in range(2):
        with pytest.warns(TruncationWarning, match=r"^60 text\(s\)"):
            clf.fit(long, Y)
        with pytest.warns(TruncationWarning, match=r"^60 text\(s\)"):
            clf.predict(long)


def test_cross_val_score_with_workers_shares_a_folder(tmp_path: Path) -> None:
    clf = classifier(memory=tmp_path)
    scores = cross_val_score(clf, X, Y, cv=3, n_jobs=2)
    np.testing.assert_allclose(scores, cross_val_score(classifier(), X, Y, cv=3))
    assert len(FolderStore(tmp_path)) == 2 * len(set(X))  # a sweep and a key each


def test_a_folder_serves_a_later_process(tmp_path: Path) -> None:
    joblib.dump((classifier(memory=tmp_path / "kept"), X, Y), tmp_path / "job")
    script = (
        "import joblib\n"
        "from skraee.engine.engine import Engine\n"
        "seen, sweep = [], Engine.sweep\n"
        "def counting(self, prompts, *args, **kwargs):\n"
        "    seen.append(len(prompts))\n"
        "    return sweep(self, prompts, *args, **kwargs)\n"
        "Engine.sweep = counting\n"
        "clf, X, Y = joblib.load('job')\n"
        "clf.fit(X, Y)\n"
        "print(sum(seen))\n"
    )
    run = [sys.executable, "-c", script]
    found = [
        subprocess.run(run, cwd=tmp_path, check=True, capture_output=True, text=True)
        for _ in range(2)
    ]
    assert [int(done.stdout) for done in found] == [len(set(X)), 0]


# The stores


@pytest.fixture(params=["memory", "folder"])
def store(request: Any, tmp_path: Path) -> Any:
    return MemoryStore() if request.param == "memory" else FolderStore(tmp_path)


def record(value: float, size: int = 4) -> dict[str, np.ndarray]:
    return {"a": np.full((size, 2), value, np.float32), "b": np.array(True)}


def test_store_returns_what_was_written_in_order(store: Any) -> None:
    store.write({b"x": record(1), b"y": record(2)})
    store.write({b"x": record(3)})
    y, none, x = store.read([b"y", b"z", b"x"])
    assert none is None
    np.testing.assert_array_equal(x["a"], record(3)["a"])
    np.testing.assert_array_equal(y["a"], record(2)["a"])
    assert x["b"].shape == ()
    assert bool(x["b"]) is True
    assert len(store) == 2


def test_store_reads_more_than_a_statement_takes(store: Any) -> None:
    keys = [str(i).encode() for i in range(1203)]
    store.write({key: record(float(key)) for key in keys})
    found = store.read(keys)
    assert [float(r["a"][0, 0]) for r in found] == [float(key) for key in keys]


def test_store_clear_forgets_all(store: Any) -> None:
    store.write({b"x": record(1)})
    store.clear()
    assert store.read([b"x"]) == [None]
    assert len(store) == 0


def test_memory_store_drops_the_least_recently_used() -> None:
    one = sum(array.nbytes for array in record(0).values())
    store = MemoryStore(max_bytes=2 * one)
    store.write({b"x": record(1), b"y": record(2)})
    store.read([b"x"])
    store.write({b"z": record(3)})
    assert [r is None for r in store.read([b"x", b"y", b"z"])] == [False, True, False]
    assert store.n_bytes == 2 * one


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
    set_aside = store._set_aside

    def second(error: sqlite3.DatabaseError) -> None:
        store.path.unlink()
        set_aside(error)

    monkeypatch.setattr(store, "_set_aside", second)
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


def test_clear_sweeps_forgets_what_fits_share_too(tmp_path: Path) -> None:
    kept = LRUCache()
    assert kept.get("a", lambda: 1) == 1
    clear_sweeps(tmp_path)
    assert kept.get("a", lambda: 2) == 1
    clear_sweeps()
    assert kept.get("a", lambda: 3) == 3


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
    monkeypatch.setattr("skraee.sweep.store.time.sleep", release)
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
    monkeypatch.setattr("skraee.sweep.store.time.sleep", pytest.fail)
    with pytest.raises(sqlite3.OperationalError, match="Could not decode"):
        FolderStore(tmp_path).write({b"x": record(1)})


def test_folder_store_waits_for_others_only_so_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skraee.sweep.store._PATIENCE", 0.02)
    store = FolderStore(tmp_path)
    store.write({b"x": record(1)})
    with closing(sqlite3.connect(store.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            store.write({b"y": record(2)})
    assert len(store) == 1


def test_record_keys_tell_fields_apart() -> None:
    samples = [("a", "bc"), ("ab", "c"), ("abc",), ("abc", "")]
    keys = record_keys("sweep", ["context"], samples)
    assert len(set(keys)) == 4
    assert keys != record_keys("key", ["context"], samples)
    assert keys != record_keys("sweep", ["other"], samples)
    assert keys == record_keys("sweep", ["context"], samples)


def test_memory_takes_a_joblib_memory_for_its_location(tmp_path: Path) -> None:
    store = store_for(joblib.Memory(tmp_path, verbose=0))
    assert isinstance(store, FolderStore)
    assert store_for(joblib.Memory(None)) is None
    with pytest.raises(TypeError, match="memory must be 'process', None, a folder"):
        store_for(3)
