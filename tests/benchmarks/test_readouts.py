"""``python -m benchmarks.readouts``, on a tiny encoder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import readouts
from tests.benchmarks.tiny import save_encoder, write_task
from tests.support.reviews import noisy_reviews


def test_command_compares_readouts_on_the_same_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_encoder(tmp_path / "models" / "tiny")
    write_task(tmp_path / "data", "mr", "train", *noisy_reviews(90, 1))
    page = tmp_path / "candidates.md"
    page.write_text("<!-- readouts -->\n<!-- end of readouts -->")
    monkeypatch.setenv("SKRAEE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SKRAEE_BACKBONES", str(tmp_path / "models"))
    results = tmp_path / "lines.jsonl"
    command = ["--backbone", "tiny", "--tasks", "mr", "--seeds", "2", "--fit", "50"]
    command += ["--held", "30", "--results", str(results), "--docs", str(tmp_path)]
    for _ in range(2):  # what has its line is not run again
        readouts.main(command)
        lines = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    assert [line["readout"] for line in lines] == 2 * list(readouts.READOUTS)
    assert [line["seed"] for line in lines] == [0, 0, 1, 1]
    assert {(line["n_fit"], line["n_held"]) for line in lines} == {(60, 20)}
    assert lines[0]["log_loss"] != lines[1]["log_loss"]  # the tokens have a say
    for line in lines:
        assert list(line["cost"].values()) == sorted(line["cost"].values())
        assert line["accuracy"]["all depths"] > 50
    rows = [row for row in page.read_text("utf-8").splitlines() if row.startswith("|")]
    assert [row.split("|")[1].strip() for row in rows] == [
        *("readout", "---", *readouts.READOUTS, "gain")
    ]


def test_gain_is_that_of_pairs_with_the_error_of_the_seeds() -> None:
    def case(seed: int, gain: float) -> dict[str, readouts.Line]:
        first, second = readouts.READOUTS
        return {
            first: {"seed": seed, "accuracy": {"0.1": 70.0 + gain}},
            second: {"seed": seed, "accuracy": {"0.1": 70.0}},
        }

    cases = [case(0, 1.0), case(0, 3.0), case(1, 0.0), case(1, 2.0)]
    assert readouts._gain(cases, "0.1") == "+1.50 ± 0.50"
    assert readouts._gain(cases[:2], "0.1") == "+2.00"
