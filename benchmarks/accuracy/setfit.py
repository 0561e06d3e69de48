"""SetFit: a peer that does train its language model.

It needs `pip install setfit 'datasets<5'` (SetFit 1.2.0 cannot make its pairs with
datasets 5.2.0), which nothing else here does.
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks.accuracy.judge import names_left, scores
from benchmarks.accuracy.methods import Method, answers_of
from benchmarks.accuracy.problem import ENCODER, Problem
from benchmarks.data import backbone_folder, read_task
from benchmarks.lines import Lines

SETFIT = "SetFit (gradient training)"

# Pairs of each text: SetFit's default makes all pairs, 4 million of 2,000 texts.
PAIRS = 1


class SetFit:
    """Pairs of texts train a sentence encoder, its vectors a head."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit(self, X: list[str], y: np.ndarray) -> None:
        from datasets import Dataset
        from setfit import SetFitModel, Trainer, TrainingArguments

        folder = str(backbone_folder(ENCODER))
        classes = sorted(set(y.tolist()))
        self.model = SetFitModel.from_pretrained(folder, labels=classes)
        arguments = TrainingArguments(
            batch_size=16,
            num_epochs=1,
            num_iterations=PAIRS,
            seed=self.seed,
            report_to="none",
            save_strategy="no",
            show_progress_bar=False,
        )
        table = Dataset.from_dict({"text": X, "label": y.tolist()})
        start = time.perf_counter()
        Trainer(model=self.model, args=arguments, train_dataset=table).train()
        self.seconds = time.perf_counter() - start

    def predict(self, X: list[str]) -> np.ndarray:
        return np.array(self.model.predict(X))


def judge_set_fit(problem: Problem, lines: Lines) -> None:
    """Train SetFit's sentence encoder; on sst2 time a fit of the closed form beside."""
    model = SetFit(problem.seed)
    method = Method(SETFIT, lambda p: answers_of(model, p))
    names = names_left(problem, method, lines)
    if not names:
        return
    answer = method.fit(problem)
    times = {"fit_seconds": round(model.seconds, 1)}
    if problem.task == "sst2":
        times["ridge_seconds"] = round(seconds_of_ridge(problem), 1)
    for name in names:
        X, y = read_task(name["test"], "test")
        lines.add(**name, **scores(problem, answer(X), (X, y)), **times)


def seconds_of_ridge(problem: Problem) -> float:
    start = time.perf_counter()
    problem.early_exit(memory=None)
    return time.perf_counter() - start
