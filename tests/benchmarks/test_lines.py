"""The store of JSON lines that all benchmarks share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.lines import RESULTS, Lines, reason_of

NAMING = ("task", "k")


def broken() -> Any:
    raise ValueError("no\nblocks")


def test_line_that_is_added_is_found_by_its_name_only(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "new" / "a.jsonl", NAMING)
    assert list(lines) == []
    lines.add(task="sst2", k=2, accuracy=70.0)
    assert lines.has({"task": "sst2", "k": 2, "accuracy": 10.0})
    assert not lines.has({"task": "sst2", "k": 4})
    assert not lines.has({"task": "sst2"})


def test_line_has_its_time_and_its_machine_and_is_told(tmp_path: Path) -> None:
    told: list[Any] = []
    lines = Lines(tmp_path / "a.jsonl", NAMING, on_add=told.append)
    lines.add(task="sst2")
    assert told == [{"task": "sst2"}]
    (line,) = lines
    assert list(line) == ["when", "task", "machine"]
    assert {"cpus", "threads", "gpu", "python", "torch"} <= set(line["machine"])


def test_work_is_done_once(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "a.jsonl", NAMING)
    for accuracy in (70.0, 80.0):
        lines.once({"task": "sst2", "k": 2}, lambda a=accuracy: {"accuracy": a})
    assert [line["accuracy"] for line in lines] == [70.0]


def test_work_that_fails_is_written_and_done_again_on_request(tmp_path: Path) -> None:
    name = {"task": "sst2", "k": 2}
    lines = Lines(tmp_path / "a.jsonl", NAMING)
    lines.once(name, broken)
    lines.once(name, dict)
    assert [line.get("failed") for line in lines] == ["ValueError: no blocks"]
    again = Lines(lines.path, NAMING, retry=True)
    again.once(name, dict)
    assert [line.get("failed") for line in lines] == ["ValueError: no blocks", None]


def test_two_stores_of_one_file_see_each_other(tmp_path: Path) -> None:
    one, other = (Lines(tmp_path / "a.jsonl", NAMING) for _ in range(2))
    one.add(task="mr", k=1)
    other.add(task="cr", k=1)
    assert [line["task"] for line in one] == ["mr", "cr"]


def test_reason_has_no_path_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKRAEE_DATA", "/home/me/data")
    error = OSError("no file /home/me/data/sst2")
    assert reason_of(error) == "OSError: no file $SKRAEE_DATA/sst2"


@pytest.mark.parametrize(
    "name", ["accuracy", "backbones", "candidates", "paper", "speed"]
)
def test_stored_lines_can_be_read(name: str) -> None:
    path = RESULTS / f"{name}.jsonl"
    if not path.is_file():
        pytest.skip("the lines are in the repository only")
    found = list(Lines(path))
    assert len(found) == path.read_text("utf-8").count("\n")
    assert all({"when", "machine"} <= set(line) for line in found)
    assert json.dumps(found[0], ensure_ascii=True)
