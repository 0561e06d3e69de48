"""The lines of one backbone, as the tables, figures and findings ask for them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean

from paper_lines import Line
from paper_reported import REPORTED, TASKS, Reported

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
        said = f"python benchmarks/paper.py {table} --backbone {self.backbone}"
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


def sections_of(lines: Iterable[Line], accuracy: Iterable[Line]) -> list[Section]:
    """Sort the lines by backbone; of runs on less data only the largest is kept.

    `accuracy` are the lines of accuracy.py, of which SetFit's are taken over.
    """
    setfit = [line for line in accuracy if is_setfit(line)]
    grouped: dict[tuple[str, str, str], list[Line]] = defaultdict(list)
    orders: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        if line["table"] == "sleb-order":
            orders[line["backbone"]].append(line)
        else:
            key = line["backbone"], line["encoder"], line["dtype"]
            grouped[key].append(line)
    found = []
    for (backbone, encoder, dtype), own in grouped.items():
        kept = last_of_each(largest(own))
        runs = {run_of(line) for line in kept}
        kept += [x for x in map(as_table1, setfit) if run_of(x) in runs]
        kept += order_of([x for x in orders[backbone] if x["dtype"] == dtype])
        found.append(Section(backbone, encoder, dtype, kept))
    return found


def order_of(lines: list[Line]) -> list[Line]:
    """Return the rounds of SLEB's search that saw the most texts."""
    most = max((line["n_calibration"] for line in lines), default=0)
    blank = {"task": None, "method": "sleb", "setting": None}
    rounds = {x["round"]: blank | x for x in lines if x["n_calibration"] == most}
    return list(rounds.values())


def is_setfit(line: Line) -> bool:
    named = line.get("method", "").startswith("SetFit") and "accuracy" in line
    return named and line["test"] == line["task"]


def run_of(line: Line) -> tuple[object, ...]:
    """Return on which data a line was measured."""
    return tuple(line[field] for field in ("task", "seed", "n_fit", "n_test"))


def as_table1(line: Line) -> Line:
    return {**line, "table": "table1", "method": "setfit", "setting": None}


def largest(lines: list[Line]) -> list[Line]:
    """Keep, of each table, task and setting, the runs on the most texts."""
    most: dict[str, tuple[int, int]] = {}
    for line in lines:
        key, size = place_of(line), (line["n_fit"], line["n_test"])
        most[key] = max(size, most.get(key, size))
    return [x for x in lines if (x["n_fit"], x["n_test"]) == most[place_of(x)]]


def place_of(line: Line) -> str:
    return json.dumps([line["table"], line["task"], line["setting"]])


def last_of_each(lines: list[Line]) -> list[Line]:
    """Keep the last line of each name: what failed may have been run again."""
    last = {(place_of(x), x["method"], x["seed"]): x for x in lines}
    return list(last.values())
