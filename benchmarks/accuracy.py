"""How accurate skraee is at which cost, beside the plain peers, on eight tasks.

    python benchmarks/accuracy.py                       Gemma 3 270M, eight tasks
    python benchmarks/accuracy.py --seeds 0 --tasks sst2 trec
    python benchmarks/accuracy.py --backbone qwen2.5-0.5b --tasks sst2 trec subj cola
    python benchmarks/accuracy.py --times               milliseconds, one line a task
    python benchmarks/accuracy.py --setfit --seeds 0    SetFit (see gradient_peer.py)
    python benchmarks/accuracy.py --table               tables and plot of what is there

Every method is fitted on 2,000 training texts drawn with a seed and judged on the whole
test file. Writes results/accuracy.jsonl line by line and goes on where it stopped;
sweeps are kept in --store. Needs $SKRAEE_BACKBONES and $SKRAEE_DATA.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any

import numpy as np
from accuracy_table import write_tables
from common import RESULTS, backbone_folder, read_task, record, sample
from gradient_peer import fitted_set_fit
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, matthews_corrcoef
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from skraee import Backbone, Encoder, RAEEClassifier, templates
from skraee.calibration import sample_weights
from skraee.learning import Evidence
from skraee.stopping import (
    best_for_price,
    expected_gains,
    first_sure,
    gains_left_out,
    price_within,
    threshold_within,
)
from skraee.sweep_cache import FolderStore

FILE = "accuracy.jsonl"
TASKS = ("sst2", "sst5", "mr", "cr", "mpqa", "subj", "trec", "cola")
UNEQUAL = ("cr", "mpqa")  # training files of unequal classes, test files of equal ones
ELSEWHERE = {"mr": "cr", "sst2": "mpqa"}  # fitted on -> tested on
BUDGETS = (0.1, 0.2, 0.3, 0.5, 1.0)
N_FIT, N_TIMED = 2_000, 128
SETFIT = "SetFit (gradient training)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="gemma3-270m")
    parser.add_argument("--tasks", nargs="*", default=list(TASKS), choices=TASKS)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--store", default=None, help="folder for sweeps")
    parser.add_argument("--times", action="store_true", help="measure times instead")
    parser.add_argument("--setfit", action="store_true", help="run SetFit instead")
    parser.add_argument("--table", action="store_true", help="only write the tables")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    work = measure_times if args.times else judge_set_fit if args.setfit else judge
    if not args.table:
        for seed in args.seeds:
            for task in args.tasks:
                problem = Problem(args.backbone, task, seed, args.store)
                work(problem)
    write_tables(RESULTS / FILE)


@dataclass(frozen=True)
class Problem:
    """A task, a backbone, and a sample of the training file."""

    backbone: str
    task: str
    seed: int
    store: str | None

    @cached_property
    def train(self) -> tuple[list[str], np.ndarray]:
        return sample(*read_task(self.task, "train"), N_FIT, seed=self.seed)

    @cached_property
    def memory(self) -> Any:
        return None if self.store is None else FolderStore(self.store, 2**35)

    def classifier(self, **params: Any) -> RAEEClassifier:
        return self.unfitted(**params).fit(*self.train)

    def unfitted(self, **params: Any) -> RAEEClassifier:
        prompt = templates.CAUSAL[self.task]
        return RAEEClassifier(
            Backbone(backbone_folder(self.backbone)),
            prompt.template,
            label_words=prompt.label_words,
            **{"memory": self.memory, **params},
        )

    @property
    def weightings(self) -> list[str | None]:
        return [None, "balanced"] if self.task in UNEQUAL else [None]

    @property
    def tests(self) -> list[str]:
        other = ELSEWHERE.get(self.task)
        return [self.task, other] if other else [self.task]


@dataclass(frozen=True)
class Answers:
    """What a method says of a test file, and what it costs."""

    labels: np.ndarray
    cost: float | None = None
    exits: np.ndarray | None = None


# Accuracy


def judge(problem: Problem) -> None:
    """Run all methods on a problem, except those that stand in the file already."""
    done = lines_done()
    if expected(problem) <= done:
        return
    for method, class_weight, budget, answers_to in methods(problem):
        for test in problem.tests:
            name = name_of(problem, test, method, class_weight, budget)
            if json.dumps(name) in done:
                continue
            X, y = read_task(test, "test")
            answers = answers_to(X)
            record(FILE, **name, **scores(problem, answers, y))


def scores(problem: Problem, answers: Answers, y: np.ndarray) -> dict[str, Any]:
    cost, exits = answers.cost, answers.exits
    return {
        "accuracy": round(100 * accuracy_score(y, answers.labels), 3),
        "mcc": round(100 * matthews_corrcoef(y, answers.labels), 3),
        "cost": None if cost is None else round(cost, 4),
        "mean_exit": None if exits is None else round(float(exits.mean()), 3),
        "n_fit": len(problem.train[0]),
        "n_test": len(y),
    }


def judge_set_fit(problem: Problem) -> None:
    """Train SetFit's sentence encoder; on sst2 time a fit of the closed form beside."""
    names = {test: name_of(problem, test, SETFIT, None, None) for test in problem.tests}
    done = lines_done()
    if {json.dumps(name) for name in names.values()} <= done:
        return
    model, seconds = fitted_set_fit(*problem.train, problem.seed, "minilm-l6")
    times = {"fit_seconds": round(seconds, 1)}
    if problem.task == "sst2":
        start = time.perf_counter()
        problem.classifier(readout="ridge", exit_by="confidence", memory=None)
        times["ridge_seconds"] = round(time.perf_counter() - start, 1)
    for test, name in names.items():
        X, y = read_task(test, "test")
        answers = Answers(np.array(model.predict(X)))
        found = scores(problem, answers, y)
        record(FILE, **name, **found, **times)


