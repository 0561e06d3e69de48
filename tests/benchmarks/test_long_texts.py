"""``python -m benchmarks.long_texts``, on a tiny encoder and toy reviews."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import long_texts
from skraee import toy
from tests.benchmarks.tiny import save_encoder, write_task


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a task, a model and a page."""
    save_encoder(tmp_path / "models" / "tiny")
    for part, seed in (("train", 1), ("test", 2)):
        write_task(tmp_path / "data", "mr", part, *toy.reviews(60, seed))
    (tmp_path / "long-texts.md").write_text(
        "before\n<!-- figures -->\n<!-- end of figures -->\nafter\n"
    )
    monkeypatch.setenv("SKRAEE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SKRAEE_BACKBONES", str(tmp_path / "models"))
    monkeypatch.setattr(long_texts, "_N_WORDS", 60)
    return tmp_path


@pytest.mark.filterwarnings("ignore::skraee.exceptions.TruncationWarning")
def test_command_writes_lines_and_the_tables_of_the_page(place: Path) -> None:
    results = place / "lines.jsonl"
    command = ["--backbone", "tiny", "--max-length", "20", "--where", "end"]
    command += ["--train", "24", "--test", "12", "--rounds", "1"]
    command += ["--results", str(results), "--docs", str(place)]
    for _ in range(2):  # what has its line is not run again
        long_texts.main(command)
        [line] = map(json.loads, results.read_text("utf-8").splitlines())
    assert "failed" not in line
    cut, both_ends, mean = (line[way] for way in long_texts.WAYS)
    assert cut["full_operations"] == both_ends["full_operations"]
    assert mean["full_operations"] >= cut["full_operations"]
    assert cut["time"] == 1
    before, *page, after = (place / "long-texts.md").read_text("utf-8").splitlines()
    assert (before, after) == ("before", "after")
    assert sum(row.startswith(("| `cut`", "| `mean`")) for row in page) == 2


@pytest.mark.parametrize("where", long_texts.WHERE)
def test_texts_are_long_and_tell_where_they_should(place: Path, where: str) -> None:
    reviews, labels = long_texts.read_task("mr", "train")
    of = dict(zip(reviews, labels, strict=True))
    texts, names = long_texts.long_texts("train", where, 40)
    again, _ = long_texts.long_texts("train", where, 40)
    assert texts == again
    assert sorted(set(names)) == ["negative", "positive"]
    assert min(len(text.split()) for text in texts) >= 60

    def own(text: str, name: str, *, at_end: bool) -> bool:
        part = text.endswith if at_end else text.startswith
        return next(of[review] for review in reviews if part(review)) == name

    pairs = list(zip(texts, names, strict=True))
    share = {
        at_end: np.mean([own(text, name, at_end=at_end) for text, name in pairs])
        for at_end in (False, True)
    }
    if where == "anywhere":
        assert max(share.values()) < 0.9
    else:
        assert share[where == "end"] > share[where != "end"]
