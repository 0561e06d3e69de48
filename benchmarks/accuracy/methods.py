"""The methods that are compared, and what each answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.accuracy.problem import NONE, Problem, encode_anew, encode_once
from benchmarks.peers import (
    LinearProbe,
    on_vectors,
    regression,
    votes_by_folds,
    words_and_regression,
    words_letters_and_regression,
)
from skraee import EarlyExitClassifier, RAEEClassifier

BUDGETS = (0.1, 0.2, 0.25, 0.3, 0.5, 1.0)
RETRIEVAL_BUDGETS = (0.1, 0.3)

MAX_LOSS = "ridge, max_loss 0.01"
CONFIDENCE = "ridge, exit by confidence"
RETRIEVAL = "ridge, exit by retrieval"
FULL_DEPTH = "ridge, full depth"
LAST_PROBE = "linear probe, last layer"
BEST_PROBE = "linear probe, best layer"
ZERO_SHOT = "zero-shot, full depth"
RAEE = "RAEE, MiniLM keys"
MINILM_LR, MPNET_LR = "MiniLM + LR", "mpnet + LR"

MINILM, MPNET = "minilm-l6", "mpnet-base"


@dataclass(frozen=True)
class Answers:
    """What a method says of a test file, and what it costs."""

    labels: np.ndarray
    classes: np.ndarray
    proba: np.ndarray | None = None
    cost: float | None = None
    exits: np.ndarray | None = None


@dataclass(frozen=True)
class Method:
    """A row of the tables.

    Attributes
    ----------
    name : str
    fit : callable
        Returns a classifier that is fitted to a problem.
    class_weight : None or "balanced"
    budget : float or None
    encoder : str or None
        The model folder of the sentence encoder whose vectors it reads.
    cost : float or None
        Share of the backbone's pass, of a classifier that says no exits.
    has_proba : bool
        Whether its probabilities are meant as such.
    """

    name: str
    fit: Callable[[Problem], Any]
    class_weight: str | None = None
    budget: float | None = None
    encoder: str | None = None
    cost: float | None = None
    has_proba: bool = True


def methods(problem: Problem) -> list[Method]:
    """Return all methods of a problem; nothing is fitted yet."""
    weighted = peers if problem.backbone == NONE else readouts
    found = [method for weight in problem.weightings for method in weighted(weight)]
    if problem.backbone == NONE:
        vote = partial(on_encoder, MINILM, lambda p: votes_by_folds(len(p.train[0])))
        name = "MiniLM + k-NN, k by folds"
        found.append(Method(name, vote, encoder=MINILM, has_proba=False))
    elif problem.label_words is not None:
        found += [
            Method(ZERO_SHOT, zero_shot),
            Method("RAEE, depth-0 keys", lambda p: p.raee()),
            Method(RAEE, lambda p: p.raee(encoder=encode_anew(MINILM))),
            Method(
                f"{RAEE}, calibrated",
                lambda p: p.raee(encoder=encode_anew(MINILM), calibrate=True),
            ),
        ]
    return found


def readouts(weight: str | None) -> list[Method]:
    """Return what is learned on a backbone's states, ours and the linear probes."""
    by_confidence = [
        Method(CONFIDENCE, partial(early_exit, weight, budget), weight, budget)
        for budget in BUDGETS
    ]
    by_retrieval = [
        Method(RETRIEVAL, partial(retrieval, weight, budget), weight, budget)
        for budget in RETRIEVAL_BUDGETS
    ]
    return [
        Method(MAX_LOSS, partial(early_exit, weight, None), weight),
        *by_confidence,
        Method(FULL_DEPTH, partial(full_depth, weight), weight),
        *by_retrieval,
        Method(LAST_PROBE, partial(probe, weight, "last"), weight, cost=1.0),
        Method(BEST_PROBE, partial(probe, weight, "best"), weight, cost=1.0),
    ]


def peers(weight: str | None) -> list[Method]:
    """Return the peers that have class weights and no backbone of ours."""
    words, letters = words_and_regression, words_letters_and_regression
    found = [
        Method("TF-IDF of words + LR", partial(on_texts, words, weight), weight),
        Method(
            "TF-IDF of words and letters + LR",
            partial(on_texts, letters, weight),
            weight,
        ),
    ]
    for name, encoder in ((MINILM_LR, MINILM), (MPNET_LR, MPNET)):
        fit = partial(on_encoder, encoder, lambda _: regression(weight))
        found.append(Method(name, fit, weight, encoder=encoder))
    return found


def answers_of(method: Method, model: Any, X: list[str]) -> Answers:
    """Ask a fitted classifier once."""
    classes = model.classes_
    if not method.has_proba:
        return Answers(model.predict(X), classes)
    if not isinstance(model, EarlyExitClassifier | RAEEClassifier):
        proba = model.predict_proba(X)
        return Answers(classes[proba.argmax(axis=1)], classes, proba, method.cost)
    proba, exits = model.predict_proba(X, return_exit_layers=True)
    cost = float(model.cost_[exits].mean())
    return Answers(classes[proba.argmax(axis=1)], classes, proba, cost, exits)


# Ours


def early_exit(
    weight: str | None, budget: float | None, problem: Problem
) -> EarlyExitClassifier:
    return problem.early_exit(class_weight=weight, budget=budget)


def full_depth(weight: str | None, problem: Problem) -> EarlyExitClassifier:
    # Nothing stops before: a probability may round to 1.
    clf = problem.early_exit(class_weight=weight, threshold=1.0)
    clf.set_params(min_exit=clf.n_layers_)
    return clf


def retrieval(weight: str | None, budget: float, problem: Problem) -> RAEEClassifier:
    return problem.raee(readout="ridge", class_weight=weight, budget=budget)


def zero_shot(problem: Problem) -> RAEEClassifier:
    clf = problem.raee()
    clf.set_params(min_exit=clf.n_layers_)
    return clf


# The peers


def probe(weight: str | None, depth: Any, problem: Problem) -> LinearProbe:
    return LinearProbe(problem.reader(), depth, weight).fit(*problem.train)


def on_texts(make: Callable[..., Any], weight: str | None, problem: Problem) -> Any:
    return make(weight).fit(*problem.train)


def on_encoder(encoder: str, make: Callable[[Problem], Any], problem: Problem) -> Any:
    model = on_vectors(encode_once(encoder), make(problem))
    return model.fit(*problem.train)
