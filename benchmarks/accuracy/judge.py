"""Accuracy and cost of every method, a line for each test file."""

from __future__ import annotations

from typing import Any

from sklearn.metrics import accuracy_score, matthews_corrcoef

from benchmarks.accuracy.methods import Answers, Method, methods
from benchmarks.accuracy.problem import Problem
from benchmarks.data import Labelled, read_task
from benchmarks.lines import Line, Lines

NAMING = ("backbone", "task", "test", "seed", "method", "class_weight", "budget")


def judge(problem: Problem, lines: Lines) -> None:
    """Run all methods on a problem, except those that stand in the file already."""
    for method in methods(problem):
        names = names_left(problem, method, lines)
        if not names:
            continue
        answer = method.fit(problem)
        for name in names:
            X, y = read_task(name["test"], "test")
            lines.add(**name, **scores(problem, answer(X), (X, y)))


def names_left(problem: Problem, method: Method, lines: Lines) -> list[Line]:
    """Return the names of the lines that are not there yet."""
    names = [name_of(problem, test, method) for test in problem.tests]
    return [name for name in names if not lines.has(name)]


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


def scores(problem: Problem, answers: Answers, test: Labelled) -> dict[str, Any]:
    (_, y), cost, exits = test, answers.cost, answers.exits
    return {
        "accuracy": round(100 * float(accuracy_score(y, answers.labels)), 3),
        "mcc": round(100 * float(matthews_corrcoef(y, answers.labels)), 3),
        "cost": None if cost is None else round(cost, 4),
        "mean_exit": None if exits is None else round(float(exits.mean()), 3),
        "n_fit": len(problem.train[0]),
        "n_test": len(y),
    }
