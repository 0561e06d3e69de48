"""The search for better readouts and exits, judged on held-out training texts.

    python benchmarks/candidates.py --store FOLDER --seeds 0 1 2 3 4
    python benchmarks/candidates.py --table

Of each 2,000 training texts drawn with a seed, 600 are held out; the test files are not
read. Every line of results/candidates.jsonl is one candidate on one task and seed, with
its accuracy at mean costs of at most 0.1 to 1.0 (balanced accuracy on CR and MPQA,
fitted with balanced weights there). Sweeps come from the store of accuracy.py.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from accuracy import BUDGETS, TASKS, UNEQUAL, Problem
from accuracy_table import DOCS
from common import RESULTS, record
from scipy.special import log_softmax, softmax

from skraee.calibration import fit_sharpness, sample_weights, weighted_accuracy
from skraee.learning import Evidence
from skraee.retrieval.database import Database
from skraee.ridge import POWER, Passed, gain_over_chance, solve
from skraee.states import unpacked
from skraee.stopping import (
    best_for_price,
    best_within,
    expected_gains,
    first_sure,
    gains_left_out,
    price_within,
    threshold_within,
)

FILE = "candidates.jsonl"
N_HELD = 600
DONE = {"confidence": "three readouts", "retrieval": "retrieval: depth-0 keys"}
Array = np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store")
    parser.add_argument("--tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    for seed in () if args.table else args.seeds:
        for task in args.tasks:
            if (task, seed) not in done():
                case = Case.of(Problem("gemma3-270m", task, seed, args.store))
                for name, scores in candidates(case):
                    record(FILE, task=task, seed=seed, candidate=name, **scores)
    target = DOCS / "candidates.md"
    parts = INTRODUCTION, table(), COSTS, cost_table(), ""
    target.write_text("\n".join(parts), encoding="utf-8")


INTRODUCTION = """\
# What was tried

Made by `python benchmarks/candidates.py` from
[its lines](../benchmarks/results/candidates.jsonl); not edited. Gemma 3 270M; of each
2,000 training texts drawn with a seed 600 are held out, the others are fitted; no test
file is read. Accuracy in per cent at a mean cost of at most the share in the head,
averaged over tasks and seeds (balanced accuracy with balanced weights on CR and MPQA).
What skraee does are the lines "three readouts" and "retrieval: depth-0 keys"; a
candidate is taken up where it gains 0.3 points or more. "read" is the state at the read
position, "text" the mean over the text's tokens, "around" that over the words around
it. Readouts are averaged over the depths passed by the sixth power of their gain over
chance, unless the line says otherwise.
"""


COSTS = """
## What a budget costs on other texts

