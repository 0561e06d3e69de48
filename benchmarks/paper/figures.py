"""The figures of docs/paper.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.lines import Line
from benchmarks.pages import save, subplots
from benchmarks.paper.section import Section, average_of


def draw_curves(lines: Sequence[Line], target: Path) -> None:
    """Draw a text of each task and its neighbours: probability by layer."""
    shown = [line for line in lines if line["curves"]]
    n_columns = min(4, len(shown))
    n_rows = -(-len(shown) // n_columns)
    figure, axes = subplots(n_rows, n_columns, figsize=(3 * n_columns, 2.4 * n_rows))
    for ax, line in zip(axes.flat, shown, strict=False):
        curve = line["curves"][0]
        for neighbor in curve["neighbors"]:
            ax.plot(neighbor, color="#9ecae1", linewidth=0.8)
        ax.plot(curve["query"], color="#08519c", linewidth=2)
        ax.axvline(curve["exit"], color="#d94801", linestyle="--", linewidth=1)
        ax.set(title=line["task"], ylim=(0, 1))
    for ax in axes.flat[len(shown) :]:
        ax.set_axis_off()
    figure.supxlabel("layer (dashed: exit)")
    figure.supylabel("probability of the right class")
    save(figure, target)


def draw_latency(
    section: Section, tasks: Sequence[str], titles: Mapping[str, str], target: Path
) -> None:
    """Draw milliseconds per text of every method, for calls of 1 and of 64 texts."""
    figure, axes = subplots(1, 2, figsize=(11, 4.5), sharey=True)
    for ax, batch in zip(axes.flat, (1, 64), strict=True):
        setting = {"batch": batch}
        for method, title in titles.items():
            cells = section.cells("latency", method, "ms", setting)
            value = average_of(cells, tasks)
            if value is not None:
                color = "#d94801" if method.startswith("raee") else "#9ecae1"
                ax.barh(title, value, color=color)
        ax.set(title=f"calls of {batch}", xlabel="milliseconds per text")
    axes.flat[0].invert_yaxis()
    save(figure, target)
