"""Texts beside their nearest training texts: Tables 9 and 10, and Figure 2."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.lines import Line
from benchmarks.paper.case import Case
from benchmarks.paper.kept import fitted
from benchmarks.paper.measure import swept
from benchmarks.paper.methods import PEERS
from skraee import RAEEClassifier

N_EXAMPLES, N_SHOWN = 2, 4  # texts of a task, and neighbours of each


def examples(case: Case, mends: bool) -> Line:
    """Explain test texts that RAEE answers rightly and full depth does not, or back."""
    model, _ = fitted(case, "raee")
    X, y = case.test
    labels, _, proba = swept(case, model)
    full = model.classes_[proba[:, -1].argmax(axis=1)]
    right, wrong = (labels, full) if mends else (full, labels)
    rows = np.flatnonzero((right == y) & (wrong != y))[:N_EXAMPLES]
    texts = [X[row] for row in rows]
    peers = {p: fitted(case, p)[0].predict(texts) for p in PEERS if texts}
    shown = []
    for i, row in enumerate(rows):
        said = {"label": str(y[row]), "full": str(full[row])}
        said |= {peer: str(answers[i]) for peer, answers in peers.items()}
        shown.append({**explained(case, model, X[row]), **said})
    return {"examples": shown}


def explained(case: Case, model: RAEEClassifier, text: str) -> Line:
    """Return a text with its exit and the nearest training texts."""
    found = model.explain(text, texts=case.train[0])
    return {
        "text": text,
        "raee": str(found.label),
        "exit": found.exit_layer,
        "neighbors": [shown_neighbor(n) for n in found.neighbors[:N_SHOWN]],
    }


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
    own = of_right_class(model, proba, y)
    X_fit, y_fit = case.train
    stored = of_right_class(model, model.layer_proba(X_fit), y_fit)
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


def of_right_class(
    model: RAEEClassifier, proba: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """Return each text's probability of its class by depth: (n, m + 1)."""
    codes = np.searchsorted(model.classes_, y)
    return proba[np.arange(len(proba)), :, codes].astype(float)
