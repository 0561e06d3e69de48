"""``skraee info``, on toy backbones."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import pytest

from skraee import Backbone, EarlyExitClassifier, toy
from skraee.baselines import FullDepthClassifier
from skraee.cli.main import main
from skraee.persistence import archive
from tests.support.classifiers import make_classifier, raee, raee_cv

X, Y = toy.reviews(60)
baseline = partial(make_classifier, FullDepthClassifier)


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("a backbone is loaded")


def info_of(path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Backbone, "load", refuse)
        assert main(["info", str(path), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_info_of_a_saved_file_says_what_it_is(model, capsys):
    found = info_of(model, capsys)
    assert found["class"] == "EarlyExitClassifier"
    assert (found["backbone"], found["revision"]) == ("toy:masked:0", None)
    assert found["classes"] == ["negative", "positive"]
    assert (found["n_samples_fit"], found["n_layers"]) == (60, 4)
    assert found["template"] == toy.TEMPLATES["masked"]
    assert found["file_bytes"] == model.stat().st_size
    assert found["parameters"]["budget"] == 0.5
    assert "budget" in found["changed_parameters"]
    assert "min_exit" not in found["changed_parameters"]
    assert 0 <= found["chosen"]["threshold_"] <= 1
    assert found["cost_at_exits"] == EarlyExitClassifier.load(model).cost_.tolist()
    assert found["versions"] == archive.read(model)[0]["versions"]


def test_info_as_text_fits_a_screen(model, capsys):
    assert main(["info", str(model)]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == str(model)
    told = "\n".join(lines)
    assert "EarlyExitClassifier" in told
    assert "toy:masked:0: 4 layers in float32" in told
    assert "2: negative, positive" in told
    assert "60 texts" in told
    assert " kB" in told
    assert "fit chose threshold=" in told
    assert "budget=0.5" in told
    assert "share of the model's at exit: 0% at 0, 25% at 1, " in told
    assert "100% at 4\n" in told
    assert "skraee 0.1.0" in told


@pytest.mark.parametrize("suffix", [".skraee", ".joblib"])
def test_info_of_a_search_names_what_it_chose(suffix, tmp_path, capsys):
    path = tmp_path / f"model{suffix}"
    clf = raee_cv(ks=(2, 4)).fit(X, Y)
    clf.save(path) if suffix == ".skraee" else joblib.dump(clf, path)
    found = info_of(path, capsys)
    assert found["class"] == "RAEEClassifierCV"
    assert found["chosen"]["k_"] == clf.k_
    assert (found["versions"] is None) == (suffix == ".joblib")


def test_info_of_a_baseline_leaves_open_what_it_does_not_keep(tmp_path, capsys):
    path = tmp_path / "baseline.joblib"
    joblib.dump(baseline().fit(X, Y), path)
    found = info_of(path, capsys)
    assert found["class"] == "FullDepthClassifier"
    assert found["n_samples_fit"] is None
    assert main(["info", str(path)]) == 0
    told = capsys.readouterr().out
    assert "unknown number of texts" in told
    assert "fit chose nothing" in told
    assert "not kept in a joblib file" in told


def test_info_of_exits_that_were_set_names_what_decides(neighbors, capsys):
    assert main(["info", str(neighbors)]) == 0
    assert "as set: k=3, tau=0." in capsys.readouterr().out


def test_info_of_keys_from_a_depth_counts_the_layers_that_all_texts_run(
    tmp_path, capsys
):
    path = tmp_path / "model.skraee"
    raee(encoder=2).fit(X, Y).save(path)
    costs = info_of(path, capsys)["cost_at_exits"]
    assert costs[0] == costs[1] == costs[2] > 0


def test_info_of_many_classes_names_the_first(tmp_path, capsys):
    path = tmp_path / "model.skraee"
    labels = [f"class {i % 30:02}" for i in range(60)]
    raee(readout="ridge", label_words=None).fit(X, labels).save(path)
    assert main(["info", str(path)]) == 0
    told = capsys.readouterr().out
    assert "30: class 00, " in told
    assert "class 19 and 10 more" in told


def test_info_of_what_is_no_model_is_one_line(tmp_path, capsys):
    path = tmp_path / "model.skraee"
    path.write_bytes(b"no archive")
    assert main(["info", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("skraee: error: ")
    assert "no file that an estimator's save wrote" in line
