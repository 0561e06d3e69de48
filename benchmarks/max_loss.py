"""What `max_loss` keeps to and what it costs: drawn answers, and resampled tasks.

    python -m benchmarks.max_loss                      draws of answers, no model
    python -m benchmarks.max_loss --backbone mpnet-base --store FOLDER

The first draws texts of which the truth is known, 500 times for each number of texts,
and judges each choice on 20,000 others. The second draws training texts of real tasks
and judges on the test file: sizes are texts a class ("8c") or in all ("500"). Writes
the tables of docs/max-loss.md.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from benchmarks.data import (
    TASKS,
    TITLES,
    Labelled,
    backbone_folder,
    read_task,
    sample,
)
from benchmarks.lines import RESULTS, Line, Lines, show
from benchmarks.pages import DOCS, between_marks, table
from skraee import Backbone, EarlyExitClassifier
from skraee.exits.curve import threshold_curve
from skraee.exits.evidence import Evidence
from skraee.exits.max_loss import cheapest_without_loss, reference_exit
from skraee.exits.policies import first_confident

MANY_CLASSES = ("banking77", "clinc150")
SIZES = ("8c", "16c", "32c", "100", "500", "2000")
DRAWN = (32, 120, 300, 1_000, 3_000)
MAX_LOSS = 0.01

_N_TEST = 1_000
_NAMING = ("backbone", "task", "size", "seed", "draws", "max_loss")
_DEPTHS = 7


def main(arguments: list[str] | None = None) -> None:
    args = parsed(arguments)
    lines = Lines(args.results, _NAMING, on_add=show)
    for size in args.drawn:
        name = _name(size=str(size), draws=args.draws)
        lines.once(name, partial(drawn, size, args.draws))
    for backbone in args.backbone:
        for task in args.tasks:
            of_task(backbone, task, args, lines)
    between_marks(args.docs / "max-loss.md", "drawn", page_of_draws(lines))
    between_marks(args.docs / "max-loss.md", "tasks", page_of_tasks(lines))


# Drawn answers


def drawn(size: int, n_draws: int) -> Line:
    """Choose by so many texts, again and again, and judge on others."""
    others = answers(20_000, seed=1_000_000)
    confidence, right = others.proba.max(axis=2), others.right
    everyone = np.arange(len(right))
    lost, costs = [], []
    for seed in range(n_draws):
        known = answers(size, seed)
        max_exit = reference_exit(known, 0)
        curve = threshold_curve(known, 0, max_exit)
        against = curve.against_depth(max_exit)
        chosen = cheapest_without_loss(MAX_LOSS, curve, against)
        within = confidence[:, : max_exit + 1]
        exits = first_confident(within, float(curve.values[chosen]), 0)
        accuracy = right[everyone, exits].mean()
        lost.append(float(right.mean(axis=0).max() - accuracy))
        costs.append(float(others.costs[exits].mean()))
    return {
        "loss": round(100 * mean(lost), 3),
        "share_that_keeps": round(float(np.mean(np.array(lost) <= MAX_LOSS)), 4),
        "cost": round(mean(costs), 3),
    }


def answers(n: int, seed: int) -> Evidence:
    """Draw texts of two classes whose answers are a walk that knows more with depth."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(2, size=n)
    signal = np.arange(1, _DEPTHS + 1) / 3.0
    drift = signal[:, None] * (codes[:, None, None] == np.arange(2))
    steps = rng.normal(size=(n, _DEPTHS, 2)).cumsum(axis=1)
    steps /= np.sqrt(np.arange(1, _DEPTHS + 1))[:, None]
    logits = 1.5 * (drift + steps * np.sqrt(signal)[:, None])
    proba = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    return Evidence(
        proba=proba.astype(np.float32),
        codes=codes,
        classes=np.arange(2),
        weights=np.ones(n),
        costs=np.linspace(0, 1, _DEPTHS),
    )


# Resampled tasks


def of_task(backbone: str, task: str, args: argparse.Namespace, lines: Lines) -> None:
    """Fit draws of a task's training texts, judge on its test texts."""
    test = sample(*read_task(task, "test"), _N_TEST, seed=0)
    pool = sample(*read_task(task, "train"), args.pool, seed=0)
    for size in args.sizes:
        for seed in range(args.seeds):
            draw = drawn_texts(pool, size, seed)
            if draw is not None:
                name = _name(backbone=backbone, task=task, size=size, seed=seed)
                lines.once(name, partial(judged, backbone, args.store, draw, test))


