"""Accuracy and milliseconds per text, of all sides in one run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from sklearn.metrics import accuracy_score

from benchmarks.backbones.problem import Problem
from benchmarks.backbones.sides import LINEAR, Answers, Fitted, sides
from benchmarks.lines import Line, Lines
from benchmarks.timing import clocked

NAMING = (
    "backbone",
    "dtype",
    "template",
    "task",
    "seed",
    "method",
    "budget",
    "n_train",
    "n_test",
)

# Texts that a side answers before the next one's turn, and those before the clock runs.
N_TURN, N_WARM = 500, 32


@dataclass
class Turns:
    """What a side answers, block after block, and how long it takes."""

    side: Fitted
    found: list[Answers] = field(default_factory=list)
    seconds: float = 0.0

    def take(self, texts: list[str]) -> None:
        answers, seconds = clocked(partial(self.side.answer, texts))
        self.found.append(answers)
        self.seconds += seconds

    def figures(self, labels: np.ndarray) -> Line:
        """Return its accuracy, mean share of a full pass, and time."""
        said = np.concatenate([answers.labels for answers in self.found])
        return {
            "accuracy": round(100 * float(accuracy_score(labels, said)), 3),
            "share": round(self.share, 4),
            "ms": round(1_000 * self.seconds / len(labels), 4),
        }

    @property
    def share(self) -> float:
        exits = [answers.exits for answers in self.found if answers.exits is not None]
        if self.side.cost is None or not exits:
            return 1.0
        return float(self.side.cost[np.concatenate(exits)].mean())


def measure(problem: Problem, lines: Lines) -> None:
    """Run what has no line yet, and beside it the whole encoder where there is one."""
    named = [({**problem.name, **side.name}, side) for side in sides(problem)]
    left = [name for name, _ in named if not lines.has(name)]
    if not left:
        return
    wanted = [(n, side) for n, side in named if n in left or side.method == LINEAR]
    texts, labels = problem.test
    turns = in_turns([side.fit() for _, side in wanted], texts)
    found = [
        {**name, **turn.figures(labels)}
        for (name, _), turn in zip(wanted, turns, strict=True)
    ]
    encoder = next((line["ms"] for line in found if line["method"] == LINEAR), None)
    for line, name in zip(found, [name for name, _ in wanted], strict=True):
        if name in left:
            lines.add(**line, n_fit=len(problem.train[0]), encoder_ms=encoder)


def in_turns(fitted: Sequence[Fitted], texts: list[str]) -> list[Turns]:
    """Let all answer the same blocks of texts, one after the other."""
    turns = [Turns(side) for side in fitted]
    for side in fitted:
        side.answer(texts[:N_WARM])
    for block in blocks(texts):
        for turn in turns:
            turn.take(block)
    return turns


def blocks(texts: list[str]) -> Iterator[list[str]]:
    """Cut texts into blocks of nearly the same size, of N_TURN at most."""
    n_blocks = -(-len(texts) // N_TURN)
    for part in np.array_split(np.arange(len(texts)), n_blocks):
        yield [texts[i] for i in part]