Mean cost of the held-out texts as a share of the budget, over tasks and seeds. A
budget is chosen by the fitted texts with one standard error kept back; the 600 held-out
texts have an error of their own, about a tenth of a budget of 0.1.
"""


@dataclass
class Case:
    """Texts of a task, the first of them to fit, the rest held out."""

    states: Array  # (n, m + 1, 3, H): read, text, around
    keys: Array
    codes: Array
    n_classes: int
    weights: Array  # of the fitted
    n_fit: int

    @classmethod
    def of(cls, problem: Problem) -> Case:
        X, y = problem.train
        sweep = problem.unfitted(readout="ridge").sweep(X)
        classes, codes = np.unique(y, return_inverse=True)
        n_fit = len(X) - N_HELD
        balanced = "balanced" if problem.task in UNEQUAL else None
        weights = sample_weights(codes[:n_fit], classes, balanced)
        return cls(sweep.states, sweep.keys, codes, len(classes), weights, n_fit)

    @property
    def costs(self) -> Array:
        m = self.states.shape[1] - 1
        return np.arange(m + 1) / m

    def features(self, depth: int, parts: Sequence[int]) -> Array:
        found = unpacked(np.ascontiguousarray(self.states[:, depth][:, list(parts)]))
        return found.reshape(len(found), -1)

    def log_proba(self, parts: Sequence[int]) -> Array:
        """Solve every depth: (m + 1, n, C), of the fitted texts each left out."""
        n_fit, fit = self.n_fit, slice(None, self.n_fit)
        targets = np.where(self.codes[fit, None] == np.arange(self.n_classes), 1.0, -1)
        logs = []
        for depth in range(self.states.shape[1]):
            X = self.features(depth, parts)
            solved = solve(X[fit], targets, self.weights)
            held = X[n_fit:] @ solved.coef + solved.intercept
            sharp = fit_sharpness(solved.left_out, self.codes[fit], self.weights)
            logs.append(sharp * np.concatenate([solved.left_out, held]))
        return log_softmax(np.stack(logs), axis=2)

    def average(self, logs: Sequence[Array], power: float = POWER) -> Array:
        """Average readouts over the depths passed: (m + 1, n, C), calibrated later."""
        return averaged(logs, [self.gains(one) ** power for one in logs])

    def gains(self, logs: Array) -> Array:
        """Return the gain over chance of every depth of a readout."""
        n, codes = self.n_fit, self.codes[: self.n_fit]
        return np.array([gain_over_chance(a[:n], codes, self.weights) for a in logs])

    def information(self, logs: Array) -> Array:
        """Return by how much of the log-loss of the class shares every depth is better.

        A measure to weight by instead of the gain over chance.
        """
        codes, share = self.codes[: self.n_fit], self.weights / self.weights.sum()
        prior = np.log(np.bincount(codes, weights=share))[codes]
        right = logs[:, np.arange(self.n_fit), codes]
        return np.maximum(0.0, 1.0 - (right @ share) / (prior @ share))

    def sharpened(self, logs: Array) -> Array:
        """Calibrate each depth: probabilities (n, m + 1, C)."""
        fit = slice(None, self.n_fit)
        sharp = [fit_sharpness(a[fit], self.codes[fit], self.weights) for a in logs]
        return np.moveaxis(softmax(logs * np.array(sharp)[:, None, None], axis=2), 0, 1)

    def evidence(self, proba: Array, keys: Array | None = None) -> Evidence:
        keys = self.keys if keys is None else keys
        n, codes = self.n_fit, self.codes[: self.n_fit]
        database = Database.build(keys[:n], proba[:n], codes, method="exact")
        classes = np.arange(self.n_classes)
        return Evidence(
            database, database.keys, proba[:n], codes, classes, self.weights, self.costs
        )

    def score(self, proba: Array, exits: Array) -> tuple[float, float]:
        """Return accuracy and cost of the held-out texts."""
        held = self.codes[self.n_fit :]
        best = proba[self.n_fit :][np.arange(len(held)), exits]
        kind = None if np.ptp(self.weights) == 0 else "balanced"
        weights = sample_weights(held, np.arange(self.n_classes), kind)
        accuracy = float(weighted_accuracy(best, held, weights))
        return 100 * accuracy, float(self.costs[exits].mean())


Scores = dict[str, Any]


def by_confidence(case: Case, proba: Array, sure: Array | None = None) -> Scores:
    """Judge exits by the top probability, or by another measure (n, m + 1)."""
    proba = proba.astype(np.float32)
    known = case.evidence(proba)
    top = proba.max(axis=2) if sure is None else sure
    found = []
    for budget in BUDGETS:
        if sure is None:
            threshold = threshold_within(budget, known, 0)
        else:
            threshold = threshold_for(known, top[: case.n_fit], budget)
        found.append(case.score(proba, first_sure(top[case.n_fit :], threshold, 0)))
    return as_scores(found)


def threshold_for(known: Evidence, sure: Array, budget: float) -> float:
    """Choose as `threshold_within` does, for another measure of sureness (n, m + 1)."""
    tried = np.append(np.quantile(sure, np.linspace(0, 1, 400)), np.inf)
    return best_within(budget, known, tried, lambda value: first_sure(sure, value, 0))


def by_retrieval(case: Case, proba: Array, keys: Array | None = None) -> Scores:
    """Judge exits by the neighbours' gain, k = 12."""
    proba = proba.astype(np.float32)
    known = case.evidence(proba, keys)
    keys = case.keys if keys is None else keys
    gains = gains_left_out(known, [12])[12]
    neighbors = known.database.neighbors(keys[case.n_fit :], 12)
    expected = expected_gains(known.database, *neighbors)
    found = []
    for budget in BUDGETS:
        price = price_within(budget, known, gains, 0)
        exits = best_for_price(expected, known.costs, price, 0)
        found.append(case.score(proba, exits))
    return as_scores(found)


def as_scores(found: list[tuple[float, float]]) -> Scores:
    return {
        "accuracy": {
            str(b): round(a, 3) for b, (a, _) in zip(BUDGETS, found, strict=True)
        },
        "cost": {str(b): round(c, 4) for b, (_, c) in zip(BUDGETS, found, strict=True)},
    }