def judged(backbone: str, store: Path | None, draw: Labelled, test: Labelled) -> Line:
    """Fit with the default, and say what is lost against each depth for all texts."""
    clf = EarlyExitClassifier(
        Backbone(backbone_folder(backbone)),
        max_loss=MAX_LOSS,
        memory="process" if store is None else store / backbone,
    ).fit(*draw)
    texts, labels = test
    of_depths = clf.classes_[clf.layer_proba(texts).argmax(axis=2)] == labels[:, None]
    found, exits = clf.predict(texts, return_exit_layers=True)
    accuracy = of_depths.mean(axis=0)
    return {
        "n_fit": len(draw[0]),
        "n_test": len(texts),
        "accuracy": round(100 * float((found == labels).mean()), 2),
        "best_depth": round(100 * float(accuracy.max()), 2),
        "last_depth": round(100 * float(accuracy[-1]), 2),
        "cost": round(float(clf.cost_[exits].mean()), 4),
        "threshold": round(clf.threshold_, 4),
        "max_exit": clf.max_exit_,
    }


def drawn_texts(pool: Labelled, size: str, seed: int) -> Labelled | None:
    """Draw "8c" texts a class or "500" in all; None where there are too few."""
    texts, labels = pool
    order = np.random.default_rng(1_000 + seed).permutation(len(texts))
    if size.endswith("c"):
        of_class = [order[labels[order] == c] for c in np.unique(labels)]
        n = int(size[:-1])
        if min(map(len, of_class)) < n // 2:
            return None
        order = np.concatenate([one[:n] for one in of_class])
    else:
        if int(size) > len(texts):
            return None
        order = order[: int(size)]
    return [texts[i] for i in order], labels[order]


# The page


def page_of_draws(lines: Lines) -> str:
    rows = [
        [
            line["size"],
            str(line["draws"]),
            f"{line['loss']:.2f}",
            f"{100 * line['share_that_keeps']:.1f} %",
            f"{line['cost']:.2f}",
        ]
        for line in lines
        if "draws" in line and "failed" not in line
    ]
    head = ["texts", "draws", "mean loss, points", "draws within 1 point", "cost"]
    return table(head, rows) if rows else ""


def page_of_tasks(lines: Lines) -> str:
    """Return a table for each backbone: a row for each size."""
    found: dict[str, dict[str, list[Line]]] = {}
    for line in lines:
        if "backbone" in line and "failed" not in line:
            found.setdefault(line["backbone"], {}).setdefault(line["size"], [])
            found[line["backbone"]][line["size"]].append(line)
    return "\n".join(_table(name, sizes) for name, sizes in found.items())


def _table(name: str, sizes: dict[str, list[Line]]) -> str:
    rows = []
    for size in sorted(sizes, key=lambda s: (not s.endswith("c"), int(s.strip("c")))):
        of_size = sizes[size]
        lost = [line["best_depth"] - line["accuracy"] for line in of_size]
        by_task = dict(_mean_losses(of_size))
        worst = max(by_task, key=lambda task: by_task[task])
        rows.append(
            [
                size.replace("c", " a class"),
                str(len(by_task)),
                str(len(of_size)),
                *(f"{mean(line[c] for line in of_size):.1f}" for c in _SHOWN),
                f"{mean(lost):.2f}",
                f"{by_task[worst]:.1f} ({worst})",
                f"{100 * np.mean([keeps(line) for line in of_size]):.0f} %",
                f"{mean(line['cost'] for line in of_size):.2f}",
            ]
        )
    head = ["texts", "tasks", "fits", "accuracy", "best depth", "last depth"]
    head += ["mean loss", "largest of a task", "within 1 point and noise", "cost"]
    return f"{TITLES.get(name, name)}:\n\n{table(head, rows)}"


_SHOWN = ("accuracy", "best_depth", "last_depth")


def _mean_losses(lines: list[Line]) -> Iterator[tuple[str, float]]:
    for task in dict.fromkeys(line["task"] for line in lines):
        own = [line for line in lines if line["task"] == task]
        yield task, mean(line["best_depth"] - line["accuracy"] for line in own)


def keeps(line: Line) -> bool:
    """Say whether a fit loses no more than it may, but for the test texts' noise.

    The noise is 1.645 standard errors of a difference of which a tenth of the texts
    is answered differently.
    """
    noise = 100 * 1.645 * (0.1 / line["n_test"]) ** 0.5
    lost: float = line["best_depth"] - line["accuracy"]
    return bool(lost <= 100 * MAX_LOSS + noise)


def _name(**fields: Any) -> Line:
    return {"max_loss": MAX_LOSS, **fields}


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.max_loss",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--backbone", nargs="*", default=[])
    parser.add_argument("--tasks", nargs="*", default=[*TASKS, *MANY_CLASSES])
    parser.add_argument("--sizes", nargs="*", default=list(SIZES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--pool", type=int, default=3_000, help="texts to draw from")
    parser.add_argument("--drawn", nargs="*", type=int, default=list(DRAWN))
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--store", type=Path, help="folder for sweeps")
    parser.add_argument("--results", type=Path, default=RESULTS / "max_loss.jsonl")
    parser.add_argument("--docs", type=Path, default=DOCS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main()
