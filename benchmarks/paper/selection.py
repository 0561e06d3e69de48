"""Which lines of a results file are shown: sorted by backbone, the largest runs."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable

from benchmarks.lines import Line
from benchmarks.paper.section import Section


def sections_of(lines: Iterable[Line], accuracy: Iterable[Line]) -> list[Section]:
    """Sort the lines by backbone; of runs on less data only the largest is kept.

    `accuracy` are the lines of the accuracy benchmark, of which SetFit's are taken.
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
    """Keep the last line of each name: what failed may have been run again.

    Of SLEB's rows those stay whose blocks were chosen on the most texts.
    """
    by_texts = sorted(lines, key=lambda x: x.get("n_calibration") or 0)
    last = {(place_of(x), x["method"], x["seed"]): x for x in by_texts}
    return list(last.values())
