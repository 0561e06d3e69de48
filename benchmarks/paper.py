"""The tables and figures of the RAEE paper, on any backbone.

    python benchmarks/paper.py table1 --backbone gemma3-270m --store FOLDER
    python benchmarks/paper.py latency --backbone gemma3-270m --store FOLDER
    python benchmarks/paper.py all --backbone FacebookAI/roberta-large --store FOLDER
    python benchmarks/paper.py write

A backbone is a folder under $SKRAEE_BACKBONES, a path, or a hub name. Results are lines
of results/paper.jsonl; what has its line is not run again, so that a run that was ended
goes on, and several with other tasks or methods may run side by side. `write` makes
docs/paper.md of them. README.md has the commands for the paper's backbones.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from accuracy import TASKS
from common import RESULTS, read_task, sample
from paper_lines import Line, Lines
from paper_methods import METHODS, Case, fitted, shown_name
from paper_order import removal_order
from sklearn.metrics import accuracy_score, matthews_corrcoef

from skraee import RAEEClassifier
from skraee.baselines.base import BaselineClassifier

BATCHES = (1, 64)
N_ALONE = 16  # texts that are timed one by one


def main(arguments: list[str] | None = None) -> None:
    args = parsed(arguments)
    if args.data:
        os.environ["SKRAEE_DATA"] = args.data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        COMMANDS[args.command](Run(args))


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--backbone", default="gemma3-270m")
    parser.add_argument("--tasks", nargs="*", default=list(TASKS), choices=TASKS)
    parser.add_argument("--methods", nargs="*", choices=METHODS)
    parser.add_argument("--data", help="folder of the tasks; default $SKRAEE_DATA")
    parser.add_argument("--store", type=Path, default=Path("~/.cache/skraee-paper"))
    parser.add_argument("--n-fit", type=int, default=2_000)
    parser.add_argument("--n-test", type=int, help="default: the whole test file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--encoder", default="minilm-l6")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--n-calibration", type=int, default=128, help="texts of SLEB")
    parser.add_argument("--rounds", type=int, default=3, help="of timing")
    parser.add_argument("--retry", action="store_true", help="run again what failed")
    parser.add_argument("--results", type=Path, default=RESULTS / "paper.jsonl")
    return parser.parse_args(arguments)


@dataclass(frozen=True)
class Run:
    """What was asked for on the command line."""

    args: argparse.Namespace

    @property
    def lines(self) -> Lines:
        return Lines(self.args.results, self.args.retry)

    @property
    def cases(self) -> Iterator[Case]:
        args = self.args
        for task in args.tasks:
            yield Case(
                backbone=args.backbone,
                task=task,
                n_fit=args.n_fit,
                n_test=args.n_test,
                seed=args.seed,
                encoder=args.encoder,
                dtype=args.dtype,
                device=args.device,
                store=args.store.expanduser(),
                n_calibration=args.n_calibration,
                lines=self.lines,
            )

    def methods(self, *usual: str) -> list[str]:
        """Return the methods that a table has and the command line does not drop."""
        wanted = self.args.methods
        return [m for m in usual or METHODS if wanted is None or m in wanted]


def name_of(
    table: str, case: Case, method: str, n_test: int, setting: Line | None = None
) -> Line:
    return {
        "table": table,
        "backbone": case.shown_backbone,
        "task": case.task,
        "method": method,
        "setting": setting,
        "n_fit": len(case.train[0]),
        "n_test": n_test,
        "seed": case.seed,
        "encoder": shown_name(case.encoder),
        "dtype": case.dtype,
    }


# Tables 1 and 8


def table1(run: Run) -> None:
    for case in run.cases:
        for method in run.methods():
            name = name_of("table1", case, method, len(case.test[0]))
            run.lines.once(name, partial(judged, case, method))


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
        return model.predict(X, return_exit_layers=True)
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


# Latency (Table 2, Figure 3)


def latency(run: Run, *usual: str) -> None:
    for case in run.cases:
        for method in run.methods(*usual):
            for batch in BATCHES:
                texts = timed_texts(case, batch)
                setting = {"batch": batch}
                name = name_of("latency", case, method, len(texts), setting)
                work = partial(timed, case, method, texts, batch, run.args.rounds)
                run.lines.once(name, work)


def timed_texts(case: Case, batch: int) -> list[str]:
    return sample(*read_task(case.task, "test"), max(batch, N_ALONE), case.seed)[0]


def timed(case: Case, method: str, texts: list[str], batch: int, n_rounds: int) -> Line:
    """Time a method in turns with full depth; milliseconds per text.

    Encoder and search are part of it. No store is asked, so every call is a real run.
    """
    pair = [fitted(case, name)[0] for name in (method, "full")]
    rounds = []
    for round_ in range(n_rounds + 1):
        found = [milliseconds(model, texts, batch) for model in pair]
        if round_:  # the first warms up
            rounds.append(found)
    own, full = np.transpose(rounds)
    return {
        "ms": round(median(own), 3),
        "ms_full": round(median(full), 3),
        "ratio": round(median(own / full), 4),
        "rounds": np.round(rounds, 3).tolist(),
    }


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


# SLEB's order


def sleb_order(run: Run) -> None:
    print(removal_order(next(run.cases), run.lines))


COMMANDS: dict[str, Callable[[Run], None]] = {
    "table1": table1,
    "latency": latency,
    "sleb-order": sleb_order,
}

if __name__ == "__main__":
    main()
