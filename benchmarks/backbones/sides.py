"""What takes turns on the test texts of a backbone and a task."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.backbones.problem import Problem
from benchmarks.backbones.prompts import template_of
from benchmarks.lines import Line
from benchmarks.peers import on_vectors, regression
from skraee import EarlyExitClassifier

BUDGETS = (0.1, 0.2, 0.3, 0.5)

EXIT = "exit by confidence"
FULL = "full depth"
LINEAR = "embeddings + logistic regression"


@dataclass(frozen=True)
class Answers:
    """What a side says of some texts, and where each stopped."""

    labels: np.ndarray
    exits: np.ndarray | None = None


Answer = Callable[[list[str]], Answers]


@dataclass(frozen=True)
class Fitted:
    """What answers texts; `cost` (m + 1,) is the share of a pass at each depth."""

    answer: Answer
    cost: np.ndarray | None = None


@dataclass(frozen=True)
class Side:
    """A line of the results; `fit` makes what answers texts."""

    method: str
    template: str | None
    budget: float | None
    fit: Callable[[], Fitted]

    @property
    def name(self) -> Line:
        return {
            "template": self.template,
            "method": self.method,
            "budget": self.budget,
        }


def sides(problem: Problem) -> Iterator[Side]:
    """Yield all sides, those of a template together; nothing is fitted yet."""
    if problem.is_sentence_encoder:
        yield Side(LINEAR, None, None, partial(linear, problem))
    for template in problem.templates:
        for budget in BUDGETS:
            fit = partial(early_exit, problem, template, budget=budget)
            yield Side(EXIT, template, budget, fit)
        yield Side(FULL, template, None, partial(full_depth, problem, template))


def early_exit(problem: Problem, template: str, **params: Any) -> Fitted:
    clf = fitted(problem, template, **params)
    return Fitted(partial(answers_of, clf), clf.cost_)


def full_depth(problem: Problem, template: str) -> Fitted:
    clf = fitted(problem, template, threshold=1.0)
    # Nothing stops before: a probability may round to 1.
    clf.set_params(min_exit=clf.n_layers_)
    return Fitted(partial(answers_of, clf), clf.cost_)


def fitted(problem: Problem, template: str, **params: Any) -> EarlyExitClassifier:
    """Fit; the texts pass the backbone for the first classifier of a template."""
    clf = EarlyExitClassifier(
        str(problem.folder),
        template_of(template, problem.task, problem.loaded),
        class_weight=problem.class_weight,
        dtype=problem.dtype,
        **params,
    )
    clf.fit(*problem.train).set_params(memory=None)  # new texts always run
    return clf


def answers_of(clf: EarlyExitClassifier, X: list[str]) -> Answers:
    return Answers(*clf.predict(X, return_exit_layers=True))


def linear(problem: Problem) -> Fitted:
    model = on_vectors(problem.encode, regression(problem.class_weight))
    model.fit(*problem.train)
    return Fitted(lambda X: Answers(model.predict(X)))
