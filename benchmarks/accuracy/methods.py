"""The methods that are compared, and what each answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.accuracy.problem import Problem
from benchmarks.peers import on_vectors, regression, votes, words_and_regression

BUDGETS = (0.1, 0.2, 0.3, 0.5, 1.0)
EXITS = ("confidence", "retrieval")


@dataclass(frozen=True)
class Answers:
    """What a method says of a test file, and what it costs."""

    labels: np.ndarray
    cost: float | None = None
    exits: np.ndarray | None = None


Answer = Callable[[list[str]], Answers]


@dataclass(frozen=True)
class Method:
    """A row of the tables; `fit` makes what answers texts."""

    name: str
    fit: Callable[[Problem], Answer]
    class_weight: str | None = None
    budget: float | None = None


def methods(problem: Problem) -> list[Method]:
    """Return all methods of a problem; nothing is fitted yet."""
    return [
        *(m for weight in problem.weightings for m in weighted(weight)),
        Method("MiniLM + k-NN vote", vote),
        Method("zero-shot, full depth", full_depth),
        Method("RAEE, depth-0 keys", raee),
        Method("RAEE, MiniLM keys", lambda p: raee(p, encoder=p.encoder)),
    ]


def weighted(weight: str | None) -> list[Method]:
    """Return the methods that have `class_weight`."""
    exits = [
        Method(
            f"ridge, exit by {exit_by}",
            partial(ridge, class_weight=weight, exit_by=exit_by, budget=budget),
            weight,
            budget,
        )
        for exit_by in EXITS
        for budget in BUDGETS
    ]
    return [
        Method("ridge, full depth", partial(ridge_to_the_end, weight), weight),
        *exits,
        Method("TF-IDF + logistic regression", partial(tfidf, weight), weight),
        Method("MiniLM + logistic regression", partial(linear, weight), weight),
    ]


# Ours


def full_depth(problem: Problem) -> Answer:
    clf = problem.raee()
    return lambda X: Answers(at_full_depth(clf, X), cost=1.0)


def raee(problem: Problem, **params: Any) -> Answer:
    return partial(stopped, problem.raee(**params))


def ridge(problem: Problem, exit_by: str, **params: Any) -> Answer:
    return partial(stopped, problem.ridge(exit_by, **params))


def ridge_to_the_end(weight: str | None, problem: Problem) -> Answer:
    # This one reads words and keys too, so that every other finds its texts read.
    clf = problem.raee(readout="ridge", class_weight=weight)

    def answer(X: list[str]) -> Answers:
        return Answers(at_full_depth(clf, X), 1.0, np.full(len(X), clf.n_layers_))

    return answer


def stopped(clf: Any, X: list[str]) -> Answers:
    clf.layer_proba(X)  # kept in the store, so that other methods find it
    labels, exits = clf.predict(X, return_exit_layers=True)
    return Answers(labels, float(clf.cost_[exits].mean()), exits)


def at_full_depth(clf: Any, X: list[str]) -> np.ndarray:
    labels: np.ndarray = clf.classes_[clf.layer_proba(X)[:, -1].argmax(axis=1)]
    return labels


# The peers


def tfidf(weight: str | None, problem: Problem) -> Answer:
    return answers_of(words_and_regression(weight), problem)


def linear(weight: str | None, problem: Problem) -> Answer:
    return answers_of(on_vectors(problem.encode, regression(weight)), problem)


def vote(problem: Problem) -> Answer:
    return answers_of(on_vectors(problem.encode, votes()), problem)


def answers_of(model: Any, problem: Problem) -> Answer:
    model.fit(*problem.train)
    return lambda X: Answers(model.predict(X))
