"""The tables of docs/accuracy.md and of the README."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from statistics import mean

from benchmarks.accuracy.compared import (
    OURS,
    SAME_MODEL,
    SCOPES,
    TEN,
    Comparisons,
    Peer,
    rows_against,
)
from benchmarks.accuracy.figures import Named, Row, test_of
from benchmarks.accuracy.methods import MAX_LOSS, MINILM_LR, MPNET_LR
from benchmarks.accuracy.problem import ELSEWHERE, NONE
from benchmarks.accuracy.setfit import SETFIT
from benchmarks.accuracy.times import shown_key
from benchmarks.data import ALL_TASKS, TASKS, TITLES, UNEQUAL
from benchmarks.lines import Line
from benchmarks.pages import spread, table

AVERAGES = ("accuracy", "eight tasks", "log-loss", "ECE", "cost", "ms", "seeds")


def averages(rows: Iterable[Row], times: Mapping[str, float]) -> str:
    """Return a row for each method that has all ten tasks, or the eight; else none."""
    shown = [[*named(row.named), *averaged(row, times)] for row in with_mean(rows)]
    return table(["method", "budget", *AVERAGES], shown) if shown else ""


def headline(
    rows: Iterable[Row],
    times: Mapping[str, float],
    found: Comparisons,
    backbone: str,
) -> str:
    """Return the same, with the verdict on the ten tasks beside it."""
    shown = []
    for row in with_mean(rows):
        against = ""
        if row.named in OURS:
            difference = found.of(row.named, backbone, SAME_MODEL, SCOPES[TEN])
            against = "" if difference is None else str(difference)
        shown.append([*named(row.named), *averaged(row, times), against])
    return table(["method", "budget", *AVERAGES, f"less {MPNET_LR}"], shown)


def with_mean(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row.whole(row.most_tasks)]


def averaged(row: Row, times: Mapping[str, float]) -> list[str]:
    """Return the cells of `AVERAGES`, empty where something is not known."""
    tasks = row.most_tasks
    ten, eight = (row.means("accuracy", own) for own in (ALL_TASKS, TASKS))
    ms = times.get(shown_key(*row.named))
    return [
        spread(ten) if ten else "",
        spread(eight) if eight else "",
        written(row.means("log_loss", tasks), "{:.2f}"),
        written(row.means("ece", tasks), "{:.3f}"),
        written(row.means("cost", tasks), "{:.2f}"),
        "" if ms is None else f"{ms:.2f}",
        n_seeds(len(ten), len(eight)),
    ]


def written(values: Collection[float], form: str) -> str:
    return form.format(mean(values)) if values else ""


def n_seeds(of_ten: int, of_eight: int) -> str:
    """Return one number where both means have as many seeds, or one has none."""
    found = dict.fromkeys(filter(None, (of_ten, of_eight)))
    return " / ".join(map(str, found))


def named(name: Named) -> list[str]:
    method, budget = name
    return [method, "" if budget is None else f"{budget:g}"]


Cell = Callable[[list[float]], str]


def by_task(
    rows: Iterable[Row], fields: Mapping[str, tuple[str, str]], cell: Cell
) -> str:
    """Return a column for each head and task, with a field of its lines.

    `fields` are the columns: head -> task and field.
    """
    shown = []
    for row in rows:
        cells = []
        for task, field in fields.values():
            values = row.means(field, [task])
            cells.append(cell(values) if values else "")
        if any(cells):
            shown.append([*named(row.named), *cells])
    return table(["method", "budget", *fields], shown)


def two_digits(values: list[float]) -> str:
    return f"{mean(values):.2f}"


def accuracies(rows: Iterable[Row]) -> str:
    fields = {task: (task, "accuracy") for task in ALL_TASKS}
    return by_task(rows, {**fields, "cola, MCC": ("cola", "mcc")}, spread)


def log_losses(rows: Iterable[Row]) -> str:
    return by_task(rows, {t: (t, "log_loss") for t in ALL_TASKS}, two_digits)


def weights_beside(plain: Iterable[Row], balanced: Iterable[Row]) -> str:
    """Return the accuracies of the unequal tasks without and with class weights."""
    weighted = {row.named: row for row in balanced}
    shown = []
    for row in plain:
        cells = []
        for task in UNEQUAL:
            for own in (row, weighted.get(row.named)):
                values = own.means("accuracy", [task]) if own is not None else []
                cells.append(spread(values) if values else "")
        if any(cells):
            shown.append([*named(row.named), *cells])
    heads = [head for task in UNEQUAL for head in (task, f"{task}, balanced")]
    return table(["method", "budget", *heads], shown)


def against(found: Comparisons, backbone: str, peer: Peer) -> str:
    """Return the differences of our rows and a peer; nothing without answers."""
    rows = [
        [*named(ours), *cells] for ours, cells in rows_against(found, backbone, peer)
    ]
    return table(["method", "budget", *SCOPES], rows) if rows else ""


def out_of_domain(rows: Iterable[Row]) -> str:
    """Return the accuracies on other tasks' test files, where there are some."""
    pairs = [test_of(task, test) for task, test in ELSEWHERE.items()]
    found = [row for row in rows if any(row.whole([pair]) for pair in pairs)]
    fields = {pair: (pair, "accuracy") for pair in pairs}
    return by_task(found, fields, spread) if found else ""


def timed(times: Mapping[str, Mapping[str, float]]) -> str:
    """Return milliseconds per text, a column for each task."""
    names = dict.fromkeys(name for own in times.values() for name in own)
    rows = [
        [name, *(f"{own[name]:.2f}" if name in own else "" for own in times.values())]
        for name in names
    ]
    return table(["method", *times], rows)


def set_fit(lines: Collection[Line], backbones: Collection[str]) -> str:
    """Return SetFit's rows beside what else is fitted on the same texts."""
    plain = [x for x in lines if x["test"] == x["task"] and not x["class_weight"]]
    trained = [x for x in plain if x["method"].startswith(SETFIT)]
    beside = [(NONE, MINILM_LR), (NONE, MPNET_LR), *((b, MAX_LOSS) for b in backbones)]
    rows = []
    for method, task in dict.fromkeys((x["method"], x["task"]) for x in trained):
        own = [x for x in trained if (x["method"], x["task"]) == (method, task)]
        seeds = [x["seed"] for x in own]
        cells = [spread([x["accuracy"] for x in own])]
        for backbone, other in beside:
            found = [
                x["accuracy"]
                for x in plain
                if (x["backbone"], x["task"], x["method"]) == (backbone, task, other)
                and x["seed"] in seeds
            ]
            cells.append(spread(found) if len(found) == len(seeds) else "")
        seconds = f"{mean(x['fit_seconds'] for x in own):.0f}"
        rows.append([method, task, str(len(own)), seconds, *cells])
    heads = [
        method if b == NONE else f"{TITLES.get(b, b)}: {method}" for b, method in beside
    ]
    head = ["", "task", "seeds", "seconds to train", "SetFit", *heads]
    return table(head, rows) if rows else ""
