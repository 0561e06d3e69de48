"""The plot of docs/which-backbone.md: accuracy over milliseconds per text."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from benchmarks.backbones.figures import Figures
from benchmarks.backbones.tables import head_of
from benchmarks.pages import save, subplots


def draw(figures: Collection[Figures], n_tasks: int, target: Path) -> None:
    """Draw a curve for each backbone, and a hollow square for its embeddings."""
    picture, axes = subplots(1, 1, figsize=(7, 4.5))
    ax = axes[0, 0]
    for backbone in sorted({f.backbone for f in figures}):
        draw_backbone(ax, [f for f in figures if f.backbone == backbone])
    ax.set_xscale("log")
    ax.set_xlabel("milliseconds per text")
    ax.set_ylabel(f"accuracy, mean of {n_tasks} tasks, %")
    ax.legend(fontsize="small", loc="lower right")
    save(picture, target, dpi=120)


def draw_backbone(ax: Any, own: list[Figures]) -> None:
    ours = sorted((f for f in own if not f.is_linear), key=lambda f: f.ms)
    points = [(f.ms, f.accuracy) for f in ours]
    label = f"{own[0].title} (numbers: budget)"
    (curve,) = ax.plot(*zip(*points, strict=True), "o-", label=label)
    for f, point in zip(ours, points, strict=True):
        ax.annotate(head_of(f.column), point, (4, -11), textcoords="offset points")
    for f in own:
        if f.is_linear:
            label = f"{f.title}, embeddings + LR"
            color = curve.get_color()
            ax.plot(f.ms, f.accuracy, "s", mec=color, mfc="white", label=label)
