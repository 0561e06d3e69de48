"""What engines cost: the tables, and the processes that do the work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.lines import Lines
from benchmarks.scale.measure import told_by
from benchmarks.scale.page import NAMING, PAGE, write_page
from benchmarks.scale.work import found

MARKS = (
    "<!-- engines -->\n<!-- end of engines -->\n<!-- plan -->\n<!-- end of plan -->\n"
)


def written(tmp_path: Path, *runs: tuple[str, int, int, int, float]) -> str:
    lines = Lines(tmp_path / "scale.jsonl", NAMING)
    for engine, workers, rows, turn, rate in runs:
        lines.add(
            backbone="toy",
            engine=engine,
            workers=workers,
            rows=rows,
            round=turn,
            **{**found(3.0, 100, 100 / rate, 500.0, 510.0)},
        )
    lines.add(backbone="toy", engine="dask", workers=1, rows=900, round=0, failed="it")
    page = tmp_path / PAGE
    page.parent.mkdir()
    page.write_text(MARKS, encoding="utf-8")
    write_page(lines, tmp_path)
    return page.read_text(encoding="utf-8")


def test_engine_is_compared_with_as_many_plain_processes(tmp_path: Path) -> None:
    text = written(
        tmp_path,
        ("plain", 1, 900, 0, 1000.0),
        ("plain", 2, 900, 0, 1600.0),
        ("ray", 1, 900, 0, 950.0),
        ("ray", 2, 900, 0, 1200.0),
    )
    assert "| toy, 900 rows | ray | 1 | 950 | 5% | 3 | 500 | 510 |" in text
    assert "| toy, 900 rows | ray | 2 | 1,200 | 25% | 3 | 500 | 510 |" in text
    assert "| toy, 900 rows | plain | 2 | 1,600 |  | 3 | 500 | 510 |" in text
    assert "dask" not in text


def test_median_of_the_rounds_on_the_most_rows_counts(tmp_path: Path) -> None:
    rounds = [("plain", 1, 900, turn, rate) for turn, rate in enumerate((9.0, 1, 2))]
    text = written(tmp_path, *rounds, ("plain", 1, 10, 0, 777.0))
    assert "| toy, 900 rows | plain | 1 | 2 |" in text
    assert "777" not in text


def test_plan_has_the_core_hours_of_a_billion_texts(tmp_path: Path) -> None:
    text = written(tmp_path, ("plain", 1, 900, 0, 1000.0), ("spark", 1, 900, 0, 800.0))
    assert "| toy | 1,000 | 277.8 | 20% | 347.2 |" in text


def test_figures_are_found_among_what_engines_print() -> None:
    assert told_by('ray started\n{"n": 3}\n(actor) ended\n') == {"n": 3}
    assert told_by("ray started\n")["failed"] == "no figures, but 'ray started'"


def test_run_whose_first_texts_were_all_has_no_rate() -> None:
    with pytest.raises(ValueError, match="measure with more rows"):
        found(1.0, 0, 0.1, 0.0, 0.0)


@pytest.mark.engines
@pytest.mark.parametrize("workers", [1, 2])
def test_plain_processes_answer_all_texts(
    workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    from benchmarks.scale import measure

    monkeypatch.setattr(measure, "_PIECE", 50)
    measure.prepare("toy", 130, tmp_path)
    line: dict[str, Any] = measure.run("plain", workers, str(tmp_path))
    assert line["n"] == 130
    assert line["rows_per_s"] > 0
    assert line["last_mib"] > 0
