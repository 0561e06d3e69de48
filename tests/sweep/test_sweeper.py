"""One pass per text: in a fit, in a search, across processes and after damage."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV, cross_val_score

from skraee import RAEEClassifier, toy
from skraee.exceptions import TruncationWarning
from skraee.retrieval import graph_search, neighbors
from skraee.sweep.folder_store import FolderStore
from skraee.sweep.memory import store_for
from tests.support.classifiers import early_exit, raee

pytestmark = pytest.mark.usefixtures("fresh_sweeps")

X, Y = toy.reviews(60)
X_NEW, _ = toy.reviews(30, seed=1)
GRID = {"k": [2, 4, 6, 9, 12], "tau": [0.0, 0.5, 0.7, 0.9, 0.95]}


classifier = partial(raee, k=4, memory="process")


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


@pytest.mark.parametrize("encoder", [None, 2])
def test_keys_that_are_known_are_not_made_again(
    encoder: Any, rows: Counter[str]
) -> None:
    clf = classifier(encoder=encoder).fit(X, Y)
    fresh = classifier(encoder=encoder, memory=None).fit(X, Y)
    rows.clear()
    texts = [*X[:20], *X_NEW]
    for method in ("exit_layers", "exit_distribution"):
        found = getattr(clf, method)(texts)
        assert sum(rows.values()) == len(set(X_NEW) - set(X))
        rows.clear()
        np.testing.assert_allclose(found, getattr(fresh, method)(texts), atol=1e-5)
        rows.clear()


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
    rows.pop("means", None)  # runs no layer
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
    some = {name: [values[0], values[-1]] for name, values in GRID.items()}
    plain = GridSearchCV(classifier(encoder=encoder, memory=None), some, cv=5)
    plain.fit(X, Y)
    scores = search.cv_results_["mean_test_score"].reshape(5, 5)[::4, ::4]
    np.testing.assert_allclose(scores.ravel(), plain.cv_results_["mean_test_score"])
    assert rows["sweep"] > 16 * len(set(X))


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
    assert rows == {"keys": len(set(X))}


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


@pytest.mark.slow
def test_cross_val_score_with_workers_shares_a_folder(tmp_path: Path) -> None:
    clf = classifier(memory=tmp_path)
    scores = cross_val_score(clf, X, Y, cv=3, n_jobs=2)
    np.testing.assert_allclose(scores, cross_val_score(classifier(), X, Y, cv=3))
    assert len(FolderStore(tmp_path)) == 2 * len(set(X))  # a sweep and a key each


@pytest.mark.slow
def test_a_folder_serves_a_later_process(rows: Counter[str], tmp_path: Path) -> None:
    clf = classifier(memory=tmp_path / "kept").fit(X, Y)
    assert rows["sweep"] == len(set(X))
    joblib.dump((clone(clf), X, Y), tmp_path / "job")
    script = (
        "import joblib\n"
        "from skraee.engine.engine import Engine\n"
        "seen, sweep = [], Engine.sweep\n"
        "def counting(self, prompts, *args, **kwargs):\n"
        "    seen.append(len(prompts))\n"
        "    return sweep(self, prompts, *args, **kwargs)\n"
        "Engine.sweep = counting\n"
        "clf, X, Y = joblib.load('job')\n"
        "clf.fit([*X, 'a new text'], [*Y, Y[0]])\n"
        "print(sum(seen))\n"
    )
    run = [sys.executable, "-c", script]
    done = subprocess.run(run, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert int(done.stdout) == 1
