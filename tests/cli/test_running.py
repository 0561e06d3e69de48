"""Devices, memory, and what is shown while a command runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skraee import EarlyExitClassifier
from skraee.cli.arguments import parser
from skraee.cli.main import main
from tests.support.terminals import on_terminal


@pytest.fixture
def fitting(labelled: Path, tmp_path: Path) -> list[str]:
    words = ["fit", str(labelled), "--backbone", "toy:masked:0", "--template", "{text}"]
    words += ["--exit-by", "confidence", "--threshold", "0.7"]
    return [*words, "-o", str(tmp_path / "model.skraee")]


def test_fit_options_of_running_reach_the_classifier(fitting, tmp_path, monkeypatch):
    seen: dict[str, Any] = {}
    fit = EarlyExitClassifier.fit

    def noting(self, X, y):
        seen.update(self.get_params())
        return fit(self, X, y)

    monkeypatch.setattr(EarlyExitClassifier, "fit", noting)
    folder = tmp_path / "kept"
    more = ["--max-length", "30", "--device", "cpu", "--dtype", "float32"]
    assert main([*fitting, *more, "--memory", str(folder)]) == 0
    expected = {"max_length": 30, "device": "cpu", "dtype": "float32"}
    assert expected.items() <= seen.items()
    assert seen["memory"] == str(folder)
    assert any(folder.iterdir())
    # The file names neither the folder nor the bars of this run.
    saved = EarlyExitClassifier.load(tmp_path / "model.skraee")
    assert (saved.memory, saved.verbose, saved.max_length) == ("process", 0, 30)


def test_fit_with_the_memory_of_an_earlier_one_runs_no_text_again(fitting, tmp_path):
    more = ["--memory", str(tmp_path / "kept")]
    assert main([*fitting, *more]) == 0
    first = (tmp_path / "model.skraee").read_bytes()
    assert main([*fitting, *more]) == 0
    assert (tmp_path / "model.skraee").read_bytes() == first


def test_device_may_be_several():
    words = ["predict", "model", "data", "--device", "cuda:0, cuda:1"]
    assert parser().parse_args(words).device == ["cuda:0", "cuda:1"]


@pytest.mark.parametrize("command", ["predict", "evaluate", "explain"])
def test_device_that_is_not_there_is_one_line(command, model, labelled, capsys):
    words = [command, str(model), str(labelled), "--device", "cuda:77"]
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("skraee: error: ")
    assert "cuda:77" in line


@pytest.mark.parametrize(
    ("option", "written", "message"),
    [
        ("--max-length", "0", "write a whole number from 1 on"),
        ("--device", "cpu,", "write a device, or device,device"),
        ("--memory", " ", "write the path of a folder"),
    ],
)
def test_option_of_running_that_is_no_such_value_is_named(
    option, written, message, fitting, capsys
):
    with pytest.raises(SystemExit) as exit_info:
        main([*fitting, option, written])
    assert exit_info.value.code == 2
    assert f"{option}: {message}" in capsys.readouterr().err


def test_progress_on_a_terminal_has_rate_and_time_left(fitting, labelled, monkeypatch):
    terminal = on_terminal(monkeypatch)
    assert main(fitting) == 0
    assert "sweep: 100%" in terminal.getvalue()
    assert "text/s]" in terminal.getvalue()
    assert "40/40 [00:" in terminal.getvalue()
    model = fitting[-1]
    terminal.truncate(0)
    assert main(["predict", model, str(labelled)]) == 0
    assert "predict: 100%" in terminal.getvalue()
    assert "40 texts in " in terminal.getvalue()


def test_quiet_shows_nothing_on_a_terminal(fitting, labelled, monkeypatch, capsys):
    terminal = on_terminal(monkeypatch)
    assert main(["--quiet", *fitting]) == 0
    assert capsys.readouterr().out == ""
    assert main(["predict", fitting[-1], str(labelled), "--quiet"]) == 0
    assert terminal.getvalue() == ""
    assert len(capsys.readouterr().out.splitlines()) == 41


def test_errors_are_told_in_spite_of_quiet(capsys):
    assert main(["predict", "none.skraee", "none.csv", "--quiet"]) == 2
    assert "there is no file" in capsys.readouterr().err


def test_no_progress_where_the_standard_error_is_no_terminal(fitting, labelled, capsys):
    assert main(fitting) == 0
    assert main(["predict", fitting[-1], str(labelled)]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("skraee: 40 texts in ")


def test_fit_as_json_says_what_was_fitted(fitting, capsys):
    assert main([*fitting, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["n_texts"], found["n_layers"]) == (40, 4)
    assert found["classes"] == {"negative": 20, "positive": 20}
    assert found["file_bytes"] == Path(found["file"]).stat().st_size
