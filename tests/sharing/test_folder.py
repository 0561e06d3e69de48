"""Folders of the hub: the file, and a card that says what was measured."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skraee import Backbone, EarlyExitClassifier, toy
from skraee.exceptions import FileFormatError, SignatureError
from skraee.inspection import Evaluation
from skraee.sharing import load_from_folder, save_to_folder
from tests.support.classifiers import early_exit, raee, raee_cv
from tests.support.models import toy_objects

X, Y = toy.reviews(60)
NEW, Y_NEW = toy.reviews(40, seed=1)
KEY = "k" * 20


@pytest.fixture(scope="module")
def clf() -> EarlyExitClassifier:
    return early_exit(threshold=0.9).fit(X, Y)


@pytest.mark.parametrize("make", [early_exit, raee, raee_cv])
def test_classifier_comes_back_as_it_was_without_a_network(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clf = make().fit(X, Y)
    folder = save_to_folder(clf, tmp_path / "a" / "b")

    def refused(*_: Any) -> None:
        raise AssertionError("it asks for a network")

    monkeypatch.setattr(socket, "socket", refused)
    found = load_from_folder(folder)
    assert type(found) is type(clf)
    assert (found.predict_proba(NEW) == clf.predict_proba(NEW)).all()


def test_card_has_the_measured_figures_as_the_hub_reads_them(
    clf: EarlyExitClassifier, tmp_path: Path
) -> None:
    evaluation = Evaluation.of(clf, NEW, Y_NEW)
    save_to_folder(
        clf,
        tmp_path,
        evaluation=evaluation,
        dataset="made up reviews",
        description="Praise from blame.",
        license="mit",
    )
    card = ModelCard.load(tmp_path / "README.md")
    accuracy, f1 = card.data.eval_results
    assert (accuracy.metric_type, accuracy.metric_value) == (
        "accuracy",
        round(evaluation.accuracy, 4),
    )
    assert f1.metric_value == round(evaluation.macro_f1, 4)
    assert accuracy.dataset_name == "made up reviews"
    assert card.data.library_name == "skraee"
    assert card.data.license == "mit"
    assert "Praise from blame." in card.text
    assert f"| macro F1 | {evaluation.macro_f1:.4f} |" in card.text
    assert f"| layer 4 | {clf.layer_scores_[4]:.4f} |" in card.text


def test_card_without_an_evaluation_claims_no_figures_of_new_texts(
    clf: EarlyExitClassifier, tmp_path: Path
) -> None:
    save_to_folder(clf, tmp_path)
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.eval_results is None
    assert "macro F1" not in card.text
    assert "each left out" in card.text


def test_card_names_no_place_of_this_machine(tmp_path: Path) -> None:
    backbone = tmp_path / "secret-place" / "my-backbone"
    for part in toy_objects():
        part.save_pretrained(backbone)
    clf = EarlyExitClassifier(str(backbone), threshold=0.9, memory=None).fit(X, Y)
    card = (save_to_folder(clf, tmp_path / "shared") / "README.md").read_text("utf-8")
    assert "my-backbone" in card
    assert "secret-place" not in card
    assert "base_model" not in card


def test_backbone_of_the_hub_is_named_as_the_base_model(
    clf: EarlyExitClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Backbone, "name", "org/some-model")
    monkeypatch.setattr(EarlyExitClassifier, "save", lambda *a, **k: None)
    save_to_folder(clf, tmp_path)
    assert ModelCard.load(tmp_path / "README.md").data.base_model == "org/some-model"


def test_names_of_classes_do_not_break_the_tables(tmp_path: Path) -> None:
    labels = ["a|b\nc", "---"]
    clf = early_exit(threshold=0.9).fit(X, [labels[i % 2] for i in range(60)])
    card = (save_to_folder(clf, tmp_path) / "README.md").read_text("utf-8")
    assert "| classes | ---, a\\|b c |" in card


def test_signed_folder_wants_its_key(clf: EarlyExitClassifier, tmp_path: Path) -> None:
    save_to_folder(clf, tmp_path, key=KEY)
    assert "clf = load_from_folder(folder, key=key)" in (
        (tmp_path / "README.md").read_text("utf-8")
    )
    assert load_from_folder(tmp_path, key=KEY).predict(NEW[:1]).shape == (1,)
    with pytest.raises(SignatureError):
        load_from_folder(tmp_path, key="o" * 20)
    save_to_folder(clf, tmp_path)
    with pytest.raises(SignatureError):
        load_from_folder(tmp_path, key=KEY)


def test_damaged_file_is_refused(clf: EarlyExitClassifier, tmp_path: Path) -> None:
    path = save_to_folder(clf, tmp_path) / "model.skraee"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(FileFormatError):
        load_from_folder(tmp_path)


def test_other_files_of_the_folder_stay_and_are_not_read(
    clf: EarlyExitClassifier, tmp_path: Path
) -> None:
    for name in ("model.pkl", "skraee.py", "config.json"):
        (tmp_path / name).write_text("raise SystemExit", "utf-8")
    save_to_folder(clf, tmp_path)
    save_to_folder(clf, tmp_path)
    assert load_from_folder(tmp_path).n_samples_fit_ == 60
    assert len(list(tmp_path.iterdir())) == 5


def test_folder_that_is_none_or_has_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        NotADirectoryError, match=r"there is no folder .* fetch one fir"
    ):
        load_from_folder(tmp_path / "none")
    with pytest.raises(FileFormatError, match=r"has no model\.skraee; make one with s"):
        load_from_folder(tmp_path)


def test_what_no_file_can_hold_is_refused_before_anything_is_written(
    clf: EarlyExitClassifier, tmp_path: Path
) -> None:
    target = tmp_path / "new"
    one: Any = make_pipeline(clf)
    with pytest.raises(TypeError, match="without code, got Pipeline; of a Pipeline or"):
        save_to_folder(one, target)
    with pytest.raises(NotFittedError):
        save_to_folder(early_exit(), target)
    figures: Any = {"accuracy": 1.0}
    with pytest.raises(TypeError, match="evaluation must be an Evaluation, got dict"):
        save_to_folder(clf, target, evaluation=figures)
    assert not target.exists()


@pytest.mark.parametrize("own", ["# My project\n", None, "caf\xe9"])
def test_readme_of_ones_own_is_not_written_over(
    clf: EarlyExitClassifier, tmp_path: Path, own: str | None
) -> None:
    readme = tmp_path / "README.md"
    if own is None:  # ours, and somebody has written into it
        own = (save_to_folder(clf, tmp_path) / "README.md").read_text("utf-8")
        own = own.replace("## Use", "## How we use it")
        (tmp_path / "model.skraee").unlink()
    readme.write_text(own, "latin-1" if own == "caf\xe9" else "utf-8")
    before = readme.read_bytes()
    with pytest.raises(FileExistsError, match=r"would be lost; name another folder"):
        save_to_folder(clf, tmp_path)
    assert readme.read_bytes() == before
    assert not (tmp_path / "model.skraee").exists()