def candidates(case: Case) -> list[tuple[str, Scores]]:
    """Judge every candidate on a case."""
    read, text, around = (case.log_proba([part]) for part in range(3))
    together = case.log_proba([0, 1, 2])
    three = [read, text, around]
    chosen = case.average(three)
    averages = {
        "three readouts": chosen,
        "read alone": case.average([read]),
        "text alone": case.average([text]),
        "around alone": case.average([around]),
        "two readouts: read, text": case.average([read, text]),
        "one readout of all three, gain (as before)": case.average([together], 1),
        "one readout of all three": case.average([together]),
        "four readouts: the three, and that of all": case.average([*three, together]),
    }
    for power in (0, 1, 2, 4, 8, 12):
        averages[f"weighted by gain to the power of {power}"] = case.average(
            three, power
        )
    for power in (2, 4, 6):
        weights = [case.information(one) ** power for one in three]
        name = f"weighted by information to the power of {power}"
        averages[name] = averaged(three, weights)
    by_depth = [case.gains(one) * (1 + np.arange(len(one))) for one in three]
    averages["weighted by gain times depth"] = averaged(three, by_depth)
    at_once = zip(*three, strict=True)
    own = [case.average([one[None] for one in depth])[0] for depth in at_once]
    averages["no average over depths: own depth"] = np.stack(own)
    out = [
        (name, by_confidence(case, case.sharpened(logs)))
        for name, logs in averages.items()
    ]
    proba = case.sharpened(chosen)
    ordered = np.sort(proba, axis=2)
    margin = ordered[:, :, -1] - ordered[:, :, -2]
    out.append(("sure by margin", by_confidence(case, proba, margin)))
    entropy = (proba * np.log(np.maximum(proba, 1e-30))).sum(axis=2)
    out.append(("sure by entropy", by_confidence(case, proba, entropy)))
    same = np.zeros(proba.shape[:2])
    best = proba.argmax(axis=2)
    same[:, 1:] = best[:, 1:] == best[:, :-1]
    patient = proba.max(axis=2) * np.where(same, 1.0, 0.97)
    out.append(
        ("sure, less where the answer changed", by_confidence(case, proba, patient))
    )

    prior = neighbor_prior(case)
    for share in (0.1, 0.2, 0.4):
        mixed = (1 - share) * np.moveaxis(np.log(proba), 1, 0) + share * prior[None]
        out.append(
            (
                f"neighbours' classes as prior, {share}",
                by_confidence(case, case.sharpened(mixed)),
            )
        )

    out.append(("retrieval: depth-0 keys", by_retrieval(case, proba)))
    centered = case.keys - case.keys[: case.n_fit].mean(axis=0)
    centered /= np.linalg.norm(centered, axis=1, keepdims=True)
    out.append(("retrieval: centred cosine", by_retrieval(case, proba, centered)))
    flat = np.log(proba[:, 0]).astype(np.float32)
    out.append(
        ("retrieval: depth-0 log-probabilities", by_retrieval(case, proba, flat))
    )
    return out


def averaged(logs: Sequence[Array], weights: Sequence[Array]) -> Array:
    """Average readouts (m + 1, n, C) over the depths passed, by weights (m + 1,)."""
    passed = Passed()
    by_depth = zip(zip(*logs, strict=True), zip(*weights, strict=True), strict=True)
    return np.stack([passed.add(np.stack(a), np.array(w)) for a, w in by_depth])


def neighbor_prior(case: Case) -> Array:
    """Return log class shares of 12 neighbours by depth-0 keys, itself left out."""
    index = Database.build(
        case.keys[: case.n_fit],
        np.ones((case.n_fit, 1, case.n_classes), np.float32),
        case.codes[: case.n_fit],
        method="exact",
    )
    _, rows = index.neighbors(case.keys, 13)
    votes = np.eye(case.n_classes)[case.codes[: case.n_fit]][rows]
    own = rows == np.arange(len(rows))[:, None]
    own[:, -1] |= ~own.any(axis=1)
    votes[own] = 0
    share = (votes.sum(axis=1) + 1.0) / (12 + case.n_classes)
    return np.log(share / share.sum(axis=1, keepdims=True))


def done() -> set[tuple[str, int]]:
    return {(line["task"], line["seed"]) for line in lines()}


def lines() -> list[dict[str, Any]]:
    path = RESULTS / FILE
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def table() -> str:
    """Average over tasks and seeds, as Markdown."""
    found: dict[str, list[Any]] = defaultdict(list)
    for line in lines():
        found[line["candidate"]].append(line["accuracy"])
    head = ["candidate", *map(str, BUDGETS), "cases"]
    rows = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, scores in found.items():
        cells = [f"{np.mean([s[str(b)] for s in scores]):.2f}" for b in BUDGETS]
        rows.append("| " + " | ".join([name, *cells, str(len(scores))]) + " |")
    return "\n".join(rows)


def cost_table() -> str:
    """Compare costs with budgets, for what skraee does."""
    head = ["exit by", "budget", "mean", "largest", "cases above 1.1"]
    rows = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for exit_by, name in DONE.items():
        own = [line["cost"] for line in lines() if line["candidate"] == name]
        for budget in BUDGETS:
            shares = np.array([cost[str(budget)] / budget for cost in own])
            above = f"{(shares > 1.1).sum()} of {len(shares)}"
            numbers = [f"{value:.2f}" for value in (shares.mean(), shares.max())]
            cells = [exit_by, f"{budget:g}", *numbers, above]
            rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
