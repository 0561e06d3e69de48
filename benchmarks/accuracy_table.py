"""Tables and a plot of results/accuracy.jsonl, as docs/accuracy.md shows them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

DOCS = Path(__file__).parent.parent / "docs"
TASKS = ("sst2", "sst5", "mr", "cr", "mpqa", "subj", "trec", "cola")
UNEQUAL = ("cr", "mpqa")
METHODS = (
    "zero-shot, full depth",
    "RAEE, depth-0 keys",
    "RAEE, MiniLM keys",
    "TF-IDF + logistic regression",
    "MiniLM + k-NN vote",
    "MiniLM + logistic regression",
    "SetFit (gradient training)",
    "ridge, exit by retrieval",
    "ridge, exit by confidence",
    "ridge, full depth",
)
BACKBONES = {
    "gemma3-270m": ("Gemma 3 270M", TASKS),
    "qwen2.5-0.5b": ("Qwen2.5 0.5B", ("sst2", "trec", "subj", "cola")),
}
Line = dict[str, Any]


def write_tables(path: Path) -> None:
    """Write docs/accuracy.md and its plot from the lines of a results file."""
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    judged = [line for line in lines if "accuracy" in line]
    timed = [line for line in lines if "times" in line]
    parts = [INTRODUCTION]
    for backbone, (title, tasks) in BACKBONES.items():
        own = [line for line in judged if line["backbone"] == backbone]
        if own:
            parts += chapter(title, tasks, own)
    shown = shown_times(timed)
    if shown:
        parts += ["## Time\n", TIMES, shown, training_times(judged)]
        draw(judged, timed, DOCS / "images" / "accuracy.png")
        parts.append("![Accuracy over milliseconds per text](images/accuracy.png)\n")
    (DOCS / "accuracy.md").write_text("\n".join(parts), encoding="utf-8")
    own = [x for x in judged if x["backbone"] == "gemma3-270m"]
    between_marks(DOCS.parent / "README.md", "accuracy", headline(own))


def headline(lines: list[Line]) -> str:
    """Return the README's table: what to expect at which cost."""
    shown = [
        line
        for line in lines
        if line["test"] == line["task"]
        and (line["budget"] is None or "confidence" in line["method"])
    ]
    return averages(shown, TASKS, chosen_weight)


def between_marks(path: Path, name: str, text: str) -> None:
    """Put a text between the two marks of a file that bear a name, if it has them."""
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, opened, rest = path.read_text(encoding="utf-8").partition(start)
    _, closed, after = rest.partition(end)
    if not (opened and closed):
        return
    path.write_text(f"{before}{start}{text}{end}{after}", encoding="utf-8")


