"""The plot of docs/accuracy.md: accuracy over milliseconds per text."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.accuracy.tables import ORDER, Named, chosen_weight, grouped
from benchmarks.lines import Line
from benchmarks.pages import save, subplots

# How far from its point a curve's number stands.
OFFSETS = {"confidence": (-6, 7), "retrieval": (4, -13)}


def times_of(lines: list[Line], backbone: str) -> dict[str, float]:
    """Average the milliseconds over the tasks, the last line of each."""
    last = {x["task"]: x["times"] for x in lines if x["backbone"] == backbone}
    names: list[str] = list(next(iter(last.values()), {}))
    return {name: mean(times[name] for times in last.values()) for name in names}


def draw(
    lines: list[Line], times: Mapping[str, float], tasks: Collection[str], target: Path
) -> None:
    """Plot what a backbone has on the timed tasks."""
    shown = [
        line
        for line in lines
        if chosen_weight(line)
        and line["test"] == line["task"]
        and line["task"] in tasks
    ]
    scores = {
        named: mean(line["accuracy"] for line in found)
        for named, found in grouped(shown).items()
    }
    figure, axes = subplots(1, 1, figsize=(7, 4.5))
    ax = axes[0, 0]
    for exit_by in OFFSETS:
        draw_budgets(ax, exit_by, scores, times)
    for name in ORDER:
        if name in times and (name, None) in scores:
            draw_method(ax, name, scores[name, None], times)
    ax.set_xscale("log")
    ax.set_xlabel("milliseconds per text")
    ax.set_ylabel(f"accuracy, mean of {len(tasks)} tasks, %")
    ax.legend(fontsize="small", loc="lower left")
    save(figure, target, dpi=120)


def draw_budgets(
    ax: Any, exit_by: str, scores: Mapping[Named, float], times: Mapping[str, float]
) -> None:
    """Draw a curve over the budgets, each point with its number."""
    points = [
        (times[f"ridge, exit by {exit_by}, {budget}"], value, budget)
        for (method, budget), value in scores.items()
        if method == f"ridge, exit by {exit_by}"
    ]
    label = f"ridge, exit by {exit_by} (numbers: budget)"
    ax.plot(*zip(*[p[:2] for p in points], strict=True), "o-", label=label)
    for x, y, budget in points:
        ax.annotate(f"{budget:g}", (x, y), OFFSETS[exit_by], textcoords="offset points")


def draw_method(ax: Any, name: str, score: float, times: Mapping[str, float]) -> None:
    """Draw a square, and a hollow one where the encoder also ran in bfloat16."""
    (mark,) = ax.plot(times[name], score, "s", label=name)
    if (halved := times.get(f"{name}, bfloat16")) is not None:
        color = mark.get_color()
        ax.plot([halved, times[name]], [score, score], ":", color=color)
        ax.plot(halved, score, "s", mec=color, mfc="white")