def name_of(
    problem: Problem,
    test: str,
    method: str,
    class_weight: str | None,
    budget: float | None,
) -> dict[str, Any]:
    return {
        "backbone": problem.backbone,
        "task": problem.task,
        "test": test,
        "seed": problem.seed,
        "method": method,
        "class_weight": class_weight,
        "budget": budget,
    }


def expected(problem: Problem) -> set[str]:
    """Return the names of all lines that a problem gives, without any fit."""
    found: list[tuple[str, str | None, float | None]] = [
        ("zero-shot, full depth", None, None),
        ("RAEE, depth-0 keys", None, None),
        ("RAEE, MiniLM keys", None, None),
        ("MiniLM + k-NN vote", None, None),
    ]
    for weight in problem.weightings:
        found += [
            ("ridge, full depth", weight, None),
            ("TF-IDF + logistic regression", weight, None),
            ("MiniLM + logistic regression", weight, None),
        ]
        for exit_by in ("confidence", "retrieval"):
            found += [(f"ridge, exit by {exit_by}", weight, b) for b in BUDGETS]
    return {
        json.dumps(name_of(problem, test, *one))
        for test in problem.tests
        for one in found
    }


Method = tuple[str, str | None, float | None, Callable[[list[str]], Answers]]


def methods(problem: Problem) -> Iterator[Method]:
    """Yield name, class_weight, budget, and what answers texts."""
    encoder = Encoder(backbone_folder("minilm-l6"))
    for class_weight in problem.weightings:
        yield from ridge(problem, class_weight)
        yield from plain_peers(problem, class_weight, encoder)
    yield from as_published(problem, encoder)


def as_published(problem: Problem, encoder: Encoder) -> Iterator[Method]:
    """Yield the backbone alone, and RAEE in the paper's form."""
    clf = problem.classifier()
    yield (
        "zero-shot, full depth",
        None,
        None,
        lambda X: Answers(clf.classes_[clf.layer_proba(X)[:, -1].argmax(1)], 1.0),
    )
    yield "RAEE, depth-0 keys", None, None, lambda X: predicted(clf, X)
    with_encoder = problem.classifier(encoder=encoder)
    yield "RAEE, MiniLM keys", None, None, lambda X: predicted(with_encoder, X)


def predicted(clf: RAEEClassifier, X: list[str]) -> Answers:
    clf.layer_proba(X)  # kept in the store, so that other methods find it
    labels, exits = clf.predict(X, return_exit_layers=True)
    return Answers(labels, float(clf.cost_[exits].mean()), exits)


def ridge(problem: Problem, class_weight: str | None) -> Iterator[Method]:
    """Yield the closed-form readout at full depth and with both exits.

    One fit serves all budgets: what fit would choose for each is chosen here, by the
    same functions, and `predict` is a row of `layer_proba`.
    """
    clf = problem.classifier(readout="ridge", class_weight=class_weight)
    known = evidence_of(clf, class_weight)
    swept: dict[int, np.ndarray] = {}

    def proba_of(X: list[str]) -> np.ndarray:
        if id(X) not in swept:
            swept.clear()
            swept[id(X)] = clf.layer_proba(X)
        return swept[id(X)]

    def at(exits: np.ndarray, X: list[str]) -> Answers:
        best = proba_of(X)[np.arange(len(X)), exits].argmax(axis=1)
        return Answers(clf.classes_[best], float(clf.cost_[exits].mean()), exits)

    yield (
        "ridge, full depth",
        class_weight,
        None,
        lambda X: at(np.full(len(X), clf.n_layers_), X),
    )
    gains = gains_left_out(known, [clf.k])[clf.k]
    for budget in BUDGETS:
        threshold = threshold_within(budget, known, 0)
        yield (
            "ridge, exit by confidence",
            class_weight,
            budget,
            lambda X, t=threshold: at(first_sure(proba_of(X).max(axis=2), t, 0), X),
        )
        price = price_within(budget, known, gains, 0)

        def by_neighbors(X: list[str], price: float = price) -> Answers:
            found = clf.kneighbors(X)
            expected = expected_gains(known.database, *found)
            return at(best_for_price(expected, known.costs, price, 0), X)

        yield "ridge, exit by retrieval", class_weight, budget, by_neighbors


def evidence_of(clf: RAEEClassifier, class_weight: str | None) -> Evidence:
    """Return what fit knew of its texts."""
    database = clf._fitted.database
    weights = sample_weights(database.labels, clf.classes_, class_weight)
    return Evidence(
        database,
        database.keys,
        database.proba,
        database.labels,
        clf.classes_,
        weights,
        clf.cost_,
    )


