"""Whether exit by confidence answers alike: alone and in a batch, in both formats."""

from __future__ import annotations

import numpy as np

from benchmarks.data import read_task
from benchmarks.speed.depth import BUDGETS, On, each, fitted
from benchmarks.speed.options import Options
from skraee import EarlyExitClassifier

BUDGET = BUDGETS[-1]


def same(options: Options) -> None:
    """Bar: a text has the same exit alone and in a batch, but by rounding.

    On the test texts of sst2 (872), budget 0.3. Of texts that stop elsewhere alone, how
    far at the most their confidence is from the threshold where only one of the two
    stops. In bfloat16 also on how many texts labels and exits are those of float32.
    """
    X = read_task("sst2", "test")[0]
    for on in each(options):
        clf = fitted(on, BUDGET)
        together, exits = clf.predict(X, return_exit_layers=True)
        answers = [clf.predict([text], return_exit_layers=True) for text in X]
        alone = np.concatenate([labels for labels, _ in answers])
        stops = np.concatenate([stop for _, stop in answers])
        line = {
            "other_exits_alone": int((stops != exits).sum()),
            "farthest_from_threshold": farthest_from_threshold(clf, X, exits, stops),
            "other_labels_alone": int((alone != together).sum()),
        }
        if on["dtype"] != "float32":
            exact = fitted(On(**{**on, "dtype": "float32"}), BUDGET)
            labels, depths = exact.predict(X, return_exit_layers=True)
            line |= {
                "same_labels_as_float32": round(float((labels == together).mean()), 4),
                "same_exits_as_float32": round(float((depths == exits).mean()), 4),
            }
        options.lines.add(
            figure="the same answers", **on, texts=len(X), budget=BUDGET, **line
        )


def farthest_from_threshold(
    clf: EarlyExitClassifier, X: list[str], exits: np.ndarray, stops: np.ndarray
) -> float:
    differ = np.flatnonzero(exits != stops)
    if len(differ) == 0:
        return 0.0
    first = np.minimum(exits, stops)[differ]
    confidence = clf.layer_proba([X[i] for i in differ]).max(axis=2)
    off = np.abs(confidence[np.arange(len(differ)), first] - clf.threshold_)
    return round(float(off.max()), 5)
