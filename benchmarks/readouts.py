"""What a part of the readout is worth: fitted with it and without, on the same texts.

    python -m benchmarks.readouts tokens --store FOLDER
    python -m benchmarks.readouts discriminant --store FOLDER
    python -m benchmarks.readouts tokens --backbone gemma3-270m --tasks sst2 trec

Of each task up to 2,600 training texts are swept once. For each seed 600 of them are
held out and the others fitted, by the closed-form readout as it is, and without the bag
of the text's own tokens or without the discriminant of the scores (of tasks that have
three classes or more). No test file is read. Writes the tables of docs/candidates.md.
"""

from __future__ import annotations

import argparse
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import mean, stdev
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.data import (
    ALL_TASKS,
    TITLES,
    Labelled,
    backbone_folder,
    read_task,
    sample,
)
from benchmarks.lines import RESULTS, Line, Lines, show
from benchmarks.pages import DOCS, between_marks, table
from skraee import Backbone, EarlyExitClassifier, templates
from skraee.engine.cost import depth_costs
from skraee.exits.budget import within_budget
from skraee.exits.curve import threshold_curve
from skraee.exits.evidence import Evidence
from skraee.exits.policies import first_confident
from skraee.readout import bag_readout, ridge
from skraee.readout.discriminant import ScoreMap, temperature_map
from skraee.readout.ridge import fit_ridge
from skraee.readout.sample import Sample
from skraee.sweep.layer_sweep import LayerSweep, softmax

BUDGETS = (0.1, 0.2, 0.25, 0.3, 0.5, 1.0)
#: What is compared: the readout as it is, and without a part of it.
COMPARED = {
    "tokens": ("with the text's tokens", "without"),
    "discriminant": ("with a discriminant", "with one temperature"),
}
MANY_CLASSES = ("trec", "sst5", "banking77", "clinc150")

_NAMING = ("backbone", "task", "seed", "readout", "n_fit")
_N_FIT, _N_HELD = 2_000, 600


def main(arguments: list[str] | None = None) -> None:
    args = parsed(arguments)
    lines = Lines(args.results, _NAMING, on_add=show)
    for task in args.tasks or (ALL_TASKS if args.what == "tokens" else MANY_CLASSES):
        pool = Pool(args.backbone, task, args.fit, args.held, args.store)
        for seed in range(args.seeds):
            judge(pool, args.what, seed, lines)
    for what in COMPARED:
        between_marks(args.docs / "candidates.md", f"{what} tried", page(what, lines))


