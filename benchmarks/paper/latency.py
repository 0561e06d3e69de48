"""How long every method takes, beside full depth in the same rounds."""

from __future__ import annotations

from statistics import median
from typing import Any

import numpy as np

from benchmarks.data import read_task, sample
from benchmarks.lines import Line, reason_of
from benchmarks.paper.case import Case
from benchmarks.paper.kept import fitted
from benchmarks.timing import seconds_of

N_TIMED = 256  # texts


def timed_texts(case: Case) -> list[str]:
    return sample(*read_task(case.task, "test"), N_TIMED, case.seed)[0]


def timed(
    case: Case, methods: list[str], texts: list[str], batch: int, n_rounds: int
) -> dict[str, Line]:
    """Time methods in turns with full depth; milliseconds per text.

    Encoder and search are part of it. No store is asked, so every call is a real run.
    """
    models = {"full": fitted(case, "full")[0]}
    milliseconds(models["full"], texts, batch)  # warms up
    found: dict[str, Line] = {}
    for method in methods:
        try:
            model, _ = fitted(case, method)
            milliseconds(model, texts, batch)
        except Exception as error:
            found[method] = {"failed": reason_of(error)}
        else:
            models[method] = model
    rounds = [
        {name: milliseconds(model, texts, batch) for name, model in models.items()}
        for _ in range(n_rounds)
    ]
    for method in [m for m in methods if m not in found]:
        found[method] = beside_full_depth([(t[method], t["full"]) for t in rounds])
    return found


def beside_full_depth(rounds: list[tuple[float, float]]) -> Line:
    """Return the medians of rounds: a method's time and that of full depth."""
    return {
        "ms": round(median(own for own, _ in rounds), 3),
        "ms_full": round(median(full for _, full in rounds), 3),
        "ratio": round(median(own / full for own, full in rounds), 4),
        "rounds": np.round(rounds, 3).tolist(),
    }


def milliseconds(model: Any, texts: list[str], batch: int) -> float:
    """Answer texts in calls of `batch`; return milliseconds per text."""

    def answer() -> None:
        for first in range(0, len(texts), batch):
            model.predict(texts[first : first + batch])

    return 1_000 * seconds_of(answer) / len(texts)
