"""``python -m benchmarks.max_loss``, on few draws and on a tiny encoder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import max_loss
from skraee import toy
from tests.benchmarks.tiny import save_encoder, write_task


@pytest.mark.filterwarnings("ignore::skraee.exceptions.InputWarning")
def test_command_writes_lines_and_the_tables_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_encoder(tmp_path / "models" / "tiny")
    for part, seed in (("train", 1), ("test", 2)):
        write_task(tmp_path / "data", "mr", part, *toy.reviews(60, seed))
    page = tmp_path / "max-loss.md"
    page.write_text(
        "<!-- drawn -->\n<!-- end of drawn -->\n<!-- tasks -->\n<!-- end of tasks -->"
    )
    monkeypatch.setenv("SKRAEE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SKRAEE_BACKBONES", str(tmp_path / "models"))
    results = tmp_path / "lines.jsonl"
    command = ["--backbone", "tiny", "--tasks", "mr", "--sizes", "8c", "40", "2000"]
    command += ["--seeds", "2", "--drawn", "50", "400", "--draws", "4"]
    command += ["--results", str(results), "--docs", str(tmp_path)]
    for _ in range(2):  # what has its line is not run again
        max_loss.main(command)
        lines = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    assert not any("failed" in line for line in lines)
    assert [line["size"] for line in lines] == ["50", "400", *["8c"] * 2, *["40"] * 2]
    assert lines[0]["cost"] > lines[1]["cost"]
    for line in lines[2:]:
        assert line["accuracy"] <= line["best_depth"]
        assert line["n_fit"] == (16 if line["size"] == "8c" else 40)
        assert line["cost"] == 1.0  # nothing can be shown by so few
    rows = [row for row in page.read_text("utf-8").splitlines() if row.startswith("|")]
    assert len(rows) == (2 + 2) + (2 + 2)


def test_draws_differ_by_their_seed_and_have_the_size_asked_for() -> None:
    texts, labels = toy.reviews(100)
    pool = texts, np.array(labels)
    first, again, other = (max_loss.drawn_texts(pool, "8c", s) for s in (0, 0, 1))
    assert first is not None
    assert again is not None
    assert other is not None
    assert first[0] == again[0] != other[0]
    assert np.unique(first[1], return_counts=True)[1].tolist() == [8, 8]
    assert max_loss.drawn_texts(pool, "101", 0) is None
    assert max_loss.drawn_texts(pool, "200c", 0) is None


def test_a_loss_is_kept_but_for_the_noise_of_the_test_texts() -> None:
    line = {"n_test": 1_000, "best_depth": 90.0}
    assert max_loss.keeps({**line, "accuracy": 87.5})
    assert not max_loss.keeps({**line, "accuracy": 87.2})
