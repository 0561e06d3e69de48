"""The tables of docs/accuracy.md."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from statistics import mean

from benchmarks.data import UNEQUAL
from benchmarks.lines import Line
from benchmarks.pages import spread, table

#: Names of the methods, in the order of the rows.
ORDER = (
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

Wanted = Callable[[Line], bool]
Named = tuple[str, float | None]  # method and budget


def chosen_weight(line: Line) -> bool:
    """Whether a line is fitted as the headline says."""
    has_it = "ridge" in line["method"] or "logistic" in line["method"]
    wanted = "balanced" if line["task"] in UNEQUAL and has_it else None
    return bool(line["class_weight"] == wanted)


def no_weight(line: Line) -> bool:
    return line["class_weight"] is None


def averages(lines: Iterable[Line], tasks: tuple[str, ...], wanted: Wanted) -> str:
    """Average over the tasks, for the seeds that have all of them."""
    rows = []
    for named, own in grouped(filter(wanted, lines)).items():
        by_seed: dict[int, dict[str, Line]] = defaultdict(dict)
        for line in own:
            by_seed[line["seed"]][line["task"]] = line
        whole = [found for found in by_seed.values() if set(found) == set(tasks)]
        if whole:
            rows.append([*shown(named), *averaged(whole)])
    return table(["method", "budget", "accuracy", "cost", "CoLA MCC", "seeds"], rows)


def averaged(seeds: list[dict[str, Line]]) -> list[str]:
    """Return accuracy, cost, MCC of CoLA and the number of seeds, each by task."""
    scores = [mean(x["accuracy"] for x in found.values()) for found in seeds]
    costs = [
        mean(x["cost"] for x in found.values())
        for found in seeds
        if found["sst2"]["cost"]
    ]
    mcc = [found["cola"]["mcc"] for found in seeds]
    cost = f"{mean(costs):.2f}" if costs else ""
    return [spread(scores), cost, spread(mcc), str(len(seeds))]


def by_task(lines: Iterable[Line], tasks: tuple[str, ...], wanted: Wanted) -> str:
    """Return a table with a column for each task, or pair of tasks."""
    rows = []
    for named, own in grouped(filter(wanted, lines)).items():
        cells = []
        for task in tasks:
            name = tuple(task.split(" -> ")) if " -> " in task else (task, task)
            found = [x for x in own if (x["task"], x["test"]) == name]
            cells.append(spread([x["accuracy"] for x in found]) if found else "")
        rows.append([*shown(named), *cells])
    return table(["method", "budget", *tasks], rows)


def pairs(lines: Iterable[Line]) -> tuple[str, ...]:
    return tuple(sorted({f"{x['task']} -> {x['test']}" for x in lines}))


def grouped(lines: Iterable[Line]) -> dict[Named, list[Line]]:
    """Return the lines of each method and budget, in the order of the table."""
    found = defaultdict(list)
    for line in lines:
        found[line["method"], line["budget"]].append(line)
    order = sorted(found, key=lambda key: (ORDER.index(key[0]), key[1] or 0))
    return {key: found[key] for key in order}


def shown(named: Named) -> list[str]:
    method, budget = named
    return [method, "" if budget is None else f"{budget:g}"]