INTRODUCTION = """\
# Accuracy and cost, beside the plain peers

Made by `python benchmarks/accuracy.py` from
[its lines](../benchmarks/results/accuracy.jsonl); not edited. Every method is fitted on
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


Wanted = Callable[[Line], bool]


def chosen_weight(line: Line) -> bool:
    """Whether a line is fitted as the headline says."""
    has_it = "ridge" in line["method"] or "logistic" in line["method"]
    wanted = "balanced" if line["task"] in UNEQUAL and has_it else None
    return bool(line["class_weight"] == wanted)


def no_weight(line: Line) -> bool:
    return line["class_weight"] is None


def grouped(lines: Iterable[Line]) -> dict[tuple[str, float | None], list[Line]]:
    """Return the lines of each method and budget, in the order of the table."""
    found = defaultdict(list)
    for line in lines:
        found[line["method"], line["budget"]].append(line)
    order = sorted(found, key=lambda key: (METHODS.index(key[0]), key[1] or 0))
    return {key: found[key] for key in order}


def averages(lines: list[Line], tasks: tuple[str, ...], wanted: Wanted) -> str:
    """Average over the tasks, for the seeds that have all of them."""
    rows = []
    for (method, budget), own in grouped(filter(wanted, lines)).items():
        by_seed = defaultdict(dict)
        for line in own:
            by_seed[line["seed"]][line["task"]] = line
        whole = [found for found in by_seed.values() if set(found) == set(tasks)]
        if not whole:
            continue
        scores = [mean(x["accuracy"] for x in found.values()) for found in whole]
        costs = [
            mean(x["cost"] for x in f.values()) for f in whole if f["sst2"]["cost"]
        ]
        mcc = [found["cola"]["mcc"] for found in whole]
        rows.append(
            [
                method,
                "" if budget is None else f"{budget:g}",
                spread(scores),
                f"{mean(costs):.2f}" if costs else "",
                spread(mcc),
                str(len(whole)),
            ]
        )
    return table(["method", "budget", "accuracy", "cost", "CoLA MCC", "seeds"], rows)


def by_task(lines: list[Line], tasks: tuple[str, ...], wanted: Wanted) -> str:
    """Return a table with a column for each task."""
    rows = []
    for (method, budget), own in grouped(filter(wanted, lines)).items():
        cells = []
        for task in tasks:
            name = tuple(task.split(" -> ")) if " -> " in task else (task, task)
            found = [x for x in own if (x["task"], x["test"]) == name]
            cells.append(spread([x["accuracy"] for x in found]) if found else "")
        rows.append([method, "" if budget is None else f"{budget:g}", *cells])
    return table(["method", "budget", *tasks], rows)


def pairs(lines: list[Line]) -> tuple[str, ...]:
    return tuple(sorted({f"{x['task']} -> {x['test']}" for x in lines}))


def spread(values: list[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{mean(values):.1f} ± {stdev(values):.1f}"


def shown_times(lines: list[Line]) -> str:
    """Return the table of milliseconds."""
    found = times_of(lines)
    rows = [[name, f"{value:.2f}"] for name, value in found.items()]
    return table(["method", "ms per text"], rows) if rows else ""


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


def times_of(lines: list[Line]) -> dict[str, float]:
    """Average the milliseconds over the tasks, the last line of each."""
    last = {x["task"]: x["times"] for x in lines if x["backbone"] == "gemma3-270m"}
    names = next(iter(last.values()), {})
    return {name: mean(times[name] for times in last.values()) for name in names}


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def draw(judged: list[Line], timed: list[Line], target: Path) -> None:
    """Plot accuracy over milliseconds per text."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    times = times_of(timed)
    tasks = {line["task"] for line in timed}
    lines = [
        line
        for line in judged
        if chosen_weight(line)
        and line["test"] == line["task"]
        and line["task"] in tasks
        and line["backbone"] == "gemma3-270m"
    ]
    score = {
        key: mean(x["accuracy"] for x in found) for key, found in grouped(lines).items()
    }
    figure, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for exit_by, offset in (("confidence", (-6, 7)), ("retrieval", (4, -13))):
        points = [
            (times[f"ridge, exit by {exit_by}, {budget}"], value, budget)
            for (method, budget), value in score.items()
            if method == f"ridge, exit by {exit_by}"
        ]
        label = f"ridge, exit by {exit_by} (numbers: budget)"
        ax.plot(*zip(*[p[:2] for p in points], strict=True), "o-", label=label)
        for x, y, budget in points:
            ax.annotate(f"{budget:g}", (x, y), offset, textcoords="offset points")
    for name in METHODS:
        if name in times and (name, None) in score:
            own = score[name, None]
            (mark,) = ax.plot(times[name], own, "s", label=name)
            if (halved := times.get(f"{name}, bfloat16")) is not None:
                color = mark.get_color()
                ax.plot([halved, times[name]], [own, own], ":", color=color)
                ax.plot(halved, own, "s", mec=color, mfc="white")
    ax.set_xscale("log")
    ax.set_xlabel("milliseconds per text")
    ax.set_ylabel(f"accuracy, mean of {len(tasks)} tasks, %")
    ax.legend(fontsize="small", loc="lower left")
    target.parent.mkdir(exist_ok=True)
    figure.savefig(target, dpi=120)
