"""One model per process: shared by clones, threads and workers, in no pickle."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score

from skraee import Backbone, clear_backbones, toy
from tests.support.checkpoints import saved_toy
from tests.support.classifiers import raee

X, Y = toy.reviews(60)
X_NEW, _ = toy.reviews(30, seed=1)


class NotedBackbone(Backbone):
    """Writes a line with the number of the process whenever its weights are read."""

    def __init__(self, folder: Path, notes: Path) -> None:
        super().__init__(folder)
        self.notes = notes

    def _read(self, *args: Any) -> Any:
        with self.notes.open("a") as notes:
            notes.write(f"{os.getpid()}\n")
        return super()._read(*args)

    def __reduce__(self) -> tuple[Any, ...]:
        return NotedBackbone, (Path(self.name), self.notes)

    def loads(self) -> Counter[int]:
        """Return how often each process has read them."""
        if not self.notes.exists():
            return Counter()
        return Counter(map(int, self.notes.read_text().split()))


@pytest.fixture
def noted(tmp_path: Path) -> NotedBackbone:
    return NotedBackbone(saved_toy(tmp_path / "model"), tmp_path / "notes")


@pytest.mark.parametrize("kind", ["toy", "folder"])
def test_pickle_holds_no_weights(kind: str, tmp_path: Path) -> None:
    folder = saved_toy(tmp_path / "model")
    weights = (folder / "model.safetensors").stat().st_size
    backbone = toy.backbone() if kind == "toy" else Backbone(folder)
    clf = raee(backbone=backbone)
    assert len(pickle.dumps(clf)) < 2_000
    assert len(pickle.dumps(clf.fit(X[:10], Y[:10]))) < 10_000 < weights


def test_clones_share_the_backbone_and_its_one_load(noted: NotedBackbone) -> None:
    clf = raee(backbone=noted)
    clones = [clone(clf, safe=safe) for safe in (True, False)] + [clone(clone(clf))]
    for twin in [clf, *clones]:
        assert twin.fit(X, Y).backbone is noted
    GridSearchCV(clf, {"k": [2, 5]}, cv=2).fit(X, Y)
    assert noted.loads() == {os.getpid(): 1}


def test_unpickled_estimators_share_one_load(noted: NotedBackbone) -> None:
    clf = raee(backbone=noted).fit(X, Y)
    pickled = pickle.dumps(clf)
    clear_backbones()
    for _ in range(3):
        pickle.loads(pickled).predict(X_NEW)
    assert noted.loads() == {os.getpid(): 2}


@pytest.mark.slow
def test_workers_load_the_model_once_each(noted: NotedBackbone) -> None:
    clf = raee(backbone=noted)
    scores = cross_val_score(clf, X, Y, cv=6, n_jobs=2)
    search = GridSearchCV(clf, {"k": [2, 5]}, cv=3, n_jobs=2, refit=False).fit(X, Y)
    loads = noted.loads()
    assert os.getpid() not in loads
    assert 1 <= len(loads) <= 2
    assert set(loads.values()) == {1}
    np.testing.assert_allclose(scores, cross_val_score(clf, X, Y, cv=6))
    assert search.cv_results_["mean_test_score"].max() > 0.6


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["masked", "seq2seq"])
@pytest.mark.parametrize("memory", [None, "process"])
def test_sixteen_threads_that_fit_and_predict_give_the_serial_answers(
    kind: toy.Kind, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = []
    read = Backbone._read
    monkeypatch.setattr(Backbone, "_read", lambda *a: loads.append(1) or read(*a))
    clf = raee(kind, backbone=toy.backbone(kind, seed=7), k=12, memory=memory)
    shared = clone(clf).fit(X, Y)
    parts = [X_NEW[i::8] * 2 for i in range(8)]
    expected = [shared.predict_proba(part) for part in parts]
    clear_backbones()
    loads.clear()
    start = Barrier(16)

    def work(i: int) -> np.ndarray:
        start.wait()
        fitted = clone(clf).fit(X, Y) if i % 2 else shared
        return fitted.predict_proba(parts[i // 2])

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(work, range(16)))
    for i, proba in enumerate(found):
        np.testing.assert_allclose(proba, expected[i // 2], atol=1e-5)
    assert len(loads) == 1


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_processes_of_every_start_method_answer_alike(method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"there is no {method} here")
    clf = raee().fit(X, Y)
    expected = clf.predict_proba(X_NEW)
    context: Any = multiprocessing.get_context(method)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        with context.Pool(1) as pool:
            found = pool.apply(clf.predict_proba, (X_NEW,))
    np.testing.assert_allclose(found, expected, atol=1e-5)
