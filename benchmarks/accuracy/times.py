"""Milliseconds per text of all methods, which take turns on the same new texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from typing import Any

from benchmarks.accuracy.methods import BUDGETS, EXITS
from benchmarks.accuracy.problem import ENCODER, Problem
from benchmarks.data import backbone_folder, read_task, sample
from benchmarks.lines import Lines
from benchmarks.peers import (
    encoding_by,
    on_vectors,
    regression,
    votes,
    words_and_regression,
)
from benchmarks.timing import alternate

N_TIMED, N_ROUNDS = 128, 3

Predict = Callable[[list[str]], Any]


def measure_times(problem: Problem, lines: Lines) -> None:
    """Time all methods on texts that no store knows."""
    X = sample(*read_task(problem.task, "test"), N_TIMED, seed=0)[0]
    named = [*ours(problem), *peers(problem)]
    runs = {name: partial(predict, X) for name, predict in named}
    seconds = alternate(runs, N_ROUNDS)
    per_text = {k: round(1000 * median(v) / len(X), 3) for k, v in seconds.items()}
    lines.add(
        backbone=problem.backbone, task=problem.task, times=per_text, texts=len(X)
    )


def ours(problem: Problem) -> Iterator[tuple[str, Predict]]:
    for exit_by in EXITS:
        for budget in BUDGETS:
            clf = problem.ridge(exit_by, budget=budget)
            name = f"ridge, exit by {exit_by}, {budget}"
            yield name, clf.set_params(memory=None).predict
    yield "RAEE, depth-0 keys", problem.raee().set_params(memory=None).predict


def peers(problem: Problem) -> Iterator[tuple[str, Predict]]:
    """Yield the peers; those that encode once more with an encoder in bfloat16."""
    from sentence_transformers import SentenceTransformer

    words = words_and_regression(None).fit(*problem.train)
    yield "TF-IDF + logistic regression", words.predict
    halved = SentenceTransformer(str(backbone_folder(ENCODER))).bfloat16()
    for suffix, encode in (
        ("", problem.encoder.encode),
        (", bfloat16", halved.encode),
    ):
        for name, classifier in (
            ("MiniLM + logistic regression", regression(None)),
            ("MiniLM + k-NN vote", votes()),
        ):
            model = on_vectors(problem.encode, classifier).fit(*problem.train)
            yield name + suffix, encoding_by(model, encode).predict
