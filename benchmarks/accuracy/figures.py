"""What the rows of a table say: means over tasks and seeds of the lines at hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from statistics import mean

from benchmarks.accuracy.methods import (
    BEST_PROBE,
    CONFIDENCE,
    FULL_DEPTH,
    LAST_PROBE,
    MAX_LOSS,
    MINILM_LR,
    MPNET_LR,
    RETRIEVAL,
    ZERO_SHOT,
)
from benchmarks.accuracy.problem import NONE
from benchmarks.accuracy.results import NAMING
from benchmarks.accuracy.setfit import SETFIT
from benchmarks.data import ALL_TASKS, TASKS
from benchmarks.lines import Line

#: Beginnings of the methods' names, in the order of the rows.
ORDER = (
    ZERO_SHOT,
    "RAEE, depth-0 keys",
    "RAEE, MiniLM keys",
    "TF-IDF of words + LR",
    "TF-IDF of words and letters + LR",
    "MiniLM + k-NN",
    MINILM_LR,
    MPNET_LR,
    SETFIT,
    LAST_PROBE,
    BEST_PROBE,
    RETRIEVAL,
    CONFIDENCE,
    MAX_LOSS,
    FULL_DEPTH,
)

Named = tuple[str, float | None]  # method and budget
ByTask = dict[str, Line]


@dataclass(frozen=True)
class Row:
    """What there is of a method.

    Attributes
    ----------
    named : tuple of method and budget
    seeds : dict of seed to dict of task, or "task -> other task", to line
    """

    named: Named
    seeds: dict[int, ByTask]

    def whole(self, tasks: Collection[str]) -> list[ByTask]:
        """Return the lines of the seeds that have all the tasks."""
        wanted = set(tasks)
        return [
            {task: own[task] for task in tasks}
            for own in self.seeds.values()
            if wanted <= own.keys()
        ]

    def means(self, field: str, tasks: Collection[str]) -> list[float]:
        """Return the mean of a field over the tasks, for each seed that has all."""
        by_seed = [[line[field] for line in own.values()] for own in self.whole(tasks)]
        return [mean(values) for values in by_seed if None not in values]

    @property
    def most_tasks(self) -> tuple[str, ...]:
        """Return all ten tasks, or the eight where there are no ten."""
        return ALL_TASKS if self.whole(ALL_TASKS) else TASKS


def current(lines: Iterable[Line]) -> list[Line]:
    """Return the last line of each run that has figures."""
    found = {
        tuple(line[field] for field in NAMING): line
        for line in lines
        if "accuracy" in line
    }
    return list(found.values())


def backbones_of(lines: Iterable[Line]) -> list[str]:
    """Return the backbones that have lines, in their order."""
    return [b for b in dict.fromkeys(x["backbone"] for x in lines) if b != NONE]


def rows_of(
    lines: Iterable[Line], backbone: str, class_weight: str | None = None
) -> list[Row]:
    """Return the rows of a backbone, and of the peers that have none, in order."""
    found: dict[Named, dict[int, ByTask]] = defaultdict(lambda: defaultdict(dict))
    for line in lines:
        own = line["backbone"] in (backbone, NONE)
        if own and line["class_weight"] == class_weight:
            seeds = found[line["method"], line["budget"]]
            seeds[line["seed"]][test_of(line["task"], line["test"])] = line
    return [Row(named, found[named]) for named in sorted(found, key=place_of)]


def test_of(task: str, test: str) -> str:
    """Return what the test on a task's own or another test file is called."""
    return task if test == task else f"{task} -> {test}"


def place_of(named: Named) -> tuple[int, str, float]:
    """Return what rows are sorted by; a method that is not known comes last."""
    method, budget = named
    places = [i for i, name in enumerate(ORDER) if method.startswith(name)]
    return (places[0] if places else len(ORDER), method, budget or 0.0)


def times_by_task(lines: Iterable[Line], backbone: str) -> dict[str, dict[str, float]]:
    """Return the milliseconds per text of each timed task, the last line of each."""
    return {
        line["task"]: line["times"]
        for line in lines
        if "times" in line and line["backbone"] == backbone
    }


def mean_times(times: dict[str, dict[str, float]]) -> dict[str, float]:
    """Average over the timed tasks among the eight, which all methods have."""
    shared = [own for task, own in times.items() if task in TASKS]
    if not shared:
        return {}
    return {
        key: mean(own[key] for own in shared)
        for key in shared[0]
        if all(key in own for own in shared)
    }
