"""SetFit: a peer that does train its language model.

It needs `pip install setfit 'datasets<5'` (SetFit 1.2.0 cannot make its pairs with
datasets 5.2.0), which nothing else here does.
"""

from __future__ import annotations

import time
from typing import Any, Self

import numpy as np

from benchmarks.accuracy.methods import MINILM, Method, answers_of
from benchmarks.accuracy.problem import Problem
from benchmarks.accuracy.results import Results, name_of
from benchmarks.data import backbone_folder

SETFIT = "SetFit"

# As SetFit publishes it: so often each text is in a pair of equal and one of unequal
# classes. All pairs, its later default, are 4 million of 2,000 texts.
N_ITERATIONS = 20


class SetFit:
    """Pairs of texts train a sentence encoder, its vectors a head without weights."""

    def __init__(self, seed: int, n_iterations: int) -> None:
        self.seed = seed
        self.n_iterations = n_iterations

    def fit(self, X: list[str], y: np.ndarray) -> Self:
        from datasets import Dataset
        from setfit import SetFitModel, Trainer, TrainingArguments

        folder = str(backbone_folder(MINILM))
        self.classes_ = np.unique(y)
        names = self.classes_.tolist()
        self.model = SetFitModel.from_pretrained(folder, labels=names)
        arguments = TrainingArguments(
            batch_size=16,
            num_epochs=1,
            num_iterations=self.n_iterations,
            seed=self.seed,
            report_to="none",
            save_strategy="no",
            show_progress_bar=False,
        )
        table = Dataset.from_dict({"text": X, "label": y.tolist()})
        start = time.perf_counter()
        Trainer(model=self.model, args=arguments, train_dataset=table).train()
        self.seconds = time.perf_counter() - start
        return self

    def predict_proba(self, X: list[str]) -> np.ndarray:
        proba = np.asarray(self.model.predict_proba(X, as_numpy=True))
        head: Any = self.model.model_head
        return proba[:, np.argsort(head.classes_)]


def judge_set_fit(problem: Problem, results: Results, n_iterations: int) -> None:
    """Train SetFit's sentence encoder and judge it, unless that is done."""
    model = SetFit(problem.seed, n_iterations)
    method = Method(f"{SETFIT}, {n_iterations} iterations", lambda p: model)
    names = results.missing(name_of(problem, t, method) for t in problem.tests)
    if not names:
        return
    try:
        model.fit(*problem.train)
        for name in names:
            X, y = problem.test(name["test"])
            results.add(
                name,
                answers_of(method, model, X),
                y,
                n_fit=len(problem.train[0]),
                iterations=n_iterations,
                fit_seconds=round(model.seconds, 1),
            )
    except Exception as error:
        results.add_failed(results.missing(names), error)
