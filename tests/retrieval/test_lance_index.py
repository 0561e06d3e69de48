"""LanceDB in the place of a graph, with the real package and a folder."""

from __future__ import annotations

import copy
import io
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skraee import RAEEClassifier, RAEEGenerator, toy
from skraee.exceptions import FileFormatError
from skraee.retrieval.lance_index import LanceIndex
from skraee.retrieval.neighbors import NeighborIndex
from tests.support.classifiers import raee
from tests.support.generators import generator
from tests.support.keys import METRICS, graph_of, mixture

X, Y = toy.reviews(60)
X_NEW, _ = toy.reviews(30, seed=1)


def test_index_without_lancedb_says_what_to_install(
    monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "lancedb", None)
    with pytest.raises(ImportError, match=r"pip install 'skraee\[lancedb\]'"):
        raee(index=LanceIndex(tmp_path)).fit(X, Y)


def test_indexes_are_equal_where_they_lead_to_the_same_tables(tmp_path: Path) -> None:
    one, same = LanceIndex(tmp_path), LanceIndex(str(tmp_path), options={})
    assert one == same
    assert hash(one) == hash(same)
    assert one != LanceIndex(tmp_path, "IvfFlat")
    assert one != LanceIndex(tmp_path, options={"region": "x"})
    assert repr(LanceIndex("a", "IvfFlat", {"b": 1})) == (
        "LanceIndex('a', index_type='IvfFlat', options=...)"
    )


@pytest.fixture
def lancedb() -> Any:
    return pytest.importorskip("lancedb", reason="the extra `lancedb` is not installed")


def tables_of(database: Any) -> list[str]:
    return list(database.list_tables().tables)


@pytest.mark.engines
@pytest.mark.parametrize("index_type", ["IvfSq", "IvfFlat"])
def test_search_of_20_000_keys_recalls_99_percent(
    index_type: Any, lancedb: Any, tmp_path: Path
) -> None:
    keys, queries = mixture(20_000, n_queries=500)
    index = NeighborIndex(keys, method=LanceIndex(tmp_path, index_type))
    distances, rows = index.search(queries, 12)
    assert graph_of(index).breadths[12] is not None  # it was not searched exactly
    database = lancedb.connect(tmp_path)
    (name,) = tables_of(database)
    (made,) = database.open_table(name).list_indices()
    assert made.index_type.lower() == index_type.lower()
    exact, _ = NeighborIndex(keys, method="exact").search(queries, 12)
    assert np.mean(distances <= exact[:, -1:]) >= 0.99
    alone = index.search(queries[:1], 12)
    np.testing.assert_array_equal(alone[1], rows[:1])


@pytest.mark.engines
@pytest.mark.usefixtures("lancedb")
@pytest.mark.parametrize("metric", METRICS)
def test_search_of_few_keys_is_exact_in_any_metric(metric: Any, tmp_path: Path) -> None:
    keys, queries = mixture(1_000, n_queries=50, d=20, rank=8)
    index = NeighborIndex(keys, metric=metric, method=LanceIndex(tmp_path))
    exact = NeighborIndex(keys, metric=metric, method="exact")
    found, expected = index.search(queries, 12), exact.search(queries, 12)
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_array_equal(found[0], expected[0])


@pytest.mark.engines
def test_same_keys_find_their_table_and_others_make_one(
    lancedb: Any, tmp_path: Path
) -> None:
    keys, queries = mixture(1_000, n_queries=5, d=20, rank=8)
    first = NeighborIndex(keys, method=LanceIndex(tmp_path)).search(queries, 5)
    database = lancedb.connect(tmp_path)
    (name,) = tables_of(database)
    version = database.open_table(name).version
    again = NeighborIndex(keys, method=LanceIndex(tmp_path)).search(queries, 5)
    assert tables_of(database) == [name]
    assert database.open_table(name).version == version
    np.testing.assert_array_equal(again[1], first[1])
    NeighborIndex(keys[:900], method=LanceIndex(tmp_path)).search(queries, 5)
    assert len(tables_of(database)) == 2


@pytest.mark.engines
def test_same_keys_from_several_threads_make_one_table(
    lancedb: Any, tmp_path: Path
) -> None:
    keys, queries = mixture(12_000, n_queries=20, d=32, rank=16)
    indexes = [NeighborIndex(keys, method=LanceIndex(tmp_path)) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda index: index.search(queries, 5), indexes))
    for distances, _ in found:
        np.testing.assert_allclose(distances, found[0][0], rtol=0.05)
    assert len(tables_of(lancedb.connect(tmp_path))) == 1


@pytest.mark.engines
@pytest.mark.usefixtures("lancedb")
def test_several_threads_search_one_index(tmp_path: Path) -> None:
    keys, queries = mixture(12_000, n_queries=32, d=32, rank=16)
    index = NeighborIndex(keys, method=LanceIndex(tmp_path)).build(5)
    _, expected = index.search(queries, 5)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda query: index.search(query[None], 5)[1], queries))
    np.testing.assert_array_equal(np.concatenate(found), expected)


