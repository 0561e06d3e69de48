"""The part of docs/which-backbone.md that its lines make."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path

from benchmarks.backbones.figures import Figures, averaged, current, device_of
from benchmarks.backbones.plot import draw
from benchmarks.backbones.prompts import COMPARED, PLAIN
from benchmarks.backbones.tables import by_budget, by_task, recommended
from benchmarks.data import ALL_TASKS, INTENTS, TASKS
from benchmarks.lines import Line, Lines
from benchmarks.pages import between_marks

PAGE, PICTURE = "which-backbone.md", Path("images", "which-backbone.png")


def write_page(lines: Lines, docs: Path) -> None:
    """Write the tables of a results file between the marks of the page."""
    shown = current(lines)
    if not shown:
        raise SystemExit(f"no figures in {lines.path}; measure some before the tables")
    places = Counter((line["dtype"], device_of(line)) for line in shown).most_common()
    parts = []
    for i, ((dtype, device), _) in enumerate(places):
        own = [x for x in shown if (x["dtype"], device_of(x)) == (dtype, device)]
        parts += [f"## In {dtype}, on {device}\n", *chapter(own)]
        parts += pictured(own, docs) if i == 0 else []  # of the one with most lines
    between_marks(docs / PAGE, "backbones", "\n".join(parts))


def pictured(lines: list[Line], docs: Path) -> list[str]:
    """Draw the mean of the eight tasks, where there is one."""
    figures = of_plain_texts(lines, TASKS)
    if not figures:
        return []
    draw(figures, len(TASKS), docs / PICTURE)
    return [f"![Accuracy over milliseconds per text]({PICTURE.as_posix()})\n"]


def of_plain_texts(lines: Collection[Line], tasks: Collection[str]) -> list[Figures]:
    """Average what reads the text alone, and the embeddings of the same backbones."""
    figures = averaged(lines, tasks)
    names = {f.backbone for f in figures if f.template == PLAIN}
    return [f for f in figures if f.backbone in names and f.template in (PLAIN, None)]


def chapter(lines: list[Line]) -> list[str]:
    """Return the tables of a dtype and device, as far as there are lines for them."""
    parts = []
    if figures := of_plain_texts(lines, TASKS):
        parts += ["### Mean of the eight tasks\n", by_budget(figures)]
        parts += ["### What to take\n", recommended(figures)]
    for task in INTENTS:
        if figures := of_plain_texts(lines, [task]):
            parts += [f"### {task}\n", by_budget(figures), recommended(figures)]
    if figures := prompted(lines):
        title = f"### A prompt around the text: mean of {', '.join(COMPARED)}\n"
        parts += [title, by_budget(figures)]
    tasks = [t for t in ALL_TASKS if any(line["task"] == t for line in lines)]
    return [*parts, "### By task\n", by_task(lines, tasks)]


def prompted(lines: Collection[Line]) -> list[Figures]:
    """Average the backbones that have more than the text alone."""
    figures = averaged(lines, COMPARED)
    names = {f.backbone for f in figures if f.template not in (PLAIN, None)}
    return [f for f in figures if f.backbone in names]
