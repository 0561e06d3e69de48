"""The tables of docs/paper.md, each from the lines of one backbone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from accuracy_table import table
from paper_figures import draw_curves, draw_latency
from paper_lines import Line
from paper_methods import METHODS, PEERS
from paper_reported import TASKS
from paper_section import Cells, Section, average_of

TITLES = {name: method.title for name, method in METHODS.items()} | {
    "setfit": "SetFit (gradient training)"
}
REASONS = {
    "deebert": "the backbone is frozen, as in the paper's comparison, and only the "
    "ramps learn, with DeeBERT's own learning rate of 2e-5",
    "adainfer": "its support vector machine accepts layers at which most texts have "
    "their final answer; where one class prevails in these, the first layer, which "
    "gives that class to all texts, is accepted too",
    "calm": "a lead of 0.9 between label words is confidence, not correctness",
    "calm-calibrated": "it promises the answers of the full depth, no better ones",
    "hashee": "it was made for backbones that are fine-tuned with their tokens "
    "stopping, and this one is frozen",
    "sleb": "60 % of the blocks are gone and nothing is trained afterwards",
}

# Tables 1 and 8


def table1(section: Section) -> str:
    rows = [
        row(title, section.cells("table1", m, "score"), section, failed(section, m))
        for m, title in TITLES.items()
        if section.of("table1", m)
    ]
    for title, reported in section.reported.items():
        for method, values in reported.scores.items():
            cells = dict(zip(TASKS, values, strict=True))
            rows.append(row(f"*{title}: {TITLES[method]}*", cells, section))
    if not section.tasks:
        return ""
    return table(["method", *section.tasks, "average"], rows) + notes(section)


def row(
    title: str, cells: Cells, section: Section, failures: Iterable[str] = ()
) -> list[str]:
    """Return a row with a cell for each task, and the average."""
    shown = [number(cells.get(t)) for t in section.tasks]
    shown = [
        "failed" if task in failures else cell
        for task, cell in zip(section.tasks, shown, strict=True)
    ]
    return [title, *shown, number(average_of(cells, section.tasks))]


def number(value: float | None, digits: int = 1) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def failed(section: Section, method: str) -> set[str]:
    return {x["task"] for x in section.of("table1", method) if "failed" in x}


def notes(section: Section) -> str:
    """Say what failed, who answers with one class only, and why a baseline is weak."""
    found = [
        f"- {TITLES[line['method']]} failed on {line['task']} ({line['table']}): "
        f"{line['failed']}"
        for line in section.lines
        if "failed" in line
    ]
    full = section.average("table1", "full", "score")
    for method, title in TITLES.items():
        lines = section.of("table1", method)
        constant = [x["task"] for x in lines if x.get("mcc") == 0]
        if constant:
            found.append(f"- {title} gives one class throughout: {listed(constant)}.")
        own = section.average("table1", method, "score")
        if method in REASONS and own is not None and full is not None and own < full:
            found.append(
                f"- {title} is {full - own:.1f} below full depth: {REASONS[method]}."
            )
    return "\n" + "\n".join(found) + "\n" if found else ""


def listed(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def table8(section: Section) -> str:
    rows = []
    for method, title in TITLES.items():
        exits = section.cells("table1", method, "mean_exit")
        if exits:
            cost = section.average("table1", method, "cost")
            rows.append([*row(title, exits, section), number(cost, 2)])
    layers = {x["n_layers"] for x in section.of("table1") if "n_layers" in x}
    if not layers:
        return ""
    blank = [""] * len(section.tasks)
    for title, reported in section.reported.items():
        for method, value in reported.exits.items():
            named = f"*{title}: {TITLES[method]}, of {reported.n_layers}*"
            share = number(value / reported.n_layers, 2)
            rows.append([named, *blank, number(value, 2), share])
    head = ["method", *section.tasks, f"average of {max(layers)}", "cost"]
    return table(head, rows) + (
        "\nCost is the counted share of a full pass of the backbone, without encoder, "
        "head and search; for the paper's rows exit / layers. The peers run no layer.\n"
    )


# Table 2 and latency


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
                cells[1] = number(reported.exits[method])
            rows.append([f"*{title}: {TITLES[method]}*", *cells])
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
    return (
        f"\nMilliseconds per text in calls of one text and of 64, encoder and search "
        f"included, average of {listed(tasks)}. The methods take turns, full depth "
        f"again after every few of them; the median of {min(rounds)} rounds, and of "
        "the ratios within a round.\n"
    )


# Tables 3 and 4


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
    head = [
        f"{100 * s[field]:g} %" if field == "share" else f"{s[field]}" for s in settings
    ]
    return table([field, *head], rows)


def average_at(
    section: Section, name: str, method: str, figure: str, setting: Line
) -> float | None:
    """Return an average at a setting; what no setting changes is taken of Table 1."""
    if section.of(name, method):
        return section.average(name, method, figure, setting)
    return section.average("table1", method, figure)


# Table 5


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
    head = ["method", "fit, s", "index, MiB", "keys, MiB", "database, MiB"]
    return table([*head, "whole pickle, MiB", "average of"], rows) + (
        "\nA fit that finds nothing kept, models loaded before. The index is the HNSW "
        "graph with its copy of the keys and is built anew after unpickling; the "
        "database holds sweeps and labels.\n"
    )


# Tables 9 and 10


def examples(section: Section, name: str) -> str:
    """Return a table of test texts, what each method says, and their neighbours."""
    rows = []
    for line in section.of(name):
        for found in line.get("examples", []):
            said = [found[m] for m in ("label", "full", "raee", *PEERS)]
            near = "<br>".join(map(shown_neighbor, found["neighbors"]))
            text = f"{line['task']}: {plain(found['text'])}"
            rows.append([text, *said, str(found["exit"]), near])
    if not rows:
        return ""
    head = ["text", "label", "full depth", "RAEE", "TF-IDF", "k-NN", "logistic"]
    return table([*head, "exit", "nearest: label, text (layers it votes for)"], rows)


def shown_neighbor(neighbor: Line) -> str:
    votes = ", ".join(neighbor["votes"]) or "none"
    return f"{neighbor['label']}: {plain(neighbor['text'])} ({votes})"


def plain(text: str, width: int = 120) -> str:
    """Return a text that Markdown takes as it is."""
    short = text if len(text) <= width else text[: width - 3] + "..."
    for character in "\\|`*_<>[]$":
        short = short.replace(character, f"&#{ord(character)};")
    return short


# Figures, and SLEB's order


def figure2(section: Section, docs: Path) -> str:
    lines = [line for line in section.of("figure2") if "curves" in line]
    if not lines:
        return ""
    image = f"images/paper-figure2-{section.slug}.png"
    draw_curves(lines, docs / image)
    rows = [
        [line["task"], number(line["distance"], 3), number(line["distance_random"], 3)]
        for line in lines
    ]
    head = ["task", "from the neighbours' mean", "from random texts' mean"]
    return (
        f"![Probability of the right class by layer]({image})\n\nA test text of each "
        "task (bold) and its twelve neighbours: the probability of the right class. "
        "Over all test texts the curves differ, on average over layers:\n\n"
        + table(head, rows)
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
    """Return README's table: the published systems beside both forms of ours."""
    layers = {x["n_layers"] for x in section.of("table1") if "n_layers" in x}
    rows = []
    for method in ("full", *REASONS, "raee", "ridge-confidence"):
        accuracy = section.average("table1", method, "score")
        exits = section.average("table1", method, "mean_exit")
        _, alone, _, batched = latency_cells(section, method)
        rows.append([TITLES[method], number(accuracy), number(exits), alone, batched])
    head = ["method", "accuracy", f"layers of {max(layers, default=0)}"]
    return table([*head, "time, one text", "time, 64 texts"], rows)


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
