"""``skraee evaluate``, on toy backbones."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from skraee import EarlyExitClassifier, toy
from skraee.baselines import FullDepthClassifier
from skraee.cli.main import main
from tests.support.classifiers import early_exit, make_classifier

X, Y = toy.reviews(60)
baseline = partial(make_classifier, FullDepthClassifier)


def test_evaluate_prints_a_report(model, labelled, capsys):
    assert main(["evaluate", str(model), str(labelled)]) == 0
    told = capsys.readouterr().out
    accuracy = told.splitlines()[1].split()
    table = pd.read_csv(labelled)
    score = EarlyExitClassifier.load(model).score(table["text"], table["label"])
    assert accuracy[:2] == ["accuracy", f"{score:.3f}"]
    assert "right class \\ answer" in told


def test_evaluate_as_json_has_all_numbers(neighbors, labelled, capsys):
    assert main(["evaluate", str(neighbors), str(labelled), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n_texts"] == 40
    assert {"accuracy", "log_loss", "calibration_error", "mean_cost"} <= found.keys()
    assert [one["label"] for one in found["classes"]] == ["negative", "positive"]
    assert np.shape(found["confusion"]) == (2, 2)


@pytest.mark.parametrize(("least", "status"), [("0.1", 0), ("1.1", 1)])
def test_evaluate_below_the_least_accuracy_ends_with_1(
    least, status, model, labelled, capsys
):
    words = ["evaluate", str(model), str(labelled), "--min-accuracy", least]
    assert main(words) == status
    told = capsys.readouterr()
    assert "accuracy" in told.out
    assert ("is below --min-accuracy 1.1" in told.err) == bool(status)


def test_evaluate_beside_the_majority_says_what_a_constant_answer_reaches(
    model, labelled, capsys
):
    table = pd.read_csv(labelled)
    rare = table["label"] == "negative"
    table = pd.concat([table[~rare], table[rare].head(5)])
    table.to_csv(labelled, index=False)
    words = ["evaluate", str(model), str(labelled), "--baseline", "majority"]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["baseline"]
    constant = DummyClassifier().fit(table[["text"]], table["label"])
    answers = constant.predict(table[["text"]])
    assert found == {
        "name": "majority",
        "answer": "positive",
        "accuracy": accuracy_score(table["label"], answers),
        "balanced_accuracy": balanced_accuracy_score(table["label"], answers),
        "macro_f1": pytest.approx(f1_score(table["label"], answers, average="macro")),
    }
    assert main(words) == 0
    told = capsys.readouterr().out.splitlines()[-1]
    assert told.startswith("always 'positive', the most frequent class: accuracy 0.800")


def test_evaluate_without_a_baseline_names_none(model, labelled, capsys):
    assert main(["evaluate", str(model), str(labelled), "--json"]) == 0
    assert "baseline" not in json.loads(capsys.readouterr().out)


def test_evaluate_takes_a_baseline_from_joblib(labelled, tmp_path, capsys):
    path = tmp_path / "baseline.joblib"
    joblib.dump(baseline().fit(X, Y), path)
    assert main(["evaluate", str(path), str(labelled), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["mean_exit_layer"], found["mean_cost"]) == (4, 1)


def test_evaluate_numbers_in_a_csv_file_are_classes_that_are_numbers(tmp_path, capsys):
    path, data = tmp_path / "model.skraee", tmp_path / "data.csv"
    early_exit().fit(X, (Y == "positive").astype(int)).save(path)
    pd.DataFrame({"text": X, "label": (Y == "positive").astype(int)}).to_csv(data)
    assert main(["evaluate", str(path), str(data), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["label"] for one in found["classes"]] == [0, 1]
    assert found["accuracy"] > 0.6


def relabelled(data: Path, **rename: str) -> None:
    table = pd.read_csv(data)
    table["label"] = table["label"].replace(rename)
    table.to_csv(data, index=False)


def test_evaluate_of_labels_that_are_all_unknown_is_one_line(model, labelled, capsys):
    relabelled(labelled, negative="no", positive="yes")
    assert main(["evaluate", str(model), str(labelled)]) == 2
    told = capsys.readouterr().err
    assert "none of the labels in the column 'label' is a class of the model" in told
    assert "whose classes are negative, positive; name the right column" in told


def test_evaluate_of_some_unknown_labels_says_so(model, labelled, capsys):
    relabelled(labelled, negative="no")
    assert main(["evaluate", str(model), str(labelled), "--json"]) == 0
    told = capsys.readouterr()
    assert "20 of 40 labels are no class of the model, first 'no'" in told.err
    assert json.loads(told.out)["accuracy"] <= 0.5
