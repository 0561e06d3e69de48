"""The plot of docs/accuracy.md: accuracy over milliseconds per text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.accuracy.figures import Named, mean_times, rows_of
from benchmarks.accuracy.methods import CONFIDENCE, RETRIEVAL
from benchmarks.accuracy.times import shown_key
from benchmarks.data import TASKS, TITLES
from benchmarks.lines import Line
from benchmarks.pages import save, subplots

# How far from its point a curve's number stands.
OFFSETS = {CONFIDENCE: (-6, 7), RETRIEVAL: (4, -13)}

Points = dict[Named, tuple[float, float]]  # milliseconds, accuracy


def draw(
    lines: list[Line],
    times: Mapping[str, dict[str, dict[str, float]]],
    target: Path,
) -> bool:
    """Draw a picture with a part for each timed backbone; say whether there is one."""
    parts = {name: points_of(lines, name, own) for name, own in times.items()}
    parts = {name: points for name, points in parts.items() if points}
    if not parts:
        return False
    figure, axes = subplots(1, len(parts), figsize=(6.5 * len(parts), 5))
    for ax, (backbone, points) in zip(axes[0], parts.items(), strict=True):
        draw_points(ax, points)
        ax.set_title(TITLES.get(backbone, backbone))
        ax.set_xlabel("milliseconds per text")
        ax.set_ylabel("accuracy, mean of the timed tasks, %")
    save(figure, target, dpi=120)
    return True


def points_of(
    lines: list[Line], backbone: str, times: dict[str, dict[str, float]]
) -> Points:
    """Return what has a time and an accuracy on all timed tasks among the eight."""
    tasks, ms = [task for task in TASKS if task in times], mean_times(times)
    points = {}
    for row in rows_of(lines, backbone) if tasks else []:
        accuracies, key = row.means("accuracy", tasks), shown_key(*row.named)
        if accuracies and key in ms:
            points[row.named] = ms[key], mean(accuracies)
    return points


def draw_points(ax: Any, points: Points) -> None:
    """Draw a curve over the budgets, and a mark for each other method."""
    for method, offset in OFFSETS.items():
        own = {budget: at for (name, budget), at in points.items() if name == method}
        if own:
            label = f"{method} (numbers: budget)"
            ax.plot(*zip(*own.values(), strict=True), "o-", label=label)
        for budget, at in own.items():
            ax.annotate(f"{budget:g}", at, offset, textcoords="offset points")
    for (name, budget), at in points.items():
        if budget is None:
            ax.plot(*at, "D" if name.startswith("ridge") else "s", label=name)
    ax.set_xscale("log")
    ax.legend(fontsize="x-small", loc="lower left")
