"""docs/accuracy.md and README's table, from the lines of a results file."""

from __future__ import annotations

from pathlib import Path
from statistics import mean

from benchmarks.accuracy.plot import draw, times_of
from benchmarks.accuracy.tables import (
    averages,
    by_task,
    chosen_weight,
    no_weight,
    pairs,
)
from benchmarks.data import TASKS, TITLES
from benchmarks.lines import Line, Lines
from benchmarks.pages import between_marks, table

BACKBONES = {
    "gemma3-270m": TASKS,
    "qwen2.5-0.5b": ("sst2", "trec", "subj", "cola"),
}
README_BACKBONE = "gemma3-270m"

INTRODUCTION = """\
# Accuracy and cost, beside the plain peers

Made by `python -m benchmarks.accuracy` from its lines, which are in the repository
(`benchmarks/results/accuracy.jsonl`); not edited. Every method is fitted on
2,000 training texts drawn with a seed (CR has 1,768) and judged on the whole test file.
Accuracy in per cent, mean and standard deviation over the seeds; cost is the mean share
of the backbone's full pass. CR and MPQA have training files of unequal classes (79/21
and 76/24) and test files of equal ones: there, in the first two tables, all methods
that have it are fitted with `class_weight="balanced"`. The last table of each part is
without it. The peers' C is searched by five folds.
"""

TIMES = """\
Milliseconds per text, the median of three rounds in which all methods take turns on the
same 128 new texts of each task, averaged over the tasks; two cores. The backbone
computes in bfloat16, MiniLM in both: in the plot its hollow squares are bfloat16, at
the accuracy of float32.
"""


def write_page(lines: Lines, docs: Path) -> None:
    """Write accuracy.md and its plot to a folder, and the table of README beside it."""
    judged = [line for line in lines if "accuracy" in line]
    timed = [line for line in lines if "times" in line]
    if not judged:
        raise SystemExit(f"no figures in {lines.path}; measure some before the tables")
    parts = [INTRODUCTION]
    for backbone, tasks in BACKBONES.items():
        own = [line for line in judged if line["backbone"] == backbone]
        if own:
            parts += chapter(TITLES[backbone], tasks, own)
    if timed:
        parts += times_chapter(judged, timed, docs)
    docs.mkdir(parents=True, exist_ok=True)
    (docs / "accuracy.md").write_text("\n".join(parts), encoding="utf-8")
    own = [line for line in judged if line["backbone"] == README_BACKBONE]
    between_marks(docs.parent / "README.md", "accuracy", headline(own))


def headline(lines: list[Line]) -> str:
    """Return the README's table: what to expect at which cost."""
    shown = [
        line
        for line in lines
        if line["test"] == line["task"]
        and (line["budget"] is None or "confidence" in line["method"])
    ]
    return averages(shown, TASKS, chosen_weight)


def chapter(title: str, tasks: tuple[str, ...], lines: list[Line]) -> list[str]:
    """Return the tables of a backbone."""
    at_home = [line for line in lines if line["test"] == line["task"]]
    seeds = sorted({line["seed"] for line in at_home})
    parts = [f"## {title}\n", f"Seeds: {', '.join(map(str, seeds))}.\n"]
    parts += ["### Averages\n", averages(at_home, tasks, chosen_weight)]
    parts += ["### By task\n", by_task(at_home, tasks, chosen_weight)]
    away = [line for line in lines if line["test"] != line["task"]]
    if away:
        parts += ["### Out of domain\n", by_task(away, pairs(away), no_weight)]
    parts += ["### Without class_weight\n", by_task(at_home, tasks, no_weight)]
    return parts


def times_chapter(judged: list[Line], timed: list[Line], docs: Path) -> list[str]:
    times = times_of(timed, README_BACKBONE)
    if not times:
        return []
    own = [line for line in judged if line["backbone"] == README_BACKBONE]
    tasks = {line["task"] for line in timed}
    draw(own, times, tasks, docs / "images" / "accuracy.png")
    rows = [[name, f"{value:.2f}"] for name, value in times.items()]
    shown = table(["method", "ms per text"], rows)
    plot = "![Accuracy over milliseconds per text](images/accuracy.png)\n"
    return ["## Time\n", TIMES, shown, training_times(judged), plot]


def training_times(lines: list[Line]) -> str:
    """Say how long SetFit trains, and how long a fit takes in the same run."""
    own = [x for x in lines if "ridge_seconds" in x and x["task"] == "sst2"]
    if not own:
        return ""
    training, fit = (
        mean(x[name] for x in own) for name in ("fit_seconds", "ridge_seconds")
    )
    return (
        f"SetFit trains MiniLM for {training:.0f} s on sst2 (one pass over two pairs "
        "of each text, 250 steps of 16 pairs); a fit of the closed form, sweep "
        f"included, takes {fit:.0f} s in the same run. SetFit answers as fast as "
        "MiniLM + logistic regression: it is the same encoder.\n"
    )
