"""What is measured of a method on a task: accuracy, exits, times, sizes, examples.

Every function returns the fields of a line of results/paper.jsonl.
"""

from __future__ import annotations

import pickle
import time
from statistics import median
from typing import Any

import numpy as np
import torch
from paper_lines import Line, reason_of
from paper_methods import METHODS, PEERS, Case, fitted, without_store
from sklearn.metrics import accuracy_score, matthews_corrcoef

from skraee import RAEEClassifier
from skraee.baselines.base import BaselineClassifier

N_EXAMPLES, N_SHOWN = 2, 4  # texts of a task, and neighbours of each

# Accuracy and exits


def judged(case: Case, method: str) -> Line:
    """Fit a method, let it answer the test texts, and score that."""
    model, fit_seconds = fitted(case, method)
    X, y = case.test
    start = time.perf_counter()
    labels, exits = answers(model, X)
    seconds = time.perf_counter() - start
    return {
        **scores(y, labels),
        **depths(model, exits),
        "fit_seconds": round(fit_seconds, 2),
        "predict_seconds": round(seconds, 2),
    }


def answers(model: Any, X: list[str]) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a method's labels, and its exits where it has any."""
    if isinstance(model, (RAEEClassifier, BaselineClassifier)):
        labels, exits = model.predict(X, return_exit_layers=True)
        return labels, exits
    return model.predict(X), None


def scores(y: np.ndarray, labels: np.ndarray) -> Line:
    return {
        "accuracy": round(100 * float(accuracy_score(y, labels)), 3),
        "mcc": round(100 * float(matthews_corrcoef(y, labels)), 3),
    }


def depths(model: Any, exits: np.ndarray | None) -> Line:
    """Return the mean exit and its mean cost as a share of a full pass."""
    if exits is None:
        return {}
    # HashEE's exits are means over tokens, so they lie between depths.
    costs = np.interp(exits, np.arange(len(model.cost_)), model.cost_)
    return {
        "mean_exit": round(float(exits.mean()), 3),
        "n_layers": int(model.n_layers_),
        "cost": round(float(costs.mean()), 4),
        "computed_in": model._fitted.recipe.dtype,
    }


# Latency


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
        pairs = [(taken[method], taken["full"]) for taken in rounds]
        found[method] = {
            "ms": round(median(own for own, _ in pairs), 3),
            "ms_full": round(median(full for _, full in pairs), 3),
            "ratio": round(median(own / full for own, full in pairs), 4),
            "rounds": np.round(pairs, 3).tolist(),
        }
    return found


def milliseconds(model: Any, texts: list[str], batch: int) -> float:
    """Answer texts in calls of `batch`; return milliseconds per text."""
    wait()
    start = time.perf_counter()
    for first in range(0, len(texts), batch):
        model.predict(texts[first : first + batch])
    wait()
    return 1_000 * (time.perf_counter() - start) / len(texts)


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


# RAEE at other settings


def with_k(case: Case, method: str, k: int) -> Line:
    model, _ = fitted(case, method)
    if method == "raee":
        return from_sweeps(case, model.set_params(k=k))
    model.set_params(
        kneighborsclassifier__n_neighbors=k, functiontransformer__func=case.vectors
    )
    return scores(case.test[1], model.predict(case.test[0]))


def with_share(case: Case, method: str) -> Line:
    if method == "raee":
        return from_sweeps(case, fitted(case, method)[0])
    return judged(case, method)


def from_sweeps(case: Case, model: RAEEClassifier) -> Line:
    """Score RAEE without running it: its exits, and what the kept sweeps say there."""
    labels, exits, _ = swept(case, model)
    return {**scores(case.test[1], labels), **depths(model, exits)}


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
    wait()
    start = time.perf_counter()
    model.fit(*case.train)
    wait()
    return {"fit_seconds": round(time.perf_counter() - start, 3), **sizes(model)}


def sizes(model: Any) -> Line:
    """Return bytes: of the whole pickle, and of what retrieval keeps."""
    found = {"bytes": len(pickle.dumps(model))}
    if isinstance(model, RAEEClassifier):
        database = model._fitted.database
        graph = database._neighbor_index()._parts().graph
        found["key_bytes"] = database.keys.nbytes
        found["index_bytes"] = graph._graph.index_file_size() if graph else 0
        found["database_bytes"] = database.proba.nbytes + database.labels.nbytes
    return found


# Texts and their neighbours


def examples(case: Case, mends: bool) -> Line:
    """Explain test texts that RAEE answers rightly and full depth does not, or back."""
    model, _ = fitted(case, "raee")
    X, y = case.test
    labels, _, proba = swept(case, model)
    at_full_depth = model.classes_[proba[:, -1].argmax(axis=1)]
    right, wrong = (labels, at_full_depth) if mends else (at_full_depth, labels)
    rows = np.flatnonzero((right == y) & (wrong != y))[:N_EXAMPLES]
    texts = [X[row] for row in rows]
    peers = {p: fitted(case, p)[0].predict(texts) for p in PEERS if texts}
    shown = []
    for i, row in enumerate(rows):
        found = model.explain(X[row], texts=case.train[0])
        shown.append(
            {
                "text": X[row],
                "label": str(y[row]),
                "full": str(at_full_depth[row]),
                "raee": str(found.label),
                "exit": found.exit_layer,
                **{peer: str(labels[i]) for peer, labels in peers.items()},
                "neighbors": [shown_neighbor(n) for n in found.neighbors[:N_SHOWN]],
            }
        )
    return {"examples": shown}


def shown_neighbor(neighbor: Any) -> Line:
    votes = sorted(neighbor.votes.items(), key=lambda vote: -vote[1])[:3]
    return {
        "text": neighbor.text,
        "label": str(neighbor.label),
        "weight": round(neighbor.weight, 3),
        "votes": {str(depth): round(p, 3) for depth, p in sorted(votes)},
    }


def curves(case: Case) -> Line:
    """Compare the right class's probability by layer with that of the neighbours.

    `distance` is how far a text's curve is from the mean of its neighbours' curves, on
    average over layers and texts; `distance_random` from as many random texts' mean.
    """
    model, _ = fitted(case, "raee")
    X, y = case.test
    _, exits, proba = swept(case, model)
    own = of_right_class(proba, np.searchsorted(model.classes_, y))
    database = model._fitted.database
    stored = of_right_class(database.proba, database.labels)
    near = model.kneighbors(X, return_distance=False)
    random = np.random.default_rng(case.seed).integers(len(stored), size=near.shape)
    return {
        "distance": round(float(np.abs(own - stored[near].mean(1)).mean()), 4),
        "distance_random": round(float(np.abs(own - stored[random].mean(1)).mean()), 4),
        "curves": [
            {
                "text": X[i],
                "label": str(y[i]),
                "exit": int(exits[i]),
                "query": np.round(own[i], 3).tolist(),
                "neighbors": np.round(stored[near[i]], 3).tolist(),
            }
            for i in range(min(N_EXAMPLES, len(X)))
        ],
    }


def of_right_class(proba: np.ndarray, codes: np.ndarray) -> np.ndarray:
    return proba[np.arange(len(proba)), :, codes].astype(float)