@pytest.mark.engines
def test_table_with_other_points_is_refused(lancedb: Any, tmp_path: Path) -> None:
    keys, queries = mixture(1_000, n_queries=5, d=20, rank=8)
    NeighborIndex(keys, method=LanceIndex(tmp_path)).search(queries, 5)
    database = lancedb.connect(tmp_path)
    database.open_table(tables_of(database)[0]).delete("position = 3")
    with pytest.raises(ValueError, match=r"holds 771 points where 772 were put"):
        NeighborIndex(keys, method=LanceIndex(tmp_path)).search(queries, 5)


@pytest.mark.usefixtures("lancedb")
@pytest.mark.engines
def test_unknown_index_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be 'IvfSq' or 'IvfFlat', got 'hnsw'"):
        raee(index=LanceIndex(tmp_path, "hnsw")).fit(X, Y)  # type: ignore[arg-type]


def assert_same_answers(one: Any, other: Any) -> None:
    for method in ("predict_proba", "exit_layers", "kneighbors"):
        expected, found = getattr(one, method)(X_NEW), getattr(other, method)(X_NEW)
        np.testing.assert_array_equal(found, expected, strict=True)


def joblib_copy(clf: Any) -> Any:
    buffer = io.BytesIO()
    joblib.dump(clf, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


@pytest.mark.engines
@pytest.mark.usefixtures("lancedb")
@pytest.mark.parametrize("memory", [None, "process"])
@pytest.mark.parametrize(
    "copied",
    [
        copy.deepcopy,
        lambda clf: pickle.loads(pickle.dumps(clf)),
        joblib_copy,
        lambda clf: clone(clf).fit(X, Y),
    ],
    ids=["deepcopy", "pickle", "joblib", "clone"],
)
def test_copy_of_a_classifier_answers_as_it_does(
    copied: Any, memory: Any, tmp_path: Path
) -> None:
    exact = raee(index="exact").fit(X, Y)
    clf = raee(index=LanceIndex(tmp_path), memory=memory).fit(X, Y)
    assert_same_answers(exact, clf)
    assert_same_answers(clf, copied(clf))
    assert clone(clf).index == clf.index


@pytest.mark.engines
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_grid_search_over_k_and_tau_makes_a_table_a_fold(
    n_jobs: Any, lancedb: Any, tmp_path: Path
) -> None:
    grid = {"k": [3, 5], "tau": [0.5, 0.9]}
    store = tmp_path / "store"

    def searched(index: Any) -> Any:
        clf = raee(index=index, memory=store, random_state=0)
        return GridSearchCV(clf, grid, cv=2, n_jobs=n_jobs).fit(X, Y)

    found = searched(LanceIndex(tmp_path / "keys"))
    expected = searched("exact")
    np.testing.assert_array_equal(
        found.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )
    assert len(tables_of(lancedb.connect(tmp_path / "keys"))) == 3  # and all texts


@pytest.mark.engines
@pytest.mark.parametrize("mmap_mode", [None, "r"])
def test_saved_classifier_is_loaded_with_its_index(
    mmap_mode: Any, lancedb: Any, tmp_path: Path
) -> None:
    path, folder = tmp_path / "clf.skraee", tmp_path / "keys"
    clf = raee(index=LanceIndex(folder)).fit(X, Y)
    clf.save(path)
    loaded = RAEEClassifier.load(path, mmap_mode=mmap_mode, index=LanceIndex(folder))
    assert loaded.index == LanceIndex(folder)
    assert_same_answers(clf, loaded)
    assert len(tables_of(lancedb.connect(folder))) == 1
    for index in ("exact", "hnsw"):
        other = RAEEClassifier.load(path, index=index)
        assert other.index == index
        assert_same_answers(clf, other)
    with pytest.raises(
        FileFormatError, match=r"index=LanceIndex\(\.\.\.\), an object.*'exact'"
    ):
        RAEEClassifier.load(path)
    other.save(path)
    assert_same_answers(clf, RAEEClassifier.load(path))


@pytest.mark.engines
@pytest.mark.usefixtures("lancedb")
def test_loaded_without_the_folder_the_table_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "clf.skraee"
    clf = raee(index="hnsw").fit(X, Y)
    clf.save(path)
    loaded = RAEEClassifier.load(path, index=LanceIndex(tmp_path / "new"))
    assert_same_answers(clf, loaded)


@pytest.mark.engines
@pytest.mark.usefixtures("lancedb")
@pytest.mark.parametrize("encoder", [None, 2])
def test_texts_that_are_added_are_found(encoder: Any, tmp_path: Path) -> None:
    clf = raee(index=LanceIndex(tmp_path), encoder=encoder).fit(X[:40], Y[:40])
    before = copy.deepcopy(clf)
    exact = raee(index="exact", encoder=encoder).fit(X[:40], Y[:40])
    clf.partial_fit(X[40:], Y[40:])
    exact_later = copy.deepcopy(exact).partial_fit(X[40:], Y[40:])
    assert_same_answers(exact_later, clf)
    assert_same_answers(exact, before)


@pytest.mark.engines
@pytest.mark.usefixtures("lancedb")
def test_generator_searches_by_it(tmp_path: Path) -> None:
    gen = generator(index=LanceIndex(tmp_path)).fit(X[:12], ["good good"] * 12)
    gen.save(tmp_path / "gen.skraee")
    loaded = RAEEGenerator.load(
        tmp_path / "gen.skraee", index=LanceIndex(tmp_path / "keys")
    )
    np.testing.assert_array_equal(loaded.kneighbors(X[:3])[1], gen.kneighbors(X[:3])[1])
