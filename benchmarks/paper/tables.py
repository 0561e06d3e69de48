"""Tables 1 and 8 of docs/paper.md: accuracy and exits of every method."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.data import TASKS
from benchmarks.pages import table
from benchmarks.paper.methods import METHODS
from benchmarks.paper.section import Cells, Section, average_of

TITLES = {name: method.title for name, method in METHODS.items()} | {
    "setfit": "SetFit (gradient training)"
}
PROMISE = "it promises the answers of the full depth, no better ones"
REASONS = {
    "deebert": "the backbone is frozen, as in the paper's comparison, and only the "
    "ramps learn, with DeeBERT's own learning rate of 2e-5",
    "adainfer-gold": "its two features are of the softmax over the vocabulary, not of "
    "the label words that give the answer",
    "adainfer": "its support vector machine accepts layers at which most texts have "
    "their final answer; where one class prevails in these, the first layer, which "
    "gives that class to all texts, is accepted too",
    "calm-vocab": "a lead of 0.9 is confidence, not correctness",
    "calm-vocab-calibrated": PROMISE,
    "calm-state": PROMISE,
    "calm-classifier": PROMISE,
    "calm": "a lead of 0.9 between label words is confidence, not correctness",
    "calm-calibrated": PROMISE,
    "hashee": "it was made for backbones that are fine-tuned with their tokens "
    "stopping, and this one is frozen",
    "sleb-20": "a fifth of the blocks is gone and nothing is trained afterwards",
    "sleb": "60 % of the blocks are gone and nothing is trained afterwards",
}


def table1(section: Section) -> str:
    rows = [
        row(title, section.cells("table1", m, "score"), section, failed(section, m))
        for m, title in TITLES.items()
        if section.of("table1", m)
    ]
    for title, reported in section.reported.items():
        for method, values in reported.scores.items():
            cells = dict(zip(TASKS, values, strict=True))
            rows.append(row(f"*{title}: {system(method)}*", cells, section))
    if not section.tasks:
        return ""
    return table(["method", *section.tasks, "average"], rows) + notes(section)


def system(method: str) -> str:
    """Return a method's name without the settings that are ours."""
    return TITLES[method].partition(",")[0]


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
        if n_texts := {x["n_calibration"] for x in lines if x.get("n_calibration")}:
            found.append(
                f"- {title}: the blocks were chosen on {listed(map(str, n_texts))} "
                "texts."
            )
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


def span(numbers: Iterable[int]) -> str:
    """Return a number, or from which to which they go."""
    known = list(numbers)
    least, most = min(known, default=0), max(known, default=0)
    return f"{most:,}" if least == most else f"{least:,} to {most:,}"


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
            named = f"*{title}: {system(method)}, of {reported.n_layers}*"
            share = number(value / reported.n_layers, 2)
            rows.append([named, *blank, number(value, 2), share])
    head = ["method", *section.tasks, f"average of {max(layers)}", "cost"]
    return table(head, rows) + (
        "\nCost is the counted share of a full pass of the backbone, without encoder, "
        "head and search; for the paper's rows exit / layers. The peers run no layer.\n"
    )
