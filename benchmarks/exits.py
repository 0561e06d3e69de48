"""Accuracy and mean exit of RAEE on one task, for each kind of key, tau and min_exit.

    python benchmarks/exits.py sst2 --backbone gemma3-270m --encoder minilm-l6

Needs $SKRAEE_DATA and $SKRAEE_BACKBONES. Writes results/exits.jsonl.
"""

from __future__ import annotations

import argparse
import time
import warnings

from common import backbone_folder, read_task, record, sample

from skraee import RAEEClassifier, templates
from skraee.exceptions import UndecidedWarning

SETTINGS = [(tau, min_exit) for min_exit in (0, 1) for tau in (0.9, 0.0)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task")
    parser.add_argument("--backbone", default="gemma3-270m")
    parser.add_argument("--encoder", default="minilm-l6")
    parser.add_argument("--size", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dtype", default="auto")
    args = parser.parse_args()
    warnings.simplefilter("ignore", UndecidedWarning)

    prompt = templates.CAUSAL[args.task]
    X, y = sample(*read_task(args.task, "train"), args.size, args.seed)
    X_test, y_test = read_task(args.task, "test")
    for encoder in (None, args.encoder):
        clf = RAEEClassifier(
            backbone_folder(args.backbone),
            prompt.template,
            label_words=prompt.label_words,
            encoder=None if encoder is None else backbone_folder(encoder),
            dtype=args.dtype,
            random_state=args.seed,
        )
        start = time.perf_counter()
        clf.fit(X, y)
        fit_seconds = time.perf_counter() - start
        for tau, min_exit in SETTINGS:
            clf.set_params(tau=tau, min_exit=min_exit)
            start = time.perf_counter()
            predicted, exits = clf.predict(X_test, return_exit_layers=True)
            record(
                "exits.jsonl",
                task=args.task,
                backbone=args.backbone,
                dtype=clf._fitted.recipe.dtype,
                keys=encoder or "depth 0",
                size=args.size,
                seed=args.seed,
                tau=tau,
                min_exit=min_exit,
                accuracy=round(float((predicted == y_test).mean()), 4),
                share_of_depth=round(float(exits.mean() / clf.n_layers_), 4),
                fit_seconds=round(fit_seconds, 1),
                predict_seconds=round(time.perf_counter() - start, 1),
            )
    full = clf.layer_proba(X_test)[:, -1].argmax(1)
    record(
        "exits.jsonl",
        task=args.task,
        backbone=args.backbone,
        keys="full depth",
        accuracy=round(float((clf.classes_[full] == y_test).mean()), 4),
        share_of_depth=1.0,
    )


if __name__ == "__main__":
    main()
