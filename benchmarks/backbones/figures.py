"""Means over tasks and seeds, from the lines of a results file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from statistics import mean

from benchmarks.backbones.measure import NAMING
from benchmarks.backbones.sides import BUDGETS, EXIT, FULL, LINEAR
from benchmarks.data import TITLES
from benchmarks.lines import Line

#: The columns of a table: a method, and its budget.
Column = tuple[str, float | None]
Named = tuple[str, str | None, Column]  # backbone and template before it
COLUMNS: tuple[Column, ...] = (
    *((EXIT, budget) for budget in BUDGETS),
    (FULL, None),
    (LINEAR, None),
)


@dataclass(frozen=True)
class Figures:
    """What one column of a backbone says, on average over some tasks.

    Attributes
    ----------
    backbone : str
    template : str or None
        None for the embeddings.
    column : tuple of method and budget
    accuracies : list of float
        Of each seed, in per cent.
    share, ms : float
        Of a full pass; milliseconds per text.
    encoder_ms : float or None
        Of the whole encoder on the same texts, in the same run.
    """

    backbone: str
    template: str | None
    column: Column
    accuracies: list[float]
    share: float
    ms: float
    encoder_ms: float | None

    @property
    def accuracy(self) -> float:
        return mean(self.accuracies)

    @property
    def is_linear(self) -> bool:
        """Whether it is the embeddings' and none of ours."""
        return self.template is None

    @property
    def title(self) -> str:
        return TITLES.get(self.backbone, self.backbone)


def current(lines: Iterable[Line]) -> list[Line]:
    """Return the lines to show: on the most training, then test texts, the last one.

    Of the dtypes and machines there may be several, of each measurement there is one.
    """
    measured = [line for line in lines if "accuracy" in line]
    most = max((line["n_train"] for line in measured), default=0)
    kept: dict[str, Line] = {}
    for line in measured:
        name = str([line[field] for field in NAMING[:-1]] + [device_of(line)])
        if line["n_train"] == most and line["n_test"] >= kept.get(name, line)["n_test"]:
            kept[name] = line
    return list(kept.values())


def device_of(line: Line) -> str:
    machine = line["machine"]
    return str(machine["gpu"] or f"{machine['threads']} threads of a CPU")


def averaged(lines: Iterable[Line], tasks: Collection[str]) -> list[Figures]:
    """Average what has all these tasks, for the seeds that have them."""
    grouped: dict[Named, dict[int, list[Line]]]
    grouped = defaultdict(lambda: defaultdict(list))
    for line in lines:
        if line["task"] in tasks:
            column = (line["method"], line["budget"])
            named = (line["backbone"], line["template"], column)
            grouped[named][line["seed"]].append(line)
    found = []
    for (backbone, template, column), seeds in grouped.items():
        whole = [own for own in seeds.values() if len(own) == len(tasks)]
        if whole and column in COLUMNS:
            found.append(_figures(backbone, template, column, whole))
    return found


def _figures(
    backbone: str, template: str | None, column: Column, seeds: list[list[Line]]
) -> Figures:
    flat = [line for own in seeds for line in own]
    beside = [line["encoder_ms"] for line in flat if line["encoder_ms"] is not None]
    return Figures(
        backbone=backbone,
        template=template,
        column=column,
        accuracies=[mean(line["accuracy"] for line in own) for own in seeds],
        share=mean(line["share"] for line in flat),
        ms=mean(line["ms"] for line in flat),
        encoder_ms=mean(beside) if len(beside) == len(flat) else None,
    )
