"""Ray Data on a cluster of this machine: real actors, one of which is killed."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from skraee import EarlyExitClassifier, toy
from skraee.scale import fit_dataset, predict_dataset, ray_data, ray_fit
from skraee.scale.columns import Names
from skraee.scale.shipped import Shipped
from skraee.scale.sums import SumTask, concluded, left_out_of, sums_of
from tests.support.classifiers import early_exit, raee

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
pytest.importorskip("ray.data", reason="the extra `ray` is not installed")
pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

pytestmark = [
    pytest.mark.engines,
    pytest.mark.filterwarnings("default"),  # Ray's own
]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    ray.init(
        num_cpus=4,  # two actors, and what reads for them
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=200 * 2**20,
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


def numbered(texts: list[Any], n_blocks: int = 4) -> Any:
    frame = pd.DataFrame({"number": range(len(texts)), "text": texts})
    return ray.data.from_pandas(frame).repartition(n_blocks)


def rows(ds: Any) -> list[tuple[Any, ...]]:
    """Return number, label, probabilities and exit of each text, in their order."""
    found = ds.to_pandas().sort_values("number")
    assert found["error"].isna().all()
    columns = ("number", "label", "probabilities", "exit_layer")
    return [
        (number, label, list(proba), exit_layer)
        for number, label, proba, exit_layer in zip(
            *(found[name] for name in columns), strict=True
        )
    ]


def test_parquet_goes_in_and_out_with_poison_that_is_reported(
    clf: EarlyExitClassifier, texts: list[str], expected: Any, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    for part in range(3):
        own = range(part * 200, part * 200 + 200)
        reviews = [texts[i] if i != 250 else None for i in own]
        table = pa.table({"number": list(own), "review": reviews})
        parquet.write_table(table, tmp_path / "in" / f"{part}.parquet")
    clf.save(tmp_path / "model.skraee")
    ds = ray.data.read_parquet(str(tmp_path / "in"))
    ds = predict_dataset(tmp_path / "model.skraee", ds, text="review", label="class")
    ds.write_parquet(str(tmp_path / "out"))
    # It needs no Ray to be read.
    found = parquet.read_table(tmp_path / "out").sort_by("number")
    assert found.schema.field("probabilities").type == pa.list_(pa.float32())
    columns = ("number", "class", "probabilities", "exit_layer")
    lists = [found.column(name).to_pylist() for name in columns]
    rows = list(zip(*lists, strict=True))
    assert rows.pop(250) == (250, None, None, None)
    assert rows == [*expected[:250], *expected[251:]]
    errors = found.column("error").to_pylist()
    assert errors.pop(250) == "no text"
    assert {*errors} == {None}


def test_actor_that_is_killed_loses_nothing_and_answers_nothing_twice(
    clf: EarlyExitClassifier,
    texts: list[str],
    expected: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    died = tmp_path / "died"

    class Killed(ray_data.Answering):
        def __call__(self, table: Any) -> Any:
            found = super().__call__(table)
            if 300 in table.column("number").to_pylist() and not died.exists():
                died.write_text(str(os.getpid()))
                os.kill(os.getpid(), signal.SIGKILL)
            return found

    monkeypatch.setattr(ray_data, "Answering", Killed)
    ds = predict_dataset(clf, numbered(texts, 8), batch_size=50, concurrency=2)
    assert rows(ds) == expected
    assert died.exists()


def labelled(n_texts: int = 120, n_blocks: int = 3) -> tuple[Any, Any, Any]:
    X, y = toy.reviews(n_texts)
    frame = pd.DataFrame({"text": X, "label": y})
    return ray.data.from_pandas(frame).repartition(n_blocks), X, y


def test_fit_of_a_database_is_that_of_one_machine(texts: list[str]) -> None:
    _, X, y = labelled()
    y = np.where(y == "negative", "bad", "good")  # which are the words
    ds = ray.data.from_pandas(pd.DataFrame({"text": X, "label": y})).repartition(3)
    clf, alone = (raee(label_words=None, tau=0.7, index="exact") for _ in range(2))
    assert fit_dataset(clf, ds) is clf
    alone.fit(X, y)
    assert clf.predict(texts).tolist() == alone.predict(texts).tolist()
    assert clf.exit_layers(texts).tolist() == alone.exit_layers(texts).tolist()
    database, known = clf._fitted.database, alone._fitted.database
    np.testing.assert_allclose(database.keys, known.keys, atol=1e-6)
    np.testing.assert_allclose(database.proba, known.proba, atol=1e-6)


def test_fit_sums_each_text_once_though_a_worker_is_killed(
    texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ds, X, y = labelled()
    died = tmp_path / "died"

    class Killed(ray_fit.Summing):
        def __call__(self, table: Any) -> Any:
            found = super().__call__(table)
            if X[100] in table.column("text").to_pylist() and not died.exists():
                died.write_text(str(os.getpid()))
                os.kill(os.getpid(), signal.SIGKILL)
            return found

    monkeypatch.setattr(ray_fit, "Summing", Killed)
    sent: list[Any] = []
    solved = ray_fit.solved_of

    def counting(parts: Any) -> Any:
        sent.extend(parts)
        return solved(sent)

    monkeypatch.setattr(ray_fit, "solved_of", counting)
    clf = fit_dataset(early_exit(budget=0.5), ds, batch_size=40)
    assert died.exists()
    assert len(sent) > 1
    assert sum(fold.n for folds in sent for fold in folds) == clf.n_samples_fit_
    classes, codes = np.unique(y, return_inverse=True)
    task = SumTask.of(early_exit(budget=0.5), classes, codes, 5)
    known = solved([sums_of(task, [X], y)])
    alone = early_exit(budget=0.5)
    concluded(alone, task, known, left_out_of(task, known, [X], y), codes)
    wanted = alone.predict_proba(texts)
    np.testing.assert_allclose(clf.predict_proba(texts), wanted, atol=1e-6)
    assert clf.exit_layers(texts).tolist() == alone.exit_layers(texts).tolist()


def test_fit_refuses_what_it_cannot_serve_before_anything_runs() -> None:
    ds = ray.data.from_pandas(pd.DataFrame({"text": ["a", None], "label": ["x", "y"]}))
    with pytest.raises(TypeError, match="got dict"):
        fit_dataset({}, ds)
    with pytest.raises(ValueError, match="readout='ridge' of a RAEEClassifier"):
        fit_dataset(raee(readout="ridge"), ds)
    with pytest.raises(ValueError, match="has no keys for a part of them"):
        fit_dataset(raee(encoder=TfidfVectorizer()), ds)
    with pytest.raises(ValueError, match="no column 'class'"):
        fit_dataset(early_exit(), ds, label="class")
    with pytest.raises(ValueError, match="n_folds must be at least 2"):
        fit_dataset(early_exit(), ds, n_folds=1)
    with pytest.raises(ValueError, match="1 of 2 texts are missing or no strings, the"):
        fit_dataset(early_exit(), ds)


def test_names_that_are_taken_and_columns_that_are_missing_are_refused(
    clf: EarlyExitClassifier,
) -> None:
    ds = ray.data.from_pandas(pd.DataFrame({"number": [0], "text": ["a film"]}))
    with pytest.raises(ValueError, match="'number' already"):
        predict_dataset(clf, ds, exit_layer="number")
    with pytest.raises(ValueError, match="no column 'review'"):
        predict_dataset(clf, ds, text="review")
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        predict_dataset(clf, ds, batch_size=0)
    with pytest.raises(ValueError, match="concurrency must be"):
        predict_dataset(clf, ds, concurrency=(3, 2))


def test_columns_that_are_known_late_are_refused_by_the_worker(
    clf: EarlyExitClassifier,
) -> None:
    names = Names(label="number")
    worker = ray_data.Answering(ray.put(Shipped.of(clf)), ["text"], names)
    with pytest.raises(ValueError, match="'number' already"):
        worker(pa.table({"number": [0], "text": ["a film"]}))


def test_actors_that_leave_no_core_to_read_by_are_told_of(
    clf: EarlyExitClassifier,
) -> None:
    ds = ray.data.from_pandas(pd.DataFrame({"number": [0], "text": ["a film"]}))
    with pytest.warns(UserWarning, match="take all 4 cores that Ray has now"):
        predict_dataset(clf, ds, concurrency=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predict_dataset(clf, ds, concurrency=4, num_cpus=0.5)
