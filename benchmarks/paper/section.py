"""The lines of one backbone, as the tables, figures and findings ask for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean

from benchmarks.data import TASKS
from benchmarks.lines import Line
from benchmarks.paper.reported import REPORTED, Reported

Cells = dict[str, float]  # task -> value


@dataclass(frozen=True)
class Section:
    """A backbone with an encoder and a dtype."""

    backbone: str
    encoder: str
    dtype: str
    lines: list[Line]

    @property
    def tasks(self) -> list[str]:
        found = {line["task"] for line in self.of("table1")}
        return [task for task in TASKS if task in found]

    @property
    def slug(self) -> str:
        return "-".join([self.backbone, self.encoder, self.dtype]).replace("/", "-")

    @property
    def title(self) -> str:
        dtype = "" if self.dtype == "auto" else f", {self.dtype}"
        return f"{self.backbone}{dtype}, encoder {self.encoder}"

    @property
    def reported(self) -> dict[str, Reported]:
        """Return what the paper has of this backbone, else of all its backbones."""
        if self.backbone in REPORTED:
            own = REPORTED[self.backbone]
            return {f"paper, {own.title}": own}
        return {f"paper, {r.title} (another backbone)": r for r in REPORTED.values()}

    def command(self, table: str) -> str:
        """Return what made a table."""
        said = f"python -m benchmarks.paper {table} --backbone {self.backbone}"
        if self.encoder != "minilm-l6":
            said += f" --encoder {self.encoder}"
        if self.dtype != "auto":
            said += f" --dtype {self.dtype}"
        if self.tasks != list(TASKS):
            said += f" --tasks {' '.join(self.tasks)}"
        for option, value in self.asked.items():
            said += f" --{option.replace('_', '-')} {value}"
        return f"`{said}`\n"

    @property
    def asked(self) -> dict[str, int]:
        """Return how many texts were asked for, where it was not the usual number."""
        usual = {"n_fit": 2_000, "n_test": None, "n_calibration": 128}
        found = {}
        for line in self.lines:
            found.update(line.get("asked", {}))
            if line["table"] == "sleb-order":
                found["n_calibration"] = line["n_calibration"]
        return {name: n for name, n in found.items() if n != usual[name]}

    def of(
        self, table: str, method: str | None = None, setting: Line | None = None
    ) -> list[Line]:
        return [
            line
            for line in self.lines
            if line["table"] == table
            and method in (None, line["method"])
            and setting in (None, line["setting"])
        ]

    def cells(
        self, table: str, method: str, field: str, setting: Line | None = None
    ) -> Cells:
        """Return a figure of a method by task, averaged over the seeds.

        The field "score" is the accuracy, and the MCC for CoLA, as in the paper.
        """
        found = defaultdict(list)
        for line in self.of(table, method, setting):
            named = field
            if field == "score":
                named = "mcc" if line["task"] == "cola" else "accuracy"
            if line.get(named) is not None:
                found[line["task"]].append(line[named])
        return {task: mean(found[task]) for task in TASKS if task in found}

    def average(
        self, table: str, method: str, field: str, setting: Line | None = None
    ) -> float | None:
        """Return the mean over the tasks; None where one of them is missing."""
        return average_of(self.cells(table, method, field, setting), self.tasks)


def average_of(cells: Cells, tasks: Iterable[str]) -> float | None:
    wanted = list(tasks)
    if not wanted or any(task not in cells for task in wanted):
        return None
    return mean(cells[task] for task in wanted)
