"""MLflow, with its store in a file of SQLite and no server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from skraee import EarlyExitClassifier, toy
from skraee.exceptions import SignatureError
from skraee.sharing import mlflow_model
from tests.support.classifiers import early_exit, raee

mlflow = pytest.importorskip("mlflow", reason="the extra `mlflow` is not installed")

pytestmark = [
    pytest.mark.engines,
    # Its own, of pydantic and SQLAlchemy among others.
    pytest.mark.filterwarnings("default"),
]

X, Y = toy.reviews(60)
NEW, _ = toy.reviews(20, seed=1)
KEY = "k" * 20


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("mlflow")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{folder}/store.db")
    mlflow.create_experiment("tests", artifact_location=(folder / "files").as_uri())
    mlflow.set_experiment("tests")
    yield
    mlflow.set_tracking_uri(before)


@pytest.fixture(scope="module")
def clf() -> EarlyExitClassifier:
    return early_exit(threshold=0.9).fit(X, Y)


def log(clf: Any, **settings: Any) -> str:
    with mlflow.start_run():
        return str(mlflow_model.log_model(clf, **settings).model_uri)


def test_logged_classifier_answers_as_it_did(clf: EarlyExitClassifier) -> None:
    uri = log(clf, input_example=X[:3])
    found = mlflow.pyfunc.load_model(uri)
    answers = found.predict(pd.DataFrame({"text": NEW}))
    proba, exits = clf.predict_proba(NEW, return_exit_layers=True)
    assert answers["label"].tolist() == clf.predict(NEW).tolist()
    assert answers["exit_layer"].tolist() == exits.tolist()
    assert answers["probability"].tolist() == proba.max(axis=1).tolist()
    assert found.metadata.signature.inputs.input_names() == ["text"]
    assert found.metadata.signature.outputs.input_names() == [*answers.columns]
    shown = found.input_example
    assert shown["text"].tolist() == X[:3]
    found.predict(shown)
    again = mlflow_model.load_model(uri)
    assert (again.predict_proba(NEW) == proba).all()


def test_model_holds_the_file_and_no_pickle(
    clf: EarlyExitClassifier, tmp_path: Path
) -> None:
    mlflow_model.save_model(clf, str(tmp_path / "model"))
    files = {path.name for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert "model.skraee" in files
    assert not [name for name in files if name.endswith((".pkl", ".pickle"))]
    assert mlflow_model.load_model(str(tmp_path / "model")).n_samples_fit_ == 60


def test_texts_of_other_types_or_columns_are_refused(clf: EarlyExitClassifier) -> None:
    found = mlflow.pyfunc.load_model(log(clf))
    with pytest.raises(mlflow.MlflowException, match="Incompatible input types"):
        found.predict(pd.DataFrame({"text": [3]}))
    with pytest.raises(mlflow.MlflowException, match="missing inputs"):
        found.predict(pd.DataFrame({"words": ["a"]}))


def test_fields_of_the_template_are_columns() -> None:
    frame = pd.DataFrame({"title": X, "body": X[::-1]})
    clf = early_exit(template="{title} {body}", threshold=0.9).fit(frame, Y)
    found = mlflow.pyfunc.load_model(log(clf, input_example=frame[:2]))
    assert found.predict(frame)["label"].tolist() == clf.predict(frame).tolist()


def test_classes_that_are_numbers_stay_numbers() -> None:
    clf = raee(k=3, label_words=[*toy.LABEL_WORDS.values()])
    clf.fit(X, np.arange(60) % 2)
    answers = mlflow.pyfunc.load_model(log(clf)).predict(pd.DataFrame({"text": NEW}))
    assert answers["label"].tolist() == clf.predict(NEW).tolist()


def test_signature_of_the_file_is_asked_for(clf: EarlyExitClassifier) -> None:
    signed, plain = log(clf, key=KEY), log(clf)
    assert mlflow_model.load_model(signed, key=KEY).n_samples_fit_ == 60
    for uri, key in ((signed, "o" * 20), (plain, KEY)):
        with pytest.raises(SignatureError):
            mlflow_model.load_model(uri, key=key)


def test_registered_model_is_found_by_its_name(clf: EarlyExitClassifier) -> None:
    log(clf, registered_model_name="reviews")
    assert mlflow_model.load_model("models:/reviews/1").predict(NEW[:1]).shape == (1,)


def test_flavour_of_scikit_learn_takes_it_as_a_pickle_and_is_told_apart(
    clf: EarlyExitClassifier,
) -> None:
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(
            clf,
            name="model",
            serialization_format="cloudpickle",
            pip_requirements=["skraee"],
            input_example=X[:2],
        )
    found = mlflow.sklearn.load_model(info.model_uri)
    assert (found.predict_proba(NEW) == clf.predict_proba(NEW)).all()
    with pytest.raises(ValueError, match=r"was not logged by skraee\.sharing\.mlf"):
        mlflow_model.load_model(info.model_uri)
