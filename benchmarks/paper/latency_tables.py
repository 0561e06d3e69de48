"""Table 2, Figure 3 and the table at a glance: what a text takes."""

from __future__ import annotations

from pathlib import Path

from benchmarks.data import TASKS
from benchmarks.pages import table
from benchmarks.paper.figures import draw_latency
from benchmarks.paper.methods import PEERS
from benchmarks.paper.section import Section, average_of
from benchmarks.paper.tables import TITLES, listed, number, span, system

#: The rows of the table in docs/benchmarks.md.
SYSTEMS = (
    "full",
    "deebert",
    "deebert-folds",
    "deebert-folds-budget",
    "adainfer-gold",
    "adainfer",
    "calm-vocab-calibrated",
    "calm-classifier",
    "calm",
    "calm-calibrated",
    "hashee",
    "hashee-ridge",
    "sleb-20",
    "sleb",
    "raee",
    "raee-cv",
    "ridge-confidence",
)


def table2(section: Section) -> str:
    rows = []
    for method in ("full", "raee-without", "raee", *PEERS):
        accuracy = section.average("table1", method, "score")
        exits = section.average("table1", method, "mean_exit")
        if accuracy is not None:
            times = latency_cells(section, method)
            rows.append([TITLES[method], number(accuracy), number(exits), *times])
    if not rows:
        return ""
    for title, reported in section.reported.items():
        for method, ms in reported.ms.items():
            share = number(ms / reported.ms["full"], 2)
            cells = ["", "", number(ms), share, "", ""]
            if method in reported.scores:
                values = dict(zip(TASKS, reported.scores[method], strict=True))
                cells[0] = number(average_of(values, section.tasks))
                cells[1] = number(reported.exits.get(method))
            rows.append([f"*{title}: {system(method)}*", *cells])
    return table(["method", "accuracy", "exit", *LATENCY_HEAD], rows) + timing(section)


LATENCY_HEAD = ["ms, one text", "of full depth", "ms, 64 texts", "of full depth"]


def latency_cells(section: Section, method: str) -> list[str]:
    """Return milliseconds and share of full depth, for calls of 1 and of 64 texts."""
    found = []
    for batch in (1, 64):
        for field, digits in (("ms", 2), ("ratio", 2)):
            cells = section.cells("latency", method, field, {"batch": batch})
            value = average_of(cells, timed_tasks(section))
            found.append(number(value, digits))
    return found


def timed_tasks(section: Section) -> list[str]:
    timed = {line["task"] for line in section.of("latency") if "ms" in line}
    return [task for task in TASKS if task in timed]


def timing(section: Section) -> str:
    tasks = timed_tasks(section)
    if not tasks:
        return ""
    rounds = {len(x["rounds"]) for x in section.of("latency") if "rounds" in x}
    lines = section.of("latency")
    counts = {x["n_test"] for x in lines if "ms" in x}
    dtypes = {x["encoder_dtype"] for x in lines if x.get("encoder_dtype")}
    rounded = f", the encoder in {listed(sorted(dtypes))}" if dtypes else ""
    return (
        f"\nMilliseconds per text in calls of one text and of 64, encoder and search "
        f"included, average of {listed(tasks)}, {span(counts)} texts of each{rounded}. "
        "The methods take turns, full depth "
        f"again after every few of them; the median of {min(rounds)} rounds, and of "
        "the ratios within a round.\n"
    )


def figure3(section: Section, docs: Path) -> str:
    rows = [
        [
            title,
            number(section.average("table1", m, "score")),
            *latency_cells(section, m),
        ]
        for m, title in TITLES.items()
        if section.of("latency", m)
    ]
    if not timed_tasks(section):
        return ""
    image = f"images/paper-figure3-{section.slug}.png"
    draw_latency(section, timed_tasks(section), TITLES, docs / image)
    head = ["method", "accuracy", *LATENCY_HEAD]
    return f"![Latency]({image})\n\n" + table(head, rows) + timing(section)


def at_a_glance(section: Section) -> str:
    """Return the table at a glance: the published systems beside both forms of ours."""
    layers = {x["n_layers"] for x in section.of("table1") if "n_layers" in x}
    rows = []
    for method in SYSTEMS:
        if not section.of("table1", method) and not section.of("latency", method):
            continue
        accuracy = section.average("table1", method, "score")
        exits = section.average("table1", method, "mean_exit")
        _, alone, _, batched = latency_cells(section, method)
        rows.append([TITLES[method], number(accuracy), number(exits), alone, batched])
    head = ["method", "accuracy", f"layers of {max(layers, default=0)}"]
    return table([*head, "time, one text", "time, 64 texts"], rows)
