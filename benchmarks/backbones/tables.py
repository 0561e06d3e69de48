"""The tables of docs/which-backbone.md."""

from __future__ import annotations

from collections.abc import Callable, Collection

from benchmarks.backbones.figures import COLUMNS, Column, Figures, averaged
from benchmarks.backbones.prompts import PLAIN
from benchmarks.backbones.sides import EXIT, FULL, LINEAR
from benchmarks.lines import Line
from benchmarks.pages import spread, table

# How far below the best is near enough, in points.
NEAR = 1.0

_HEADS = {FULL: "full depth", LINEAR: "embeddings + LR"}


def by_budget(figures: Collection[Figures]) -> str:
    """Return a table with four rows for each backbone and template."""
    rows = []
    for backbone, template in ordered(figures):
        own = [f for f in figures if f.backbone == backbone]
        if template is not None:
            shown = [f for f in own if f.template == template or f.is_linear]
            rows += rows_of({f.column: f for f in shown}, template)
    return table(["backbone", "template", "", *map(head_of, COLUMNS)], rows)


def ordered(figures: Collection[Figures]) -> list[tuple[str, str | None]]:
    """Return backbones and templates: the text alone first, embeddings last."""
    found = {(f.backbone, f.template) for f in figures}
    return sorted(found, key=lambda x: (x[0], x[1] is None, x[1] != PLAIN, str(x[1])))


def rows_of(own: dict[Column, Figures], template: str) -> list[list[str]]:
    """Return accuracy, share and time of a backbone with a template."""
    wanted: dict[str, Callable[[Figures], str]] = {
        "accuracy": lambda f: spread(f.accuracies),
        "share of the model": lambda f: f"{f.share:.2f}",
        "ms per text": lambda f: f"{f.ms:.2f}",
        "of the encoder's time": time_beside,
    }
    rows = []
    for name, show in wanted.items():
        cells = [show(own[c]) if c in own else "" for c in COLUMNS]
        if any(cells):
            rows.append(["", "", name, *cells])
    rows[0][:2] = [next(iter(own.values())).title, f"`{template}`"]
    return rows


def time_beside(figures: Figures) -> str:
    if not figures.encoder_ms:
        return ""
    return f"{figures.ms / figures.encoder_ms:.2f}"


def by_task(lines: Collection[Line], tasks: Collection[str]) -> str:
    """Return accuracies, a column for each task."""
    found = {task: averaged(lines, [task]) for task in tasks}
    rows = []
    for name in ordered([f for figures in found.values() for f in figures]):
        for column in COLUMNS:
            own = [
                next((f for f in figures if named(f) == (*name, column)), None)
                for figures in found.values()
            ]
            cells = [spread(f.accuracies) if f else "" for f in own]
            if first := next(filter(None, own), None):
                written = "" if first.is_linear else f"`{first.template}`"
                rows.append([first.title, written, head_of(column), *cells])
    return table(["backbone", "template", "budget", *tasks], rows)


def named(figures: Figures) -> tuple[str, str | None, Column]:
    return figures.backbone, figures.template, figures.column


def recommended(figures: Collection[Figures]) -> str:
    """Return what to take for three wishes, the fastest that does."""
    ours = [f for f in figures if not f.is_linear]
    linear = max(
        (f for f in figures if f.is_linear), key=lambda f: f.accuracy, default=None
    )
    best = max(f.accuracy for f in ours)
    wishes = {"the most accurate": best, f"within {NEAR:g} point of it": best - NEAR}
    if linear is not None:
        wishes["as accurate as the best embeddings + LR"] = linear.accuracy
    rows = []
    for wish, least in wishes.items():
        if enough := [f for f in ours if f.accuracy >= least]:
            rows.append([wish, *shown(min(enough, key=lambda f: f.ms))])
    if linear is not None:
        rows.append(["the best embeddings + LR", *shown(linear)])
    return table(["wanted", "take", "budget", "accuracy", "share", "ms per text"], rows)


def shown(figures: Figures) -> list[str]:
    return [
        figures.title,
        "" if figures.is_linear else head_of(figures.column),
        spread(figures.accuracies),
        f"{figures.share:.2f}",
        f"{figures.ms:.2f}",
    ]


def head_of(column: Column) -> str:
    method, budget = column
    return f"{budget:g}" if method == EXIT else _HEADS[method]
