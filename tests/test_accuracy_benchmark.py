"""benchmarks/accuracy.py, on a tiny backbone and toy reviews.

What their tables say of the closed form must be what the classifier itself does: it
solves once for all budgets instead of fitting anew for each.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score

from skraee import RAEEClassifier, templates, toy
from tests.test_paper_benchmark import BENCHMARKS, save_tiny

BACKBONE = "gemma3-270m"  # by name only: it is a tiny Llama
SIZES = {"train": 120, "test": 60}
TASKS = ("sst2", "mpqa")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and models, each where the benchmarks look for it."""
    folder = tmp_path_factory.mktemp("accuracy")
    model, tokenizer, _ = toy.backbone()._read(torch.float32)
    model.bert.save_pretrained(folder / "models" / "minilm-l6")
    tokenizer.save_pretrained(folder / "models" / "minilm-l6")
    save_tiny("llama", folder / "models" / BACKBONE)
    for task in TASKS:
        for part, size in SIZES.items():
            texts = toy.reviews(size, seed=len(task) + size)[0]
            file = folder / "data" / task / f"{part}.csv"
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("w", encoding="utf-8", newline="") as out:
                rows = zip(texts, labels_of(folder, task, texts), strict=True)
                csv.writer(out).writerows([("text", "label"), *rows])
    return folder


def labels_of(folder: Path, task: str, texts: list[str]) -> list[str]:
    """Say what the backbone's last layer does, which earlier ones tell less well."""
    prompt = templates.CAUSAL[task]
    model = folder / "models" / BACKBONE
    clf = RAEEClassifier(str(model), prompt.template, label_words=prompt.label_words)
    sweep = clf.sweep(texts)
    sure = sweep.proba(sweep.token_ids)[:, -1, 0]
    return ["negative" if p > np.median(sure) else "positive" for p in sure]


@pytest.fixture
def modules(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, ModuleType]:
    """The modules, imported as their commands import them, writing to tmp_path."""
    monkeypatch.setenv("SKRAEE_DATA", str(place / "data"))
    monkeypatch.setenv("SKRAEE_BACKBONES", str(place / "models"))
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import accuracy
    import accuracy_table
    import common

    for module in (common, accuracy):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    monkeypatch.setattr(accuracy_table, "DOCS", tmp_path / "docs")
    monkeypatch.setattr(accuracy, "N_TIMED", 4)
    (tmp_path / "docs").mkdir()
    marks = "before\n<!-- accuracy -->\nold\n<!-- end of accuracy -->\nafter\n"
    (tmp_path / "README.md").write_text(marks, encoding="utf-8")
    return {"accuracy": accuracy}


@pytest.fixture
def run(
    modules: dict[str, ModuleType], place: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Run a command; return the lines of its results file."""

    def run(name: str, *arguments: str) -> list[dict[str, Any]]:
        module = modules[name]
        command = [name, "--store", str(place / "store"), *arguments]
        monkeypatch.setattr("sys.argv", command)
        with joblib.parallel_config(backend="threading"):
            module.main()
        written = (module.RESULTS / module.FILE).read_text("utf-8").splitlines()
        return [json.loads(line) for line in written]

    return run


def read(place: Path, task: str, part: str) -> tuple[list[str], np.ndarray]:
    with (place / "data" / task / f"{part}.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], np.array([row["label"] for row in rows])


def classifier(place: Path, task: str, **params: Any) -> RAEEClassifier:
    prompt = templates.CAUSAL[task]
    return RAEEClassifier(
        str(place / "models" / BACKBONE),
        prompt.template,
        label_words=prompt.label_words,
        readout="ridge",
        **params,
    )


def in_order_of_seed(place: Path, task: str) -> tuple[list[str], np.ndarray]:
    X, y = read(place, task, "train")
    order = np.random.default_rng(0).permutation(len(X))
    return [X[i] for i in order], y[order]


def test_every_method_of_a_problem_has_one_line(
    run: Any, modules: dict[str, ModuleType], tmp_path: Path
) -> None:
    accuracy = modules["accuracy"]
    lines = run("accuracy", "--tasks", *TASKS, "--seeds", "0")
    problems = [accuracy.Problem(BACKBONE, task, 0, None) for task in TASKS]
    expected = set.union(*map(accuracy.expected, problems))
    assert accuracy.lines_done() == expected
    assert len(lines) == len(expected) == 17 * 2 + 17 + 13
    assert run("accuracy", "--tasks", *TASKS, "--seeds", "0") == lines
    page = (tmp_path / "docs" / "accuracy.md").read_text("utf-8")
    assert page.count("| MiniLM + logistic regression |") == 3
    readme = (tmp_path / "README.md").read_text("utf-8")
    assert readme.startswith("before\n<!-- accuracy -->\n| method |")
    assert readme.endswith("<!-- end of accuracy -->\nafter\n")


@pytest.mark.parametrize("exit_by", ["confidence", "retrieval"])
def test_lines_of_the_closed_form_are_what_the_classifier_answers(
    run: Any, place: Path, exit_by: Any
) -> None:
    lines = run("accuracy", "--tasks", "mpqa", "--seeds", "0")
    X, y = read(place, "mpqa", "test")
    n_exits = set()
    for line in lines:
        if line["method"] == f"ridge, exit by {exit_by}":
            clf = classifier(
                place,
                "mpqa",
                exit_by=exit_by,
                budget=line["budget"],
                class_weight=line["class_weight"],
            ).fit(*in_order_of_seed(place, "mpqa"))
            labels, exits = clf.predict(X, return_exit_layers=True)
            assert line["accuracy"] == round(100 * accuracy_score(y, labels), 3)
            assert line["cost"] == round(float(clf.cost_[exits].mean()), 4)
            n_exits.add(len(set(exits)))
    assert max(n_exits) > 1


def test_times_are_of_the_same_texts_for_all_methods(run: Any, tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    pytest.importorskip("matplotlib")
    run("accuracy", "--tasks", "sst2", "--seeds", "0")
    line = run("accuracy", "--tasks", "sst2", "--seeds", "0", "--times")[-1]
    assert line["texts"] == 4
    assert len(line["times"]) == 10 + 1 + 3 + 2
    assert min(line["times"].values()) > 0
    assert "## Time" in (tmp_path / "docs" / "accuracy.md").read_text("utf-8")
    assert (tmp_path / "docs" / "images" / "accuracy.png").is_file()
