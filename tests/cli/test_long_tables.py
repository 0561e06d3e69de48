"""Tables longer than memory: answers in parts, and no half of a file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from skraee import EarlyExitClassifier, toy
from skraee.cli import answers
from skraee.cli.main import main
from skraee.exceptions import UndecidedWarning, warn_user
from tests.support.classifiers import early_exit
from tests.support.terminals import on_terminal

X, _ = toy.reviews(50, seed=2)


@pytest.fixture
def long(tmp_path: Path) -> Path:
    path = tmp_path / "long.csv"
    pd.DataFrame({"id": range(len(X)), "text": X}).to_csv(path, index=False)
    return path


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let parts have 20 texts, and note how many were answered at a time."""
    monkeypatch.setattr(answers, "PART", 20)
    sizes: list[int] = []
    predict_proba = EarlyExitClassifier.predict_proba

    def noting(self, X, return_exit_layers=False):
        sizes.append(len(X))
        return predict_proba(self, X, return_exit_layers)

    monkeypatch.setattr(EarlyExitClassifier, "predict_proba", noting)
    return sizes


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_parts_are_answered_as_the_whole(ending, long, model, in_parts, tmp_path):
    out = tmp_path / f"out{ending}"
    assert main(["predict", str(model), str(long), "-o", str(out)]) == 0
    assert in_parts == [20, 20, 10]
    in_parts.clear()
    answers.PART = 1_000  # `in_parts` puts its own number back
    whole = tmp_path / f"whole{ending}"
    assert main(["predict", str(model), str(long), "-o", str(whole)]) == 0
    assert in_parts == [50]
    assert out.read_bytes() == whole.read_bytes()


def test_rows_are_written_before_the_last_part_is_answered(
    long, model, in_parts, monkeypatch, capsys
):
    predict_proba = EarlyExitClassifier.predict_proba
    printed: list[int] = []

    def looking(self, X, return_exit_layers=False):
        printed.append(len(capsys.readouterr().out.splitlines()))
        return predict_proba(self, X, return_exit_layers)

    monkeypatch.setattr(EarlyExitClassifier, "predict_proba", looking)
    assert main(["predict", str(model), str(long)]) == 0
    assert printed == [1, 20, 20]  # the header, then the parts before


def test_one_bar_for_all_parts(long, model, in_parts, tmp_path, monkeypatch):
    terminal = on_terminal(monkeypatch)
    out = str(tmp_path / "out.csv")
    assert main(["predict", str(model), str(long), "-o", out]) == 0
    assert "50/50 [00:" in terminal.getvalue()
    assert "20/20" not in terminal.getvalue()
    assert "50 texts in " in terminal.getvalue()


def test_warning_of_many_parts_is_shown_once_with_its_lines_and_then_counted(
    long, model, in_parts, monkeypatch, capsys
):
    predict_proba = EarlyExitClassifier.predict_proba

    def warning(self, X, return_exit_layers=False):
        if X[0] != pd.read_csv(long)["text"][0]:  # from the second part on
            warn_user(f"{len(X)} text(s) at positions 0", UndecidedWarning)
        return predict_proba(self, X, return_exit_layers)

    monkeypatch.setattr(EarlyExitClassifier, "predict_proba", warning)
    with pytest.warns(UndecidedWarning) as caught:
        assert main(["predict", str(model), str(long)]) == 0
    assert [str(one.message) for one in caught] == [
        "lines 22 to 41: 20 text(s) at positions 0"
    ]
    told = capsys.readouterr().err
    assert "warning: 1 more like that (UndecidedWarning) later on" in told


def test_text_that_is_none_is_told_with_its_line_before_any_answer(
    model, in_parts, tmp_path, capsys
):
    path = tmp_path / "long.jsonl"
    rows = [json.dumps({"text": text}) for text in X]
    path.write_text("\n".join([*rows, '{"text": null}']), encoding="utf-8")
    assert main(["predict", str(model), str(path)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "line 51 of " in told.err
    assert in_parts == []


def test_failure_in_a_late_part_leaves_the_file_before(
    long, model, in_parts, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "out.csv"
    out.write_text("before", encoding="utf-8")
    predict_proba = EarlyExitClassifier.predict_proba

    def failing(self, X, return_exit_layers=False):
        if len(X) == 10:
            raise MemoryError("no room for the last part")
        return predict_proba(self, X, return_exit_layers)

    monkeypatch.setattr(EarlyExitClassifier, "predict_proba", failing)
    assert main(["predict", str(model), str(long), "-o", str(out)]) == 2
    assert "no room for the last part" in capsys.readouterr().err
    assert out.read_text(encoding="utf-8") == "before"
    assert {path.name for path in tmp_path.iterdir()} == {"long.csv", "out.csv"}


@pytest.mark.parametrize(("sent", "status"), [("SIGINT", 130), ("SIGTERM", 143)])
@pytest.mark.skipif(os.name == "nt", reason="needs signals of POSIX")
def test_process_that_is_ended_leaves_no_half_of_a_file(sent, status, tmp_path):
    model, new, out = (tmp_path / name for name in ("m.skraee", "n.csv", "o.csv"))
    texts, labels = toy.reviews(60)
    early_exit(threshold=1.0, min_exit=4).fit(texts, labels).save(model)
    rows = [f"{text} {n}" for n in range(4_000) for text in X]
    pd.DataFrame({"text": rows}).to_csv(new, index=False)
    words = [sys.executable, "-m", "skraee", "predict", *map(str, (model, new))]
    process = subprocess.Popen(
        [*words, "-o", str(out)],
        stderr=subprocess.PIPE,
        # A shell's background jobs ignore Ctrl-C, and so would this one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    _wait_for(lambda: any(tmp_path.glob(".skraee-*")), process)
    process.send_signal(getattr(signal, sent))
    _, told = process.communicate(timeout=120)
    # Either way a shell shows the status: where the interrupt came through a string of
    # code that another package executed, Python ends itself by the signal.
    assert process.returncode in (status, 128 - status)
    assert told == (b"skraee: stopped\n" if sent == "SIGINT" else b"")
    assert {path.name for path in tmp_path.iterdir()} == {"m.skraee", "n.csv"}


def _wait_for(happened, process):
    deadline = time.monotonic() + 120
    while not happened():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("ending", [".skraee", ".joblib", ".PKL"])
def test_answers_are_not_written_over_a_model(ending, long, model, tmp_path, capsys):
    out = tmp_path / f"model{ending}"
    out.write_bytes(b"a model")
    assert main(["predict", str(model), str(long), "-o", str(out)]) == 2
    assert "is a model by its ending, and answers are a" in capsys.readouterr().err
    assert out.read_bytes() == b"a model"


@pytest.mark.parametrize("ending", [".csv", ".JSONL", ".parquet"])
def test_model_is_not_written_over_a_table(ending, labelled, tmp_path, capsys):
    out = tmp_path / f"train{ending}"
    out.write_bytes(b"a table")
    words = ["fit", str(labelled), "--backbone", "toy:masked:0", "--template", "{text}"]
    assert main([*words, "--exit-by", "confidence", "-o", str(out)]) == 2
    told = capsys.readouterr().err
    assert "is a table by its ending, and fit writes a model" in told
    assert "name the output such as train.skraee" in told
    assert out.read_bytes() == b"a table"


def test_folder_in_the_place_of_a_model_is_one_line(long, tmp_path, capsys):
    assert main(["predict", str(tmp_path), str(long)]) == 2
    assert "is a folder, and a model is a file" in capsys.readouterr().err
