"""``python -m benchmarks.accuracy``, on tiny backbones and toy reviews."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss

from benchmarks import peers
from benchmarks.accuracy import picture, setfit, times
from benchmarks.accuracy.__main__ import main
from benchmarks.accuracy.methods import (
    BEST_PROBE,
    CONFIDENCE,
    FULL_DEPTH,
    LAST_PROBE,
    MAX_LOSS,
    MINILM,
    MPNET,
    MPNET_LR,
    RETRIEVAL,
    ZERO_SHOT,
    methods,
)
from benchmarks.accuracy.problem import NONE, Problem
from benchmarks.accuracy.results import NAMING, Results, name_of
from benchmarks.calibration import calibration_error
from benchmarks.data import read_task, sample
from benchmarks.lines import Lines
from benchmarks.peers import LinearProbe, on_vectors, regression, sentence_encoder
from skraee import (
    Backbone,
    EarlyExitClassifier,
    RAEEClassifier,
    clear_backbones,
    clear_sweeps,
    templates,
    toy,
)
from skraee.baselines import FullDepthClassifier
from tests.benchmarks.tiny import save_sentence_encoder, save_tiny, write_task

GEMMA = "gemma3-270m"  # by name only: it is a tiny Llama
SIZES = {"train": 120, "test": 60}
TASKS = ("sst2", "mpqa")
SMALL = ("--tasks", "mpqa", "--seeds", "0", "--backbone", GEMMA)

Run = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and models, each where the benchmarks look for it."""
    pytest.importorskip("sentence_transformers")
    folder = tmp_path_factory.mktemp("accuracy")
    for name in (MINILM, MPNET):
        save_sentence_encoder(folder / "models" / name)
    save_tiny("llama", folder / "models" / GEMMA)
    for task in TASKS:
        for part, size in SIZES.items():
            texts = toy.reviews(size, seed=len(task) + size)[0]
            # Of MPQA the training file has unequal classes, as the real one.
            rare = 0.25 if (task, part) == ("mpqa", "train") else 0.5
            labels = labels_of(folder / "models" / GEMMA, task, texts, rare)
            write_task(folder / "data", task, part, texts, labels)
    return folder


def labels_of(model: Path, task: str, texts: list[str], rare: float) -> list[str]:
    """Say what the backbone's last layer does, which earlier ones tell less well."""
    prompt = templates.CAUSAL[task]
    clf = RAEEClassifier(str(model), prompt.template, label_words=prompt.label_words)
    sweep = clf.sweep(texts)
    sure = sweep.proba(sweep.token_ids)[:, -1, 0]
    bound = np.quantile(sure, 1 - rare)
    return ["negative" if p > bound else "positive" for p in sure]


