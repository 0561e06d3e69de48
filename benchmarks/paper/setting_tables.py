"""Tables 3 to 5 of docs/paper.md and SLEB's order: settings, databases, fits."""

from __future__ import annotations

from benchmarks.data import TASKS
from benchmarks.lines import Line
from benchmarks.pages import table
from benchmarks.paper.methods import PEERS
from benchmarks.paper.reported import Scores
from benchmarks.paper.section import Section, average_of
from benchmarks.paper.tables import TITLES, listed, number, system


def over_settings(section: Section, name: str, field: str) -> str:
    """Return a table with a column for each k or each share."""
    found = {x["setting"][field] for x in section.of(name)}
    if not found:
        return ""
    settings = [{field: value} for value in sorted(found)]
    rows = []
    for task in section.tasks:
        cells = [section.cells(name, "raee", "score", s).get(task) for s in settings]
        rows.append([f"RAEE, {task}", *map(number, cells)])
    for title, method, figure in (
        ("RAEE, average", "raee", "score"),
        ("RAEE, average exit", "raee", "mean_exit"),
        *((f"{TITLES[peer]}, average", peer, "score") for peer in PEERS),
    ):
        cells = [average_at(section, name, method, figure, s) for s in settings]
        if any(cell is not None for cell in cells):
            rows.append([title, *map(number, cells)])
    for title, reported in section.reported.items():
        of_paper = reported.by_k if field == "k" else reported.by_share
        if of_paper:
            cells = [averaged(of_paper.get(s[field]), section) for s in settings]
            rows.append([f"*{title}: RAEE, average*", *map(number, cells)])
    head = [
        f"{100 * s[field]:g} %" if field == "share" else f"{s[field]}" for s in settings
    ]
    return table([field, *head], rows)


def averaged(scores: Scores | None, section: Section) -> float | None:
    """Return the mean of the paper's scores over the tasks that are shown."""
    if scores is None:
        return None
    return average_of(dict(zip(TASKS, scores, strict=True)), section.tasks)


def average_at(
    section: Section, name: str, method: str, figure: str, setting: Line
) -> float | None:
    """Return an average at a setting; what no setting changes is taken of Table 1."""
    if section.of(name, method):
        return section.average(name, method, figure, setting)
    return section.average("table1", method, figure)


def table5(section: Section) -> str:
    rows = []
    for method, title in TITLES.items():
        seconds = section.cells("table5", method, "fit_seconds")
        if not seconds:
            continue
        sizes = [
            average_of(section.cells("table5", method, field), seconds)
            for field in ("index_bytes", "key_bytes", "database_bytes", "bytes")
        ]
        shown = [number(None if x is None else x / 2**20, 2) for x in sizes]
        average = average_of(seconds, seconds)
        rows.append([title, number(average), *shown, listed(seconds)])
    if not rows:
        return ""
    for title, reported in section.reported.items():
        for method, seconds_of_paper in reported.fit_seconds.items():
            named = f"*{title}: {system(method)}*"
            rows.append([named, number(seconds_of_paper), *[""] * 4, "eight tasks"])
    head = ["method", "fit, s", "index, MiB", "keys, MiB", "database, MiB"]
    return table([*head, "whole pickle, MiB", "average of"], rows) + (
        "\nA fit that finds nothing kept, models loaded before. The index is the HNSW "
        "graph with its copy of the keys and is built anew after unpickling; the "
        "database holds sweeps and labels. The paper's index takes 3.4 MB and its "
        "database 2.1 MB on average.\n"
    )


def sleb_order(section: Section) -> str:
    rounds = sorted(section.of("sleb-order"), key=lambda line: line["round"])
    if not rounds:
        return ""
    removed = ", ".join(str(line["removed"]) for line in rounds)
    losses = ", ".join(number(line["loss"], 2) for line in rounds)
    minutes = sum(line["seconds"] for line in rounds) / 60
    return (
        f"Blocks removed, in this order: {removed}. Loss on "
        f"{rounds[0]['n_calibration']} training texts over all tasks, in nats per "
        f"token, after each: {losses}. Found in {minutes:.0f} minutes.\n"
    )
