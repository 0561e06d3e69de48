"""``python -m benchmarks.accuracy``, on a tiny backbone and toy reviews."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from benchmarks.accuracy import picture, times
from benchmarks.accuracy.__main__ import main
from benchmarks.accuracy.judge import NAMING, name_of
from benchmarks.accuracy.methods import methods
from benchmarks.accuracy.problem import Problem
from benchmarks.data import read_task, sample
from benchmarks.lines import Lines
from skraee import (
    Backbone,
    EarlyExitClassifier,
    RAEEClassifier,
    templates,
    toy,
)
from tests.benchmarks.tiny import save_encoder, save_tiny, write_task

BACKBONE = "gemma3-270m"  # by name only: it is a tiny Llama
SIZES = {"train": 120, "test": 60}
TASKS = ("sst2", "mpqa")

Run = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and models, each where the benchmarks look for it."""
    folder = tmp_path_factory.mktemp("accuracy")
    save_encoder(folder / "models" / "minilm-l6")
    save_tiny("llama", folder / "models" / BACKBONE)
    for task in TASKS:
        for part, size in SIZES.items():
            texts = toy.reviews(size, seed=len(task) + size)[0]
            labels = labels_of(folder / "models" / BACKBONE, task, texts)
            write_task(folder / "data", task, part, texts, labels)
    return folder


def labels_of(model: Path, task: str, texts: list[str]) -> list[str]:
    """Say what the backbone's last layer does, which earlier ones tell less well."""
    prompt = templates.CAUSAL[task]
    clf = RAEEClassifier(str(model), prompt.template, label_words=prompt.label_words)
    sweep = clf.sweep(texts)
    sure = sweep.proba(sweep.token_ids)[:, -1, 0]
    return ["negative" if p > np.median(sure) else "positive" for p in sure]


@pytest.fixture
def run(
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fresh_backbones: None,
    fresh_sweeps: None,
) -> Run:
    """Run the command; return the lines of its results file."""
    monkeypatch.setenv("SKRAEE_DATA", str(place / "data"))
    monkeypatch.setenv("SKRAEE_BACKBONES", str(place / "models"))
    monkeypatch.setattr(times, "N_TIMED", 4)
    results, docs = tmp_path / "accuracy.jsonl", tmp_path / "docs"

    def run(*arguments: str, store: Path | None = place / "store") -> list[Any]:
        given = ["--results", str(results), "--docs", str(docs)]
        given += [] if store is None else ["--store", str(store)]
        main([*arguments, *given])
        return [json.loads(line) for line in results.read_text("utf-8").splitlines()]

    return run


def classifier(
    place: Path, task: str, by_confidence: bool = False, **params: Any
) -> Any:
    prompt = templates.CAUSAL[task]
    kind = EarlyExitClassifier
    if not by_confidence:
        kind = RAEEClassifier
        params |= {"readout": "ridge", "label_words": prompt.label_words}
    folder = str(place / "models" / BACKBONE)
    clf = kind(folder, prompt.template, memory=None, **params)
    texts, labels = read_task(task, "train")
    return clf.fit(*sample(texts, labels, len(texts), seed=0))


def test_every_method_of_a_problem_has_one_line(run: Run, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- accuracy -->\nold\n<!-- end of accuracy -->\nafter")
    lines = run("--tasks", *TASKS, "--seeds", "0")
    stored = Lines(tmp_path / "accuracy.jsonl", NAMING)
    expected = {
        stored.key_of(name_of(problem, test, method))
        for problem in (Problem(BACKBONE, task, 0, None) for task in TASKS)
        for method in methods(problem)
        for test in problem.tests
    }
    assert {stored.key_of(line) for line in lines} == expected
    assert len(lines) == len(expected) == 17 * 2 + 17 + 13
    page = (tmp_path / "docs" / "accuracy.md").read_text("utf-8")
    assert page.count("| MiniLM + logistic regression |") == 3
    shown = readme.read_text("utf-8")
    assert shown.startswith("before\n<!-- accuracy -->\n| method |")
    assert shown.endswith("<!-- end of accuracy -->\nafter")


def test_a_second_run_adds_no_line_and_passes_no_text(
    run: Run, rows: Counter[str]
) -> None:
    lines = run("--tasks", "sst2", "--seeds", "0")
    rows.clear()
    assert run("--tasks", "sst2", "--seeds", "0") == lines
    assert not rows


@pytest.mark.parametrize("stored", [True, False])
def test_a_problem_passes_each_text_once_whatever_its_methods(
    run: Run, rows: Counter[str], tmp_path: Path, stored: bool
) -> None:
    run("--tasks", "sst2", "--seeds", "0", store=tmp_path if stored else None)
    files = [read_task("sst2", "train"), *(read_task(t, "test") for t in TASKS)]
    texts = {text for labelled in files for text in labelled[0]}
    assert rows == {"sweep": len(texts)}


@pytest.mark.parametrize("exit_by", ["confidence", "retrieval"])
def test_lines_of_the_closed_form_are_what_the_classifier_answers(
    run: Run, place: Path, exit_by: Any
) -> None:
    lines = run("--tasks", "mpqa", "--seeds", "0")
    X, y = read_task("mpqa", "test")
    n_exits = set()
    for line in lines:
        if line["method"] == f"ridge, exit by {exit_by}":
            clf = classifier(
                place,
                "mpqa",
                exit_by == "confidence",
                budget=line["budget"],
                class_weight=line["class_weight"],
            )
            labels, exits = clf.predict(X, return_exit_layers=True)
            assert line["accuracy"] == round(100 * accuracy_score(y, labels), 3)
            assert line["cost"] == round(float(clf.cost_[exits].mean()), 4)
            n_exits.add(len(set(exits)))
    assert max(n_exits) > 1


def test_times_are_of_the_same_texts_for_all_methods(
    run: Run, tmp_path: Path, rows: Counter[str]
) -> None:
    pytest.importorskip("sentence_transformers")
    pytest.importorskip("matplotlib")
    run("--tasks", "sst2", "--seeds", "0")
    rows.clear()
    line = run("--tasks", "sst2", "--seeds", "0", "--times")[-1]
    assert line["texts"] == 4
    assert len(line["times"]) == 10 + 1 + 3 + 2
    assert min(line["times"].values()) > 0
    # Four rounds of eleven methods of ours: no store is asked.
    assert rows["run"] == 4 * 11 * 4
    assert "## Time" in (tmp_path / "docs" / "accuracy.md").read_text("utf-8")
    assert (tmp_path / "docs" / "images" / "accuracy.png").is_file()


def test_picture_shows_the_exits_of_the_demos_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    save_tiny("llama", tmp_path / "model", n_layers=10)
    monkeypatch.setattr(picture, "backbone", lambda: Backbone(tmp_path / "model"))
    main(["--picture", "--docs", str(tmp_path)])
    assert (tmp_path / "images" / "exits.png").is_file()
    assert 0 < float(capsys.readouterr().out.split()[-1]) < 1


def test_tables_without_figures_are_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no figures in .*accuracy\.jsonl; measure"):
        run("--table")
    assert not (tmp_path / "docs").exists()


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("SKRAEE_DATA", "set SKRAEE_DATA to the folder that holds the data sets"),
        ("SKRAEE_BACKBONES", "set SKRAEE_BACKBONES to the folder that holds the mod"),
    ],
)
def test_a_folder_that_is_not_named_is_asked_for(
    run: Run, monkeypatch: pytest.MonkeyPatch, variable: str, message: str
) -> None:
    monkeypatch.delenv(variable)
    with pytest.raises(SystemExit, match=message):
        run("--tasks", "sst2", "--seeds", "0")
