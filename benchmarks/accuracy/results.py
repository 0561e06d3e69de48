"""Two files that belong together: lines of results, and the answers behind them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.metrics import accuracy_score, matthews_corrcoef

from benchmarks.accuracy.methods import Answers, Method
from benchmarks.accuracy.problem import Problem
from benchmarks.calibration import calibration_error, log_proba_of_class
from benchmarks.lines import Line, Lines, reason_of, show
from benchmarks.per_text import TextAnswers, TextLines

NAMING = ("backbone", "task", "test", "seed", "method", "class_weight", "budget")


@dataclass(frozen=True)
class Results:
    """A run has a line of results, and a line of answers to every test text.

    The answers are written first. A run that lacks one of the two, because its process
    was ended between them, is not done; what is written again counts in the place of
    what was there.
    """

    lines: Lines
    texts: TextLines

    @classmethod
    def at(cls, path: Path) -> Self:
        """Return those of a file of results, and the answers in the file beside it."""
        texts = path.with_name(f"{path.stem}_texts.jsonl")
        return cls(Lines(path, NAMING, retry=True, on_add=show), TextLines(texts))

    def missing(self, names: Iterable[Line]) -> list[Line]:
        """Return the names of the runs that are not done."""
        key_of = self.lines.key_of
        judged = {key_of(line) for line in self.lines if "accuracy" in line}
        done = judged & {key_of(name) for name in self.texts.names()}
        return [name for name in names if key_of(name) not in done]

    def add(self, name: Line, answers: Answers, y: np.ndarray, **more: Any) -> None:
        """Write what a run answers, then how good that is."""
        of_texts = TextAnswers.of(y, answers.labels, answers.proba, answers.classes)
        self.texts.add(name, of_texts)
        self.lines.add(**name, **scores(answers, y), **more)

    def add_failed(self, names: Iterable[Line], error: Exception) -> None:
        """Write why runs failed; they are not done."""
        for name in names:
            self.lines.add(**name, failed=reason_of(error))


def name_of(problem: Problem, test: str, method: Method) -> Line:
    return {
        "backbone": problem.backbone,
        "task": problem.task,
        "test": test,
        "seed": problem.seed,
        "method": method.name,
        "class_weight": method.class_weight,
        "budget": method.budget,
    }


def scores(answers: Answers, y: np.ndarray) -> dict[str, Any]:
    """Return what a line says of the answers to texts of these labels."""
    labels, cost, exits = answers.labels, answers.cost, answers.exits
    return {
        "accuracy": round(100 * float(accuracy_score(y, labels)), 3),
        "mcc": round(100 * float(matthews_corrcoef(y, labels)), 3),
        **calibration(answers, y),
        "cost": None if cost is None else round(cost, 4),
        "mean_exit": None if exits is None else round(float(exits.mean()), 3),
        "n_test": len(y),
    }


def calibration(answers: Answers, y: np.ndarray) -> dict[str, float | None]:
    """Return log-loss and expected calibration error, where there are probabilities."""
    if answers.proba is None:
        return {"log_loss": None, "ece": None}
    known = answers.proba, answers.classes, y
    return {
        "log_loss": round(-float(log_proba_of_class(*known).mean()), 4),
        "ece": round(calibration_error(*known), 4),
    }
