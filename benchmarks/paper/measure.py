"""What is measured of a method on a task: accuracy, exits, fits and sizes.

Every public function returns the fields of a line of results/paper.jsonl.
"""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, matthews_corrcoef

from benchmarks.lines import Line
from benchmarks.paper.case import Case
from benchmarks.paper.chosen import Chosen
from benchmarks.paper.kept import fitted, without_store
from benchmarks.paper.methods import METHODS
from benchmarks.peers import encoding_by
from benchmarks.timing import clocked, seconds_of
from skraee import RAEEClassifier

# Accuracy and exits


def judged(case: Case, method: str) -> Line:
    """Fit a method, let it answer the test texts, and score that."""
    model, fit_seconds = fitted(case, method)
    X, y = case.test
    (labels, exits), seconds = clocked(lambda: answers(model, X))
    return {
        **scores(y, labels),
        **depths(case, model, exits),
        **({"chosen": model.choice_} if isinstance(model, Chosen) else {}),
        "fit_seconds": round(fit_seconds, 2),
        "predict_seconds": round(seconds, 2),
    }


def answers(model: Any, X: list[str]) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a method's labels, and its exits where it has any."""
    if hasattr(model, "n_layers_"):
        labels, exits = model.predict(X, return_exit_layers=True)
        return labels, exits
    return model.predict(X), None


def scores(y: np.ndarray, labels: np.ndarray) -> Line:
    return {
        "accuracy": round(100 * float(accuracy_score(y, labels)), 3),
        "mcc": round(100 * float(matthews_corrcoef(y, labels)), 3),
    }


def depths(case: Case, model: Any, exits: np.ndarray | None) -> Line:
    """Return the mean exit and its mean cost as a share of a full pass."""
    if exits is None:
        return {}
    # HashEE's exits are means over tokens, so they lie between depths.
    costs = np.interp(exits, np.arange(len(model.cost_)), model.cost_)
    return {
        "mean_exit": round(float(exits.mean()), 3),
        "n_layers": int(model.n_layers_),
        "cost": round(float(costs.mean()), 4),
        "computed_in": str(case.loaded.dtype).removeprefix("torch."),
    }


# RAEE at other settings


def with_k(case: Case, method: str, k: int) -> Line:
    model, _ = fitted(case, method)
    if method == "raee":
        return from_sweeps(case, model.set_params(k=k))
    encoding_by(model, case.encode).set_params(kneighborsclassifier__n_neighbors=k)
    return scores(case.test[1], model.predict(case.test[0]))


def with_share(case: Case, method: str) -> Line:
    if method == "raee":
        return from_sweeps(case, fitted(case, method)[0])
    return judged(case, method)


def from_sweeps(case: Case, model: RAEEClassifier) -> Line:
    """Score RAEE without running it: its exits, and what the kept sweeps say there."""
    labels, exits, _ = swept(case, model)
    return {**scores(case.test[1], labels), **depths(case, model, exits)}


def swept(
    case: Case, model: RAEEClassifier
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels (n,), exits (n,) and probabilities (n, m + 1, C) of the test."""
    X, _ = case.test
    exits = model.set_params(memory=case.memory).exit_layers(X)
    proba = model.layer_proba(X)
    best = proba[np.arange(len(X)), exits].argmax(axis=1)
    return model.classes_[best], exits, proba


# Building


def built(case: Case, method: str) -> Line:
    """Time a fit that finds nothing kept; models are loaded before."""
    case.loaded, case.sentence_encoder.encode(case.train[0][:1])
    model = without_store(METHODS[method].make(case), case)
    seconds = seconds_of(lambda: model.fit(*case.train))
    return {"fit_seconds": round(seconds, 3), **sizes(model)}


def sizes(model: Any) -> Line:
    """Return bytes: of the whole pickle, and of what retrieval keeps."""
    found = {"bytes": len(pickle.dumps(model))}
    if isinstance(model, RAEEClassifier):
        database = model._fitted.database  # which has no public name
        found["key_bytes"] = database.keys.nbytes
        found["index_bytes"] = database.index_bytes
        found["database_bytes"] = database.proba.nbytes + database.labels.nbytes
    return found
