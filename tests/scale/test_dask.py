"""Dask with worker processes of this machine, one of which is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV

from skraee import EarlyExitClassifier, toy
from skraee.scale import predict_frame
from skraee.sweep.folder_store import FolderStore
from tests.support.classifiers import raee

dask = pytest.importorskip("dask", reason="the extra `dask` is not installed")
dd = pytest.importorskip("dask.dataframe", reason="the extra `dask` is not installed")
distributed = pytest.importorskip("distributed")

pytestmark = [
    pytest.mark.engines,
    pytest.mark.filterwarnings("default"),  # Dask's own
]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=None,
            host="127.0.0.1",
            silence_logs="CRITICAL",
        ) as made,
        distributed.Client(made),
    ):
        yield


def numbered(texts: list[Any], n_parts: int = 4) -> Any:
    frame = pd.DataFrame({"number": range(len(texts)), "text": texts})
    return dd.from_pandas(frame, npartitions=n_parts)


def rows(found: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Return number, label, probabilities and exit of each text."""
    assert found["error"].isna().all()
    proba = found[["probability_negative", "probability_positive"]]
    lists = [found[name].tolist() for name in ("number", "label", "exit_layer")]
    return [
        (number, label, proba, exit_layer)
        for number, label, exit_layer, proba in zip(
            *lists, proba.to_numpy(float).tolist(), strict=True
        )
    ]


def test_answers_are_those_of_predict(
    clf: EarlyExitClassifier, texts: list[str], expected: Any
) -> None:
    assert rows(predict_frame(clf, numbered(texts)).compute()) == expected


def test_types_are_known_before_anything_runs(clf: EarlyExitClassifier) -> None:
    frame = predict_frame(clf, numbered(["a film", None], 1))
    added = "label probability_negative probability_positive exit_layer error"
    assert list(frame.columns) == ["number", "text", *added.split()]
    found = frame.compute()
    assert found.dtypes.tolist() == frame.dtypes.tolist()


def test_parquet_goes_in_and_out(
    clf: EarlyExitClassifier, texts: list[str], expected: Any, tmp_path: Path
) -> None:
    clf.save(tmp_path / "model.skraee")
    numbered(texts).to_parquet(str(tmp_path / "in"))
    frame = dd.read_parquet(str(tmp_path / "in"))
    frame = predict_frame(tmp_path / "model.skraee", frame)
    frame.to_parquet(str(tmp_path / "out"))
    assert rows(pd.read_parquet(tmp_path / "out")) == expected


def test_poison_is_reported_and_the_others_answered(
    clf: EarlyExitClassifier, texts: list[str], expected: Any
) -> None:
    poisoned = [*texts[:50], None, *texts[50:100]]
    found = predict_frame(clf, numbered(poisoned, 2)).compute()
    assert found["error"].tolist()[50] == "no text"
    assert found.iloc[50][["label", "probability_positive", "exit_layer"]].isna().all()
    assert rows(found.drop(index=50))[49][1:] == expected[49][1:]
    assert found["label"].tolist()[51:] == [row[1] for row in expected[50:100]]


def test_worker_that_is_killed_loses_nothing_and_answers_nothing_twice(
    clf: EarlyExitClassifier, texts: list[str], expected: Any, tmp_path: Path
) -> None:
    died = tmp_path / "died"

    def killed(part: pd.DataFrame) -> pd.DataFrame:
        if 300 in part["number"].tolist() and not died.exists():
            died.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return part

    frame = predict_frame(clf, numbered(texts, 8))
    frame = frame.map_partitions(killed, meta=frame._meta)
    assert rows(frame.compute()) == expected
    assert died.exists()


def test_names_that_are_taken_are_refused(clf: EarlyExitClassifier) -> None:
    frame = numbered(["a film"], 1)
    with pytest.raises(ValueError, match="'number' already"):
        predict_frame(clf, frame, label="number")
    frame = frame.assign(probability_positive=0)
    with pytest.raises(ValueError, match="'probability_positive' already"):
        predict_frame(clf, frame)
    with pytest.raises(ValueError, match="no column 'review'"):
        predict_frame(clf, frame, text="review")


def test_search_on_the_workers_finds_what_one_process_does(tmp_path: Path) -> None:
    X, y = toy.reviews(40)

    def search(memory: Any) -> GridSearchCV:
        grid = {"k": [3, 5], "tau": [0.6, 0.9]}
        return GridSearchCV(raee(memory=memory), grid, cv=2, refit=False)

    store = FolderStore(tmp_path / "sweeps")
    with joblib.parallel_config(backend="dask"):
        found = search(store).fit(X, y)
    # Of each distinct text its sweep and its key: no text twice.
    assert len(store) == 2 * len({*X})
    alone = search(None).fit(X, y)
    scores = "mean_test_score"
    assert found.cv_results_[scores].tolist() == alone.cv_results_[scores].tolist()
