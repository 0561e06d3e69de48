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
import pickle
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from accuracy import TASKS, Vectors
from accuracy_table import DOCS
from common import RESULTS, read_task, sample
from paper_lines import Line, Lines
from paper_methods import METHODS, PEERS, Case, fitted, shown_name, without_store
from paper_order import removal_order
from paper_tables import write_page
from sklearn.metrics import accuracy_score, matthews_corrcoef

from skraee import RAEEClassifier
from skraee.baselines.base import BaselineClassifier

KS = (2, 4, 8, 12, 16, 20)
SHARES = (0.2, 0.5, 1.0)
BATCHES = (1, 64)
N_ALONE = 16  # texts that are timed one by one
N_EXAMPLES, N_SHOWN = 2, 4  # texts of a task, and neighbours of each


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
    parser.add_argument("--docs", type=Path, default=DOCS)
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


def table1(run: Run, *usual: str) -> None:
    for case in run.cases:
        for method in run.methods(*usual):
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


# Tables 3 and 4


def table3(run: Run) -> None:
    """Change k. The peers that know no k stand in Table 1."""
    for case in run.cases:
        for k in KS:
            for method in run.methods("raee", "encoder-knn"):
                name = name_of("table3", case, method, len(case.test[0]), {"k": k})
                run.lines.once(name, partial(with_k, case, method, k))


def with_k(case: Case, method: str, k: int) -> Line:
    model, _ = fitted(case, method)
    if method == "raee":
        return from_sweeps(case, model.set_params(k=k))
    vectors = Vectors(case, case.sentence_encoder)
    model.set_params(
        kneighborsclassifier__n_neighbors=k, functiontransformer__func=vectors
    )
    return scores(case.test[1], model.predict(case.test[0]))


def table4(run: Run) -> None:
    """Fit on a part of the training texts."""
    for whole in run.cases:
        for share in SHARES:
            case = replace(whole, share=share)
            for method in run.methods("raee", *PEERS):
                setting = {"share": share}
                name = name_of("table4", case, method, len(case.test[0]), setting)
                run.lines.once(name, partial(with_share, case, method))


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


# Table 5


def table5(run: Run) -> None:
    methods = ("raee", "raee-depth0", "hashee", "adainfer", "deebert", *PEERS)
    for case in run.cases:
        for method in run.methods(*methods):
            name = name_of("table5", case, method, 0)
            run.lines.once(name, partial(built, case, method))


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


# Tables 9 and 10, Figure 2


def table9(run: Run) -> None:
    """Show test texts and their neighbours: what RAEE mends, and what it breaks."""
    for case in run.cases:
        for table, mends in (("table9", True), ("table10", False)):
            name = name_of(table, case, "raee", len(case.test[0]))
            run.lines.once(name, partial(examples, case, mends))


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


def figure2(run: Run) -> None:
    for case in run.cases:
        name = name_of("figure2", case, "raee", len(case.test[0]))
        run.lines.once(name, partial(curves, case))


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


# SLEB's order


def sleb_order(run: Run) -> None:
    print(removal_order(next(run.cases), run.lines))


def everything(run: Run) -> None:
    for command in (table1, table3, table4, table5, table9, figure2, latency):
        command(run)
    write(run)


def table2(run: Run) -> None:
    """Judge and time RAEE with and without corrective information."""
    for command in (table1, latency):
        command(run, "full", "raee-without", "raee", *PEERS)


def write(run: Run) -> None:
    write_page(run.lines, run.args.docs)


COMMANDS: dict[str, Callable[[Run], None]] = {
    "table1": table1,  # and Table 8
    "table2": table2,
    "table3": table3,
    "table4": table4,
    "table5": table5,
    "table9": table9,  # and Table 10
    "figure2": figure2,
    "figure3": latency,
    "latency": latency,
    "sleb-order": sleb_order,
    "all": everything,
    "write": write,
}

if __name__ == "__main__":
    main()
