"""The tables of docs/how-to/past-one-machine.md."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from statistics import median

from benchmarks.lines import Line, Lines
from benchmarks.pages import between_marks, table

PAGE = "how-to/past-one-machine.md"
NAMING = ("backbone", "engine", "workers", "rows", "round")

Rates = dict[tuple[str, int, str, int], Line]

_ORDER = ("plain", "ray", "spark", "dask")

# How many texts the plan on paper is for.
_MANY = 10**9


def write_page(lines: Lines, docs: Path) -> None:
    """Write what engines cost, and what a billion texts come to, between marks."""
    rates = medians(lines)
    between_marks(docs / PAGE, "engines", costs(rates))
    between_marks(docs / PAGE, "plan", plan(rates))


def medians(lines: Lines) -> Rates:
    """Return the median of each figure over the rounds; of the most rows there are."""
    of_run: dict[tuple[str, int, str, int], list[Line]] = defaultdict(list)
    newest = {lines.key_of(line): line for line in lines if "failed" not in line}
    most: dict[str, int] = {}
    for line in newest.values():
        most[line["backbone"]] = max(most.get(line["backbone"], 0), line["rows"])
    for line in newest.values():
        if line["rows"] == most[line["backbone"]]:
            key = line["backbone"], line["rows"], line["engine"], line["workers"]
            of_run[key].append(line)
    fields = ("rows_per_s", "start_s", "first_mib", "last_mib")
    return {
        key: {field: median(one[field] for one in found) for field in fields}
        for key, found in of_run.items()
    }


def costs(rates: Rates) -> str:
    """Return the table of rows a second and of what an engine loses."""
    rows = []
    for key in sorted(rates, key=lambda key: (key[0], key[3], _ORDER.index(key[2]))):
        backbone, n_rows, engine, workers = key
        own = rates[key]
        alone = rates.get((backbone, n_rows, "plain", workers))
        lost = (
            "" if alone is None or engine == "plain" else f"{lost_of(own, alone):.0%}"
        )
        rows.append(
            [
                f"{backbone}, {n_rows:,} rows",
                engine,
                str(workers),
                f"{own['rows_per_s']:,.0f}",
                lost,
                f"{own['start_s']:.0f}",
                f"{own['first_mib']:,.0f}",
                f"{own['last_mib']:,.0f}",
            ]
        )
    head = "texts|by|workers|rows a second|lost to the engine|seconds until the first"
    memory = "worker's MiB then|worker's MiB at the end"
    return table([*head.split("|"), *memory.split("|")], rows)


def plan(rates: Rates) -> str:
    """Return the table of the hours of a billion texts, by one process's rate."""
    rows = []
    for (backbone, n_rows, engine, workers), own in sorted(rates.items()):
        if (engine, workers) == ("plain", 1):
            engines = [
                lost_of(rates[key], own)
                for other in _ORDER[1:]
                if (key := (backbone, n_rows, other, 1)) in rates
            ]
            hours = _MANY / own["rows_per_s"] / 3600
            lost = max([0.0, *engines])
            rows.append(
                [
                    backbone,
                    f"{own['rows_per_s']:,.0f}",
                    f"{hours:,.1f}",
                    f"{lost:.0%}",
                    f"{hours / (1 - lost):,.1f}",
                ]
            )
    head = "backbone|texts a second and core|core hours of 10^9|most lost to an engine"
    return table([*head.split("|"), "core hours with it"], rows)


def lost_of(own: Line, alone: Line) -> float:
    """Return the share that an engine loses against as many plain processes."""
    return 1 - float(own["rows_per_s"]) / float(alone["rows_per_s"])