@dataclass(frozen=True)
class Pool:
    """Training texts of a task, with all that a pass of the backbone tells of them."""

    backbone: str
    task: str
    n_fit: int
    n_held: int
    store: Path | None

    @cached_property
    def texts(self) -> Labelled:
        texts = read_task(self.task, "train")
        return sample(*texts, self.n_fit + self.n_held, seed=77)

    @cached_property
    def reader(self) -> EarlyExitClassifier:
        folder = backbone_folder(self.backbone)
        is_encoder = (folder / "modules.json").is_file()
        prompt = None if is_encoder else templates.CAUSAL.get(self.task)
        return EarlyExitClassifier(
            Backbone(folder),
            "{text}" if prompt is None else prompt.template,
            memory=None if self.store is None else self._folder(self.store),
        )

    def _folder(self, store: Path) -> Path:
        """Return a folder of its own for each task: a store has a limit."""
        return store / self.backbone / self.task

    @cached_property
    def sweep(self) -> LayerSweep:
        return self.reader.sweep(self.texts[0])

    @cached_property
    def costs(self) -> np.ndarray:
        return depth_costs(Backbone(backbone_folder(self.backbone)).load())

    def split(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return which texts are fitted and which held out; of few a quarter is."""
        n = len(self.texts[0])
        n_held = min(self.n_held, n // 4)
        order = np.random.default_rng(seed).permutation(n)
        return order[n_held:], order[:n_held]


def judge(pool: Pool, what: str, seed: int, lines: Lines) -> None:
    """Fit both readouts on the same texts, where they have no line yet."""
    fit, held = pool.split(seed)
    for readout in COMPARED[what]:
        name = {
            "backbone": pool.backbone,
            "task": pool.task,
            "seed": seed,
            "readout": readout,
            "n_fit": len(fit),
        }
        if not lines.has(name):
            lines.add(**name, **judged(pool, fit, held, readout))


def judged(pool: Pool, fit: np.ndarray, held: np.ndarray, readout: str) -> Line:
    """Solve for some texts and read the others, within each budget."""
    states, bags = pool.sweep.states, pool.sweep.bags
    assert states is not None
    assert bags is not None
    classes, codes = np.unique(pool.texts[1], return_inverse=True)
    weights = np.ones(len(fit))
    known = None if readout == "without" else bags.take(fit)
    with reading(readout):
        fitted, proba = fit_ridge(
            states[fit], codes[fit], len(classes), weights, bags=known
        )
    curve = threshold_curve(
        Evidence(
            proba=proba,
            codes=codes[fit],
            classes=classes,
            weights=weights,
            costs=pool.costs,
        ),
        0,
    )
    found = softmax(fitted.scores(states[held], bags.take(held)))
    right = found.argmax(axis=2) == codes[held, None]
    texts = np.arange(len(held))
    line: dict[str, Any] = {"n_held": len(held), "accuracy": {}, "cost": {}}
    for budget in BUDGETS:
        threshold = float(curve.values[within_budget(budget, curve)])
        exits = first_confident(found.max(axis=2), threshold, 0)
        line["accuracy"][f"{budget:g}"] = _share(right[texts, exits])
        line["cost"][f"{budget:g}"] = round(float(pool.costs[exits].mean()), 4)
    line["accuracy"]["all depths"] = _share(right[:, -1])
    of_class = found[texts, -1, codes[held]]
    line["log_loss"] = round(float(-np.log(of_class.clip(1e-7)).mean()), 4)
    return line


@contextmanager
def reading(readout: str) -> Iterator[None]:
    """Let fits in here read scores as a readout of this name does."""
    if readout != "with one temperature":
        yield
        return

    def by_temperature(scores: np.ndarray, _: Any, own: Sample) -> ScoreMap:
        return temperature_map(scores, own)

    name = "fit_score_map"
    with (
        patch.object(ridge, name, by_temperature),
        patch.object(bag_readout, name, by_temperature),
    ):
        yield


def _share(right: np.ndarray) -> float:
    return round(100 * float(right.mean()), 3)


# The page


def page(what: str, lines: Lines) -> str:
    """Return a table for each backbone: both readouts, and how they differ."""
    found: dict[str, dict[tuple[str, int], dict[str, Line]]] = {}
    for line in lines:
        if line["readout"] in COMPARED[what]:
            case = found.setdefault(line["backbone"], {})
            case.setdefault((line["task"], line["seed"]), {})[line["readout"]] = line
    return "\n".join(
        _of_backbone(what, name, [both for both in cases.values() if len(both) == 2])
        for name, cases in found.items()
    )


def _of_backbone(what: str, name: str, cases: list[dict[str, Line]]) -> str:
    if not cases:
        return ""
    columns = [f"{budget:g}" for budget in BUDGETS] + ["all depths"]
    rows = [
        [
            readout,
            *(f"{mean(c[readout]['accuracy'][b] for c in cases):.2f}" for b in columns),
            f"{mean(c[readout]['log_loss'] for c in cases):.3f}",
        ]
        for readout in COMPARED[what]
    ]
    first, second = COMPARED[what]
    tasks = list(dict.fromkeys(case[first]["task"] for case in cases))
    rows.append(["gain", *(_gain(what, cases, column) for column in columns), ""])
    for task in tasks if what == "discriminant" else []:
        own = [case for case in cases if case[first]["task"] == task]
        losses = " to ".join(
            f"{mean(case[readout]['log_loss'] for case in own):.3f}"
            for readout in (second, first)
        )
        gains = [_gain(what, own, column) for column in columns]
        rows.append([f"gain on {task}", *gains, losses])
    title = f"{TITLES.get(name, name)}, {', '.join(tasks)}, {len(cases)} cases:"
    return f"{title}\n\n{table(['readout', *columns, 'log-loss'], rows)}"


def _gain(what: str, cases: list[dict[str, Line]], column: str) -> str:
    """Return the mean gain over the tasks, and its standard error over the seeds."""
    by_seed: dict[int, list[float]] = defaultdict(list)
    first, second = COMPARED[what]
    for case in cases:
        gain = case[first]["accuracy"][column] - case[second]["accuracy"][column]
        by_seed[case[first]["seed"]].append(gain)
    means = [mean(gains) for gains in by_seed.values()]
    error = f" ± {stdev(means) / len(means) ** 0.5:.2f}" if len(means) > 1 else ""
    return f"{mean(g for gains in by_seed.values() for g in gains):+.2f}{error}"


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.readouts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=COMPARED, help="the part in question")
    parser.add_argument("--backbone", default="mpnet-base")
    parser.add_argument(
        "--tasks", nargs="*", help=f"(all ten; discriminant: {' '.join(MANY_CLASSES)})"
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--fit", type=int, default=_N_FIT, help="texts to fit")
    parser.add_argument("--held", type=int, default=_N_HELD, help="texts held out")
    parser.add_argument("--store", type=Path, help="folder for sweeps")
    parser.add_argument("--results", type=Path, default=RESULTS / "readouts.jsonl")
    parser.add_argument("--docs", type=Path, default=DOCS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main()
