"""What docs/paper.md says of lines, on lines made up."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.lines import Lines
from benchmarks.pages import DOCS
from benchmarks.paper.findings import findings
from benchmarks.paper.page import write_page
from benchmarks.paper.reported import REPORTED
from benchmarks.paper.selection import sections_of
from benchmarks.paper.tables import table1


def made_up(table: str, method: str | None, value: float, **more: Any) -> Any:
    fields = {"task": "sst2", "setting": None, "n_fit": 10, "n_test": 5, "seed": 0}
    place = {"backbone": "b", "encoder": "e", "dtype": "auto"}
    found = {"accuracy": value, "machine": {"gpu": None}}
    return {"table": table, "method": method, **fields, **place, **found, **more}


def said_of(lines: list[Any]) -> dict[str, str]:
    """Return the findings: what is claimed -> the verdict."""
    (section,) = sections_of(lines, [])
    found = findings(section)
    return dict(re.findall(r"- ([^:]*): \*\*(\w+)\*\*", found))


@pytest.mark.parametrize(
    ("raee", "verdict"), [(70.0, "confirmed"), (60.0, "contradicted")]
)
def test_findings_say_whether_raee_is_above_its_backbone(
    raee: float, verdict: str
) -> None:
    lines = [made_up("table1", "full", 65.0), made_up("table1", "raee", raee)]
    assert said_of(lines)["RAEE above its backbone"] == verdict


def test_findings_are_mixed_where_average_and_tasks_disagree() -> None:
    values = {"sst2": (60.0, 90.0), "mr": (60.0, 59.0), "cr": (60.0, 59.0)}
    lines = [
        made_up("table1", method, pair[i], task=task)
        for task, pair in values.items()
        for i, method in enumerate(("full", "raee"))
    ]
    assert said_of(lines)["RAEE above its backbone"] == "mixed"


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ({2: 50, 12: 70, 20: 60}, "confirmed"),
        ({2: 50, 12: 69.8, 20: 70}, "mixed"),
        ({2: 70, 12: 60, 20: 60}, "contradicted"),
    ],
)
def test_findings_compare_twelve_neighbors_with_the_best_k(
    values: dict[int, float], verdict: str
) -> None:
    lines = [made_up("table1", "raee", 60.0)]
    lines += [made_up("table3", "raee", v, setting={"k": k}) for k, v in values.items()]
    assert said_of(lines)["k about 12 is best"] == verdict


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((50, 60, 70), "confirmed"),
        ((50, 45, 70), "mixed"),
        ((70, 75, 70), "contradicted"),
    ],
)
def test_findings_say_whether_more_of_the_database_is_better(
    values: tuple[float, ...], verdict: str
) -> None:
    lines = [made_up("table1", "raee", 60.0)]
    for share, value in zip((0.2, 0.5, 1.0), values, strict=True):
        lines.append(made_up("table4", "raee", value, setting={"share": share}))
    assert said_of(lines)["More of the database is better"] == verdict


def test_exits_are_compared_with_deebert_and_times_with_full_depth() -> None:
    lines = [
        made_up("table1", "raee", 60.0, mean_exit=9.0),
        made_up("table1", "deebert", 60.0, mean_exit=8.0),
        made_up("latency", "raee", 0, ratio=0.5, ms=1.0, setting={"batch": 1}),
        made_up("latency", "raee", 0, ratio=1.5, ms=1.0, setting={"batch": 64}),
    ]
    said = said_of(lines)
    assert said["Earlier exits than DeeBERT"] == "contradicted"
    assert said["RAEE is faster than its backbone"] == "mixed"


def test_sections_keep_the_run_on_most_texts_and_take_setfit_over() -> None:
    lines = [
        made_up("table1", "raee", 60.0, n_fit=2_000),
        made_up("table1", "raee", 90.0, n_fit=20),
        made_up("table1", "raee", 61.0, n_fit=2_000, seed=1),
    ]
    setfit = {"method": "SetFit", "test": "sst2", "task": "sst2", "accuracy": 80.0}
    elsewhere = {**setfit, "test": "mpqa", "accuracy": 10.0}
    on_fewer = {**setfit, "n_fit": 1_000, "accuracy": 20.0}
    rest = {"mcc": 0.6, "mean_exit": None, "cost": None, "seed": 0}
    rest |= {"n_fit": 2_000, "n_test": 5}
    accuracy = [rest | line for line in (setfit, elsewhere, on_fewer)]
    (section,) = sections_of(lines, accuracy)
    assert section.cells("table1", "raee", "score") == {"sst2": 60.5}
    assert section.cells("table1", "setfit", "score") == {"sst2": 80.0}
    assert section.cells("table1", "setfit", "mean_exit") == {}


def test_of_slebs_rows_the_one_with_the_most_calibration_texts_is_shown() -> None:
    lines = [
        made_up("table1", "sleb", 50.0, n_calibration=128),
        made_up("table1", "sleb", 40.0),
        made_up("table1", "sleb-20", 60.0, n_calibration=128),
    ]
    (section,) = sections_of(lines, [])
    assert section.cells("table1", "sleb", "score") == {"sst2": 50.0}
    page = table1(section)
    assert "| SLEB, 20 % of the blocks removed | 60.0 | 60.0 |" in page
    assert "SLEB, 60 % of the blocks removed: the blocks were chosen on 128" in page


def test_commands_beside_the_tables_say_on_what_they_ran() -> None:
    asked = {"n_fit": 1_000, "n_test": 500}
    lines = [
        made_up("table1", "raee", 60.0, task="trec", asked=asked),
        made_up("table1", "raee", 60.0, task="sst2", asked=asked),
        made_up("table1", "raee", 60.0, backbone="whole"),
        made_up("sleb-order", None, 0, backbone="whole", n_calibration=32, round=1),
    ]
    few, whole = sections_of(lines, [])
    options = " --encoder e --tasks sst2 trec --n-fit 1000 --n-test 500`"
    assert few.command("table1").strip().endswith(options)
    assert whole.command("table1").strip().endswith(" --tasks sst2 --n-calibration 32`")


def test_readme_shows_the_averages_between_its_marks(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "paper.jsonl")
    alone, batched = {"batch": 1}, {"batch": 64}
    took: Any = {"ms": 1.0, "rounds": [[1.0, 2.0]]}
    for line in (
        made_up("table1", "raee", 60.0, mean_exit=3.0, n_layers=4),
        made_up("table1", "raee", 70.0, mean_exit=2.0, n_layers=4, task="mr"),
        made_up("latency", "raee", 0, ratio=0.5, setting=alone, **took),
        made_up("latency", "raee", 0, ratio=0.25, setting=batched, **took),
    ):
        lines.add(**{**line, "backbone": "gemma3-270m"})
    page = tmp_path / "docs" / "benchmarks.md"
    page.parent.mkdir()
    page.write_text("before\n<!-- paper -->\nold\n<!-- end of paper -->\nafter\n")
    write_page(lines, tmp_path / "docs")
    before, _, table = page.read_text("utf-8").partition("<!-- paper -->\n")
    assert before == "before\n"
    assert "| method | accuracy | layers of 4 | time, one text |" in table
    assert "| RAEE, encoder keys | 65.0 | 2.5 | 0.50 | 0.25 |" in table
    assert table.endswith("<!-- end of paper -->\nafter\n")


def test_page_without_lines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no lines in .*paper\.jsonl; make a table"):
        write_page(Lines(tmp_path / "paper.jsonl"), tmp_path / "docs")
    assert not (tmp_path / "docs").exists()


def test_reported_figures_average_to_what_the_paper_prints() -> None:
    printed = {"RoBERTa-large": (54.05, 63.41), "T5-large": (36.86, 42.44)}
    printed |= {"Llama-3-8B": (41.80, 57.39), "Gemma-7B": (36.19, 55.66)}
    for reported in REPORTED.values():
        if reported.title in printed:
            found = [np.mean(reported.scores[m]) for m in ("full", "raee")]
            np.testing.assert_allclose(found, printed[reported.title], atol=0.011)
    others = {
        "RoBERTa-large": {"deebert": 42.99, "adainfer-gold": 38.52},
        "ElasticBERT-large": {"full": 35.75, "hashee": 36.28},
        "T5-large": {"calm-vocab": 36.55, "adainfer-gold": 38.23},
        "Llama-3-8B": {"sleb": 37.02, "adainfer-gold": 36.06, "raee-without": 44.38},
        "Gemma-7B": {"sleb": 35.66, "adainfer-gold": 35.84},
    }
    for reported in REPORTED.values():
        for method, average in others[reported.title].items():
            assert np.mean(reported.scores[method]) == pytest.approx(average, abs=0.011)
    roberta = REPORTED["FacebookAI/roberta-large"]
    by_k = {2: 60.73, 4: 62.90, 8: 63.24, 12: 63.41, 16: 63.21, 20: 63.10}
    by_share = {0.2: 61.16, 0.5: 62.28, 1.0: 63.41}
    for averages, own in ((by_k, roberta.by_k), (by_share, roberta.by_share)):
        found = {key: np.mean(values) for key, values in own.items()}
        assert found == pytest.approx(averages, abs=0.011)


def test_settings_stand_beside_those_of_the_paper() -> None:
    page = (DOCS / "paper.md").read_text(encoding="utf-8")
    row = "| *paper, RoBERTa-large (another backbone): RAEE, average* | 60.7 | 62.9 |"
    assert row in page
    assert "| *paper, RoBERTa-large (another backbone): HashEE* | 9.4 |" in page
