"""Milliseconds per text of all methods, which take turns on the same new texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

from benchmarks.accuracy.methods import Method, methods
from benchmarks.accuracy.problem import NONE, Problem, encode_anew
from benchmarks.accuracy.results import Results
from benchmarks.data import read_test, sample
from benchmarks.lines import Line
from benchmarks.peers import LinearProbe, encoding_by
from benchmarks.timing import alternate

N_TIMED, N_ROUNDS = 256, 3

Predict = Callable[[list[str]], Any]


def measure_times(problem: Problem, results: Results) -> None:
    """Time all methods on texts that no store knows, unless that is done."""
    results.lines.once(name_of_times(problem), partial(times_of_methods, problem))


def times_of_methods(problem: Problem) -> Line:
    X = sample(*read_test(problem.task), N_TIMED, seed=0)[0]
    runs = {key: partial(predict, X) for key, predict in predicts(problem).items()}
    seconds = alternate(runs, N_ROUNDS)
    per_text = {k: round(1000 * median(v) / len(X), 3) for k, v in seconds.items()}
    return {"times": per_text, "texts": len(X)}


def name_of_times(problem: Problem) -> Line:
    return {
        "backbone": problem.backbone,
        "task": problem.task,
        "seed": problem.seed,
        "method": "times",
    }


def predicts(problem: Problem) -> dict[str, Predict]:
    """Return what is timed: the methods without class weights, fitted."""
    peerless = replace(problem, backbone=NONE)
    return {
        key_of(method): predict_anew(method, method.fit(one))
        for one in (problem, peerless)
        for method in methods(one)
        if method.class_weight is None
    }


def key_of(method: Method) -> str:
    """Return what the times of a line have as the name of a row."""
    return shown_key(method.name, method.budget)


def shown_key(name: str, budget: float | None) -> str:
    return name if budget is None else f"{name}, {budget:g}"


def predict_anew(method: Method, model: Any) -> Predict:
    """Return a predict that finds no text read before."""
    if method.encoder is not None:
        encoding_by(model, encode_anew(method.encoder))
    elif isinstance(model, LinearProbe):
        model.set_params(reader__memory=None)
    elif hasattr(model, "memory"):
        model.set_params(memory=None)
    predict: Predict = model.predict
    return predict
