"""The tables of docs/accuracy.md, from lines that are made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.accuracy.__main__ import main
from benchmarks.accuracy.methods import (
    BEST_PROBE,
    CONFIDENCE,
    MAX_LOSS,
    MINILM_LR,
    MPNET_LR,
    ZERO_SHOT,
)
from benchmarks.accuracy.problem import NONE
from benchmarks.accuracy.results import Results
from benchmarks.bootstrap import paired_bootstrap
from benchmarks.data import ALL_TASKS, TASKS
from benchmarks.per_text import TextAnswers

MPNET, GEMMA = "mpnet-base", "gemma3-270m"
N_TEXTS = 40


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results.at(tmp_path / "accuracy.jsonl")


def add(
    results: Results,
    accuracy: float,
    method: str = MAX_LOSS,
    backbone: str = MPNET,
    tasks: tuple[str, ...] = ALL_TASKS,
    seeds: tuple[int, ...] = (0, 1, 2),
    **fields: Any,
) -> None:
    """Add lines of a method, a point better with each seed, and answers like them."""
    for task in tasks:
        for seed in seeds:
            name = {"backbone": backbone, "task": task, "test": task, "seed": seed}
            name |= {"method": method, "class_weight": None, "budget": None}
            name |= {k: v for k, v in fields.items() if k in name}
            figures = {"accuracy": accuracy + seed, "mcc": 1.0, "log_loss": 0.5}
            figures |= {"ece": 0.02, "cost": 0.25, "mean_exit": 3.0}
            figures |= {k: v for k, v in fields.items() if k not in name}
            right = np.arange(N_TEXTS) < round(N_TEXTS * accuracy / 100)
            results.texts.add(name, TextAnswers(np.roll(right, seed)))
            results.lines.add(**name, **figures)


def pages(results: Results) -> tuple[str, str]:
    """Write the pages; return what docs/accuracy.md and the README have."""
    docs = results.lines.path.parent / "docs"
    readme = docs.parent / "README.md"
    readme.write_text("before\n<!-- accuracy -->\nold\n<!-- end of accuracy -->\nafter")
    given = ["--results", str(results.lines.path), "--docs", str(docs)]
    main(["--table", *given])
    return (docs / "accuracy.md").read_text("utf-8"), readme.read_text("utf-8")


def test_averages_are_over_seeds_of_the_mean_over_tasks(results: Results) -> None:
    add(results, 60.0, tasks=TASKS)
    add(results, 90.0, tasks=ALL_TASKS[-2:])
    page, readme = pages(results)
    row = "| ridge, max_loss 0.01 |  | 67.0 ± 1.0 | 61.0 ± 1.0 | 0.50 | 0.020 | 0.25 |"
    assert f"{row}  | 3 |\n" in page
    assert f"{row}  | 3 |  |\n" in readme
    assert readme.startswith("before\n<!-- accuracy -->\n**all-mpnet-base-v2**\n\n|")
    assert readme.endswith("|\n<!-- end of accuracy -->\nafter")


def test_page_says_the_number_formats_of_the_lines_it_shows(results: Results) -> None:
    add(results, 60.0)
    assert "Models computed" not in pages(results)[0]
    add(results, 60.0, seeds=(1,), dtype="float32")
    add(results, 50.0, "TF-IDF of words + LR", NONE, dtype=None)
    add(results, 70.0, MINILM_LR, NONE, dtype="bfloat16")
    page, _ = pages(results)
    assert "\n\nModels computed in bfloat16 or float32.\n\n| method |" in page


def test_row_without_all_tasks_is_in_no_average_but_in_the_table_by_task(
    results: Results,
) -> None:
    add(results, 60.0, tasks=ALL_TASKS[:5])
    add(results, 70.0, ZERO_SHOT, tasks=TASKS, seeds=(0, 1))
    page, readme = pages(results)
    averages, by_task = page.split("### By task\n")
    assert MAX_LOSS not in averages.split("### Averages\n")[1].split("###")[0]
    assert f"| {MAX_LOSS} |  | 61.0 ± 1.0 | 61.0 ± 1.0 |" in by_task
    assert MAX_LOSS not in readme
    assert f"| {ZERO_SHOT} |  |  | 70.5 ± 0.7 | 0.50 |" in readme
    assert "|  | 2 |  |\n" in readme


def test_seeds_of_the_two_means_are_both_told(results: Results) -> None:
    add(results, 60.0, tasks=TASKS)
    add(results, 60.0, tasks=ALL_TASKS[-2:], seeds=(1,))
    page, _ = pages(results)
    assert (
        f"| {MAX_LOSS} |  | 61.0 | 61.0 ± 1.0 | 0.50 | 0.020 | 0.25 |  | 1 / 3 |"
        in page
    )


def test_peers_without_a_backbone_stand_in_the_tables_of_both(results: Results) -> None:
    add(results, 50.0, MPNET_LR, NONE, cost=None)
    for backbone in (MPNET, GEMMA):
        add(results, 60.0, backbone=backbone)
    _, readme = pages(results)
    row = f"| {MPNET_LR} |  | 51.0 ± 1.0 | 51.0 ± 1.0 | 0.50 | 0.020 |  |  | 3 |  |\n"
    assert readme.count(row) == 2


def test_later_line_of_a_run_counts_and_failed_ones_do_not(results: Results) -> None:
    add(results, 50.0)
    add(results, 60.0)
    results.lines.add(backbone=MPNET, task="cr", method=MAX_LOSS, failed="no room")
    page, _ = pages(results)
    assert "| 61.0 ± 1.0 | 61.0 ± 1.0 |" in page


def test_verdict_is_that_of_the_paired_bootstrap(results: Results) -> None:
    add(results, 50.0, MPNET_LR, NONE)
    add(results, 80.0)
    add(results, 30.0, CONFIDENCE, budget=0.1)
    page, readme = pages(results)
    ours, low, theirs = (
        results.texts.right_of(method=method)
        for method in (MAX_LOSS, CONFIDENCE, MPNET_LR)
    )
    above, below = (paired_bootstrap(x, theirs, n_draws=2_000) for x in (ours, low))
    assert (above.verdict, below.verdict) == ("above", "below")
    assert f"| 3 | {above} |\n" in readme
    assert f"| 3 | {below} |\n" in readme
    alone = paired_bootstrap(
        *({("clinc150",) * 2: x["clinc150", "clinc150"]} for x in (ours, theirs)),
        n_draws=2_000,
    )
    assert f"| {alone} |  |  |\n" in page.split("### Above or below\n")[1]


def test_comparison_without_answers_is_left_out(results: Results) -> None:
    add(results, 80.0, backbone=GEMMA)
    add(results, 50.0, MINILM_LR, NONE, seeds=(0,))
    add(results, 60.0, BEST_PROBE, GEMMA, tasks=TASKS)
    page, readme = pages(results)
    assert "Less linear probe, best layer:" in page
    assert f"Less {MPNET_LR}:" not in page
    assert f"Less {MINILM_LR}:" not in page
    assert "above |" not in readme


def test_class_weights_stand_beside_and_not_in_the_averages(results: Results) -> None:
    add(results, 60.0)
    add(results, 80.0, tasks=("cr", "mpqa"), class_weight="balanced")
    page, readme = pages(results)
    row = f"| {MAX_LOSS} |  | 61.0 ± 1.0 | 81.0 ± 1.0 | 61.0 ± 1.0 | 81.0 ± 1.0 |\n"
    assert row in page
    assert "81.0" not in readme


def test_other_test_files_have_a_table_of_their_own(results: Results) -> None:
    add(results, 60.0)
    add(results, 40.0, MPNET_LR, NONE, tasks=("mr",), test="cr")
    add(results, 70.0, tasks=("mr",), test="cr")
    page, _ = pages(results)
    shown = page.split("### Out of domain\n")[1]
    assert shown.startswith("\n| method | budget | mr -> cr | sst2 -> mpqa |\n")
    assert f"| {MPNET_LR} |  | 41.0 ± 1.0 |  |\n" in shown
    assert f"| {MAX_LOSS} |  | 71.0 ± 1.0 |  |\n" in shown
    assert "| 60" not in shown


def test_times_are_averaged_over_the_timed_tasks_of_the_eight(results: Results) -> None:
    add(results, 60.0)
    for task, ms in (("sst2", 1.0), ("trec", 2.0), ("clinc150", 9.0)):
        own = {MAX_LOSS: ms, "ridge, exit by retrieval, 0.1": ms}
        results.lines.add(
            backbone=MPNET, task=task, seed=0, method="times", times=own, texts=4
        )
    pytest.importorskip("matplotlib")
    page, readme = pages(results)
    assert "| 0.25 | 1.50 | 3 |" in readme
    assert f"| {MAX_LOSS} | 1.00 | 2.00 | 9.00 |\n" in page
    assert (results.lines.path.parent / "docs/images/accuracy.png").is_file()


def test_peers_alone_have_tables(results: Results) -> None:
    add(results, 50.0, MPNET_LR, NONE)
    page, readme = pages(results)
    assert "## The peers alone\n" in page
    assert MPNET_LR in readme