def prepare(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the benchmarks find data and models, and search little."""
    monkeypatch.setenv("SKRAEE_DATA", str(place / "data"))
    monkeypatch.setenv("SKRAEE_BACKBONES", str(place / "models"))
    monkeypatch.setattr(times, "N_TIMED", 4)
    monkeypatch.setattr(peers, "N_FOLDS", 2)
    monkeypatch.setattr(peers, "CS", (10.0,))
    monkeypatch.setattr(peers, "PROBE_CS", (1e-2,))


@pytest.fixture
def named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(place, monkeypatch)


@pytest.fixture(scope="module")
def measured(place: Path) -> Path:
    """A folder with the results of a run over all methods, and its pages."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        prepare(place, monkeypatch)
        given = ("--results", place / "accuracy.jsonl", "--docs", place / "docs")
        chosen = ("--tasks", *TASKS, "--seeds", "0", "--store", place / "store")
        clear_backbones()
        main([str(argument) for argument in (*chosen, *given)])
        clear_backbones()
        clear_sweeps()
    return place


@pytest.fixture
def run(
    measured: Path,
    tmp_path: Path,
    named: None,
    fresh_backbones: None,
    fresh_sweeps: None,
) -> Run:
    """Run the command over a copy of the results; return the lines of its file."""
    for file in measured.glob("accuracy*.jsonl"):
        shutil.copy(file, tmp_path)
    results, docs = tmp_path / "accuracy.jsonl", tmp_path / "docs"

    def run(*arguments: str, store: Path | None = measured / "store") -> list[Any]:
        given = ["--results", str(results), "--docs", str(docs)]
        given += [] if store is None else ["--store", str(store)]
        main([*arguments, *given])
        return read(results)

    return run


def read(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def lines(measured: Path, named: None) -> list[dict[str, Any]]:
    return read(measured / "accuracy.jsonl")


def problems() -> list[Problem]:
    names = (NONE, MPNET, GEMMA)
    return [Problem(name, task, 0, None) for name in names for task in TASKS]


def train(task: str) -> tuple[list[str], np.ndarray]:
    texts, labels = read_task(task, "train")
    return sample(texts, labels, len(texts), seed=0)


# What is measured


@pytest.mark.slow
def test_every_method_of_a_problem_has_one_line_and_its_answers(
    measured: Path, lines: list[dict[str, Any]]
) -> None:
    stored = Lines(measured / "accuracy.jsonl", NAMING)
    expected = Counter(
        stored.key_of(name_of(problem, test, method))
        for problem in problems()
        for method in methods(problem)
        for test in problem.tests
    )
    assert Counter(stored.key_of(line) for line in lines) == expected
    texts = Results.at(measured / "accuracy.jsonl").texts
    assert Counter(map(stored.key_of, texts.names())) == expected
    # On two test files of sst2, and on mpqa without and with class weights.
    assert len(expected) == 2 * (5 + 12 + 16) + (9 + 24 + 28)


def test_lines_say_the_number_format_of_what_read_the_texts(
    lines: list[dict[str, Any]],
) -> None:
    for line in lines:
        by_words = line["method"].startswith("TF-IDF")
        assert line["dtype"] in ((None,) if by_words else ("float32", "bfloat16"))


def test_answers_to_single_texts_are_those_that_the_lines_are_of(
    measured: Path, lines: list[dict[str, Any]]
) -> None:
    texts = Results.at(measured / "accuracy.jsonl").texts
    by_key = {json.dumps([line[f] for f in NAMING]): line for line in lines}
    for name, answers in texts:
        line = by_key[json.dumps([name[f] for f in NAMING])]
        assert line["accuracy"] == round(100 * answers.right.mean(), 3)
        assert (line["log_loss"] is None) == (answers.log_proba is None)
        if answers.log_proba is not None:
            assert line["log_loss"] == pytest.approx(-answers.log_proba.mean(), rel=0.1)


def test_class_weights_go_to_all_that_can_take_them(place: Path, named: None) -> None:
    of_peers, of_mpnet, of_gemma = (
        {m.name for m in methods(p) if m.class_weight is None}
        - {m.name for m in methods(p) if m.class_weight == "balanced"}
        for p in problems()
        if p.task == "mpqa"
    )
    assert of_peers == {"MiniLM + k-NN, k by folds"}
    assert of_mpnet == set()
    by_votes = {"RAEE, depth-0 keys", "RAEE, MiniLM keys"}
    assert of_gemma == {ZERO_SHOT, *by_votes, "RAEE, MiniLM keys, calibrated"}


def plain(place: Path, line: dict[str, Any]) -> Any:
    """Return the classifier that a line is of, without a store."""
    prompt = templates.CAUSAL[line["task"]]
    template = prompt.template if line["backbone"] == GEMMA else "{text}"
    folder = str(place / "models" / line["backbone"])
    params = {"class_weight": line["class_weight"], "memory": None}
    if line["budget"] is not None:
        params["budget"] = line["budget"]
    if line["method"] == RETRIEVAL:
        words = prompt.label_words if line["backbone"] == GEMMA else None
        clf = RAEEClassifier(
            folder, template, readout="ridge", label_words=words, **params
        )
    else:
        clf = EarlyExitClassifier(folder, template, **params)
    return clf.fit(*train(line["task"]))


@pytest.mark.filterwarnings("ignore:.* are too few to show")
@pytest.mark.parametrize("backbone", [MPNET, GEMMA])
@pytest.mark.parametrize("method", [CONFIDENCE, RETRIEVAL, MAX_LOSS, FULL_DEPTH])
def test_lines_of_the_closed_form_are_what_the_classifier_answers(
    place: Path, lines: list[dict[str, Any]], backbone: str, method: str
) -> None:
    X, y = read_task("mpqa", "test")
    own = [
        line
        for line in lines
        if (line["backbone"], line["task"], line["method"])
        == (backbone, "mpqa", method)
        and (line["budget"] in (None, 0.1, 0.3))
    ]
    assert len(own) == (4 if own[0]["budget"] else 2)
    for line in own:
        clf = plain(place, line)
        if method == FULL_DEPTH:
            proba, exits = clf.layer_proba(X)[:, -1], np.full(len(X), clf.n_layers_)
        else:
            proba, exits = clf.predict_proba(X, return_exit_layers=True)
            assert line["accuracy"] == round(100 * clf.score(X, y), 3)
        said = clf.classes_[proba.argmax(axis=1)]
        assert line["accuracy"] == round(100 * accuracy_score(y, said), 3)
        assert line["cost"] == round(float(clf.cost_[exits].mean()), 4)
        assert line["mean_exit"] == round(float(exits.mean()), 3)
        assert line["log_loss"] == pytest.approx(log_loss(y, proba), abs=1e-3)
        ece = calibration_error(proba, clf.classes_, y)
        assert line["ece"] == pytest.approx(ece, abs=1e-2)


def only(lines: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    (found,) = (x for x in lines if all(x[k] == v for k, v in wanted.items()))
    return found


def test_zero_shot_is_the_backbones_own_answer(
    place: Path, lines: list[dict[str, Any]]
) -> None:
    prompt = templates.CAUSAL["sst2"]
    clf = FullDepthClassifier(
        str(place / "models" / GEMMA), prompt.template, label_words=prompt.label_words
    ).fit(*train("sst2"))
    X, y = read_task("sst2", "test")
    line = only(lines, task="sst2", test="sst2", method=ZERO_SHOT)
    assert line["accuracy"] == round(100 * clf.score(X, y), 3)
    assert line["cost"] == 1.0
    assert line["log_loss"] == pytest.approx(
        log_loss(y, clf.predict_proba(X)), abs=1e-3
    )


def test_peers_are_fitted_on_the_same_texts(
    place: Path, lines: list[dict[str, Any]]
) -> None:
    X, y = read_task("mpqa", "test")
    encoder, cpu = place / "models" / MPNET, torch.device("cpu")
    encode = sentence_encoder(encoder, Backbone(encoder).load("auto").dtype, cpu)
    reader = EarlyExitClassifier(str(encoder), memory=None)
    models = {
        MPNET_LR: on_vectors(encode, regression("balanced")),
        LAST_PROBE: LinearProbe(reader, "last", "balanced"),
        BEST_PROBE: LinearProbe(reader, "best", "balanced"),
    }
    for name, model in models.items():
        score = round(100 * model.fit(*train("mpqa")).score(X, y), 3)
        backbone = NONE if name == MPNET_LR else MPNET
        wanted = {"backbone": backbone, "task": "mpqa", "class_weight": "balanced"}
        line = only(lines, method=name, **wanted)
        without = only(lines, method=name, **{**wanted, "class_weight": None})
        assert line["log_loss"] != without["log_loss"]
        assert line["accuracy"] == score
        assert line["cost"] == (None if name == MPNET_LR else 1.0)


@pytest.mark.slow
def test_a_problem_passes_each_text_once_whatever_its_methods(
    run: Run, rows: Counter[str], tmp_path: Path
) -> None:
    (tmp_path / "accuracy.jsonl").unlink()
    run(*SMALL, store=None)
    texts = {text for part in SIZES for text in read_task("mpqa", part)[0]}
    assert rows == {"sweep": len(texts)}


def test_tasks_without_a_prompt_are_read_as_they_are(named: None) -> None:
    problem = Problem(GEMMA, "banking77", 0, None)
    assert (problem.template, problem.label_words) == ("{text}", None)
    assert {m.name for m in methods(problem)} == {
        m.name for m in methods(problems()[2])
    }


# Going on


def test_a_second_run_adds_no_line_and_passes_no_text(
    run: Run, rows: Counter[str], lines: list[dict[str, Any]]
) -> None:
    assert run("--tasks", *TASKS, "--seeds", "0") == lines
    assert not rows


@pytest.mark.parametrize("lost", ["accuracy.jsonl", "accuracy_texts.jsonl"])
def test_a_run_that_was_ended_between_its_two_lines_is_done_again(
    run: Run, tmp_path: Path, rows: Counter[str], lost: str
) -> None:
    before = {path: read(path) for path in tmp_path.glob("accuracy*.jsonl")}
    one = before[tmp_path / lost].pop(7)
    (tmp_path / lost).write_text(
        "".join(json.dumps(line) + "\n" for line in before[tmp_path / lost])
    )
    run("--tasks", *TASKS, "--seeds", "0")
    for path, had in before.items():
        *kept, added = read(path)
        assert kept == had
        assert [added[f] for f in NAMING] == [one[f] for f in NAMING]
    assert set(rows) <= {"sweep"}


def test_a_method_that_fails_stops_no_other_and_is_tried_again(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in tmp_path.glob("accuracy*.jsonl"):
        kept = [x for x in read(file) if not (x["budget"] == 0.3 or "probe" in str(x))]
        file.write_text("".join(json.dumps(line) + "\n" for line in kept))

    def fail(self: Problem, **_: Any) -> None:
        raise MemoryError("no room")

    with monkeypatch.context() as broken:
        broken.setattr(Problem, "early_exit", fail)
        first = run(*SMALL)[len(kept) :]
    failed = [line for line in first if "failed" in line]
    assert {(x["method"], x["failed"]) for x in failed} == {
        (CONFIDENCE, "MemoryError: no room")
    }
    assert len(first) - len(failed) == 6
    second = run(*SMALL)[len(kept) + len(first) :]
    assert [x["method"] for x in second] == [CONFIDENCE, CONFIDENCE]
    assert min(line["accuracy"] for line in second) > 0


# The other commands


def test_times_are_of_the_same_texts_for_all_methods(
    run: Run, tmp_path: Path, rows: Counter[str]
) -> None:
    pytest.importorskip("matplotlib")
    timed = ("--times", "--tasks", "mpqa", "--backbone", GEMMA)
    *_, line = run(*timed)
    assert (line["method"], line["texts"]) == ("times", 4)
    assert len(line["times"]) == 16 + 5
    assert min(line["times"].values()) > 0
    # Four rounds of four texts: all that exits, two probes, and keys of depth 0.
    assert rows == {"run": 4 * 4 * 14, "sweep": 4 * 4 * 2, "means": 4 * 4 * 4}
    page = (tmp_path / "docs" / "accuracy.md").read_text("utf-8")
    assert "### Time" in page
    assert (tmp_path / "docs" / "images" / "accuracy.png").is_file()
    assert run(*timed)[-1] == line


class Trained(setfit.SetFit):
    """A classifier in the place of SetFit, which is not installed for the tests."""

    seconds = 3.0

    def fit(self, X: list[str], y: np.ndarray) -> Trained:
        counts = np.unique(y, return_counts=True)[1]
        self.classes_, self.shares = np.unique(y), counts / len(y)
        return self

    def predict_proba(self, X: list[str]) -> np.ndarray:
        return np.tile(self.shares, (len(X), 1))


def test_set_fit_has_lines_with_its_iterations_and_a_table(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setfit, "SetFit", Trained)
    small = ("--setfit", "--tasks", "mpqa", "--seeds", "0", "--setfit-pairs", "2")
    *_, line = run(*small)
    assert (line["method"], line["backbone"]) == ("SetFit, 2 iterations", NONE)
    assert (line["iterations"], line["fit_seconds"]) == (2, 3.0)
    X, y = read_task("mpqa", "test")
    proba = Trained(0, 2).fit(*train("mpqa")).predict_proba(X)
    assert line["log_loss"] == pytest.approx(log_loss(y, proba), abs=1e-3)
    assert run(*small)[-1] == line
    page = (tmp_path / "docs" / "accuracy.md").read_text("utf-8")
    assert "| SetFit, 2 iterations | mpqa | 1 | 3 | 50.0 |" in page


def test_picture_shows_the_exits_of_the_demos_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    save_tiny("llama", tmp_path / "model", n_layers=10)
    monkeypatch.setattr(picture, "backbone", lambda: Backbone(tmp_path / "model"))
    main(["--picture", "--docs", str(tmp_path)])
    assert (tmp_path / "images" / "exits.png").is_file()
    assert 0 < float(capsys.readouterr().out.split()[-1]) < 1


def test_tables_without_figures_are_refused(tmp_path: Path) -> None:
    given = ["--results", str(tmp_path / "none.jsonl"), "--docs", str(tmp_path / "x")]
    with pytest.raises(SystemExit, match=r"no figures in .*none\.jsonl; measure"):
        main(["--table", *given])
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("SKRAEE_DATA", "set SKRAEE_DATA to the folder that holds the data sets"),
        ("SKRAEE_BACKBONES", "set SKRAEE_BACKBONES to the folder that holds the mod"),
    ],
)
def test_a_folder_that_is_not_named_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, message: str
) -> None:
    for name in ("SKRAEE_DATA", "SKRAEE_BACKBONES"):
        monkeypatch.setenv(name, str(tmp_path))
    (tmp_path / GEMMA).mkdir()
    write_task(tmp_path, "mpqa", "train", ["a", "b"], ["x", "y"])
    monkeypatch.delenv(variable)
    with pytest.raises(SystemExit, match=message):
        main([*SMALL, "--results", str(tmp_path / "accuracy.jsonl")])