def plain_peers(
    problem: Problem,
    class_weight: str | None,
    encoder: Encoder,
    encode: Callable[[list[str]], np.ndarray] | None = None,
) -> Iterator[Method]:
    """Yield what one would try first: no gradient steps through a language model.

    `encode` makes the vectors of the texts to answer; by default they are kept too.
    """
    X, y = problem.train
    words = searched(class_weight).set_params(
        estimator=make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2),
            LogisticRegression(max_iter=2_000, class_weight=class_weight),
        ),
        param_grid={"logisticregression__C": CS},
    )
    words.fit(X, y)
    yield "TF-IDF + logistic regression", class_weight, None, answers_of(words)
    vectors = Vectors(problem, encoder)
    encode = vectors if encode is None else encode
    linear = searched(class_weight).fit(vectors(X), y)
    yield (
        "MiniLM + logistic regression",
        class_weight,
        None,
        lambda texts: Answers(linear.predict(encode(texts))),
    )
    if class_weight is None:
        votes = KNeighborsClassifier(12, weights="distance").fit(vectors(X), y)
        yield (
            "MiniLM + k-NN vote",
            None,
            None,
            lambda texts: Answers(votes.predict(encode(texts))),
        )


CS = [1.0, 10.0, 100.0]


def searched(class_weight: str | None) -> GridSearchCV:
    """Return a logistic regression whose C is searched with five folds."""
    scoring = "accuracy" if class_weight is None else "balanced_accuracy"
    linear = LogisticRegression(max_iter=2_000, class_weight=class_weight)
    return GridSearchCV(linear, {"C": CS}, cv=5, scoring=scoring, n_jobs=2)


def answers_of(model: Any) -> Callable[[list[str]], Answers]:
    return lambda texts: Answers(model.predict(texts))


class Vectors:
    """Sentence vectors, kept beside the sweeps."""

    def __init__(self, problem: Problem, encoder: Encoder) -> None:
        self._encoder = encoder
        self._store = problem.memory

    def __call__(self, texts: list[str]) -> np.ndarray:
        from skraee.sweep_cache import record_keys

        if self._store is None:
            return self._encoder.encode(texts)
        context = ["encoder", self._encoder.fingerprint()]
        names = record_keys("key", context, [(text,) for text in texts])
        found = self._store.read(names)
        new = [i for i, vector in enumerate(found) if vector is None]
        if new:
            made = self._encoder.encode([texts[i] for i in new])
            for i, vector in zip(new, made, strict=True):
                found[i] = {"key": vector}
            self._store.write({names[i]: found[i] for i in new})
        return np.stack([vector["key"] for vector in found])


def lines_done() -> set[str]:
    path = RESULTS / FILE
    if not path.is_file():
        return set()
    names = ("backbone", "task", "test", "seed", "method", "class_weight", "budget")
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return {json.dumps({n: line[n] for n in names}) for line in lines if "seed" in line}


# Time


def measure_times(problem: Problem) -> None:
    """Time all methods on the same new texts, in turns; milliseconds per text."""
    from sentence_transformers import SentenceTransformer

    X = sample(*read_task(problem.task, "test"), N_TIMED, seed=0)[0]
    encoder = Encoder(backbone_folder("minilm-l6"))
    runs: dict[str, Callable[[], Any]] = {}
    for exit_by in ("confidence", "retrieval"):
        clf = problem.classifier(readout="ridge", exit_by=exit_by, budget=1.0)
        known = evidence_of(clf, None)
        clf._fitted.database.shared = False  # every round searches anew
        for budget in BUDGETS:
            twin = copy(clf)
            twin.memory = None
            if exit_by == "confidence":
                twin.threshold_ = threshold_within(budget, known, 0)
            else:
                gains = gains_left_out(known, [clf.k])[clf.k]
                twin.lambda_ = price_within(budget, known, gains, 0)
            runs[f"ridge, exit by {exit_by}, {budget}"] = lambda c=twin: c.predict(X)
    paper = copy(problem.classifier())
    paper.memory = None
    paper._fitted.database.shared = False
    runs["RAEE, depth-0 keys"] = lambda: paper.predict(X)
    for name, _, _, answers_to in plain_peers(problem, None, encoder, encoder.encode):
        runs[name] = lambda f=answers_to: f(X)
    halved = SentenceTransformer(str(backbone_folder("minilm-l6"))).bfloat16()
    halved_peers = plain_peers(problem, None, encoder, halved.encode)
    for name, _, _, answers_to in halved_peers:
        if "MiniLM" in name:
            runs[f"{name}, bfloat16"] = lambda f=answers_to: f(X)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for round_ in range(4):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if round_:  # the first warms up
                seconds[name].append(time.perf_counter() - start)
    per_text = {k: round(1000 * median(v) / len(X), 3) for k, v in seconds.items()}
    record(
        FILE,
        backbone=problem.backbone,
        task=problem.task,
        times=per_text,
        texts=len(X),
    )


if __name__ == "__main__":
    main()
