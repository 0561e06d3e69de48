"""What a grid search over k and tau costs beside one fit and one predict.

    python benchmarks/grid.py --backbone gemma3-270m --size 600

Needs $SKRAEE_DATA and $SKRAEE_BACKBONES. Writes results/grid.jsonl.
"""

from __future__ import annotations

import argparse
import time
import warnings
from statistics import median

from common import backbone_folder, read_task, record, sample
from sklearn.model_selection import GridSearchCV

from skraee import RAEEClassifier, clear_sweeps, templates
from skraee.exceptions import UndecidedWarning

GRID = {"k": [4, 8, 12, 16, 24], "tau": [0.0, 0.5, 0.7, 0.9, 0.95]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="gemma3-270m")
    parser.add_argument("--task", default="sst2")
    parser.add_argument("--size", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    warnings.simplefilter("ignore", UndecidedWarning)

    prompt = templates.CAUSAL[args.task]
    X, y = sample(*read_task(args.task, "train"), args.size, seed=0)
    clf = RAEEClassifier(
        backbone_folder(args.backbone),
        prompt.template,
        label_words=prompt.label_words,
    )
    clf.fit(X[:8], y[:8])  # loads the backbone
    once, search = [], []
    for _ in range(args.rounds):
        once.append(seconds_of_fit_and_predict(clf, X, y))
        clear_sweeps()
        start = time.perf_counter()
        found = GridSearchCV(clf, GRID, cv=5).fit(X, y)
        search.append(time.perf_counter() - start)
        clear_sweeps()
    record(
        "grid.jsonl",
        backbone=args.backbone,
        task=args.task,
        size=args.size,
        candidates=25,
        folds=5,
        fit_and_predict_seconds=round(median(once), 2),
        grid_seconds=round(median(search), 2),
        ratio=round(median(s / o for s, o in zip(search, once, strict=True)), 3),
        ratios=[round(s / o, 3) for s, o in zip(search, once, strict=True)],
        best=found.best_params_,
    )


def seconds_of_fit_and_predict(clf: RAEEClassifier, X: list[str], y: object) -> float:
    """Time one fit and one real predict of the same texts; nothing is kept."""
    start = time.perf_counter()
    fitted = RAEEClassifier(**{**clf.get_params(), "memory": None}).fit(X, y)
    fitted.predict(X)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
