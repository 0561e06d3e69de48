"""The estimator on real texts: its parts, its speed, and its number formats."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.data import backbone_folder, read_task
from benchmarks.lines import Line
from benchmarks.speed.options import Options
from benchmarks.speed.shapes import GEMMA, backbone_of
from benchmarks.speed.texts import (
    TASKS,
    filled,
    fitted,
    real_texts,
    swept,
    training_texts,
    unfitted,
)
from benchmarks.timing import alternate, ratio
from skraee import LayerSweep, RAEEClassifier

N_STORED = 10_000
N_AGREEING = 1_000  # training texts


def parts(options: Options) -> None:
    """Bar: key, search and rule at most 3 % of predict, 10,000 stored texts."""
    for task, dtype in product(TASKS, options.dtypes):
        clf, X = fitted_on_many(task, dtype, options.device), real_texts(task)
        clf.timings(X[:64])
        told = [clf.timings(X) for _ in range(options.n_rounds)]
        shares = {k: median(t.shares[k] for t in told) for k in told[0].seconds}
        options.lines.add(
            figure="parts of predict, 10,000 stored texts",
            task=task,
            dtype=dtype,
            texts=len(X),
            shares={k: round(v, 4) for k, v in shares.items()},
            key_and_search=round(shares["key"] + shares["search"], 4),
        )


def fitted_on_many(task: str, dtype: str, device: str) -> RAEEClassifier:
    """Fit on noisy copies of the keys of a few texts, for the search's time."""
    sweep, (_, y) = swept(task, dtype, device), training_texts(task)
    rows = np.random.default_rng(0).integers(len(sweep), size=N_STORED)
    noise = np.random.default_rng(1).normal(size=(N_STORED, sweep.keys.shape[1]))
    keys = sweep.keys[rows] + 0.05 * sweep.keys.std() * noise
    many = LayerSweep(
        keys.astype(np.float32), sweep.logits[rows], token_ids=sweep.token_ids
    )
    return unfitted(task, dtype, device).fit_sweep(many, y[rows])


def forward(options: Options) -> None:
    """Bar: at least 0.92 of full / mean exit over batches of 32 sorted by length."""
    for task, dtype in product(TASKS, options.dtypes):
        clf, X = fitted(task, dtype, options.device), real_texts(task)
        prompts = filled(task, X)
        runs: dict[str, Callable[[], Any]] = {
            "predict": partial(clf.predict, X),
            "forward": PlainForward(prompts, dtype, options.device),
        }
        if dtype != "float32":
            exact = PlainForward(prompts, "float32", options.device)
            runs["forward in float32"] = exact
        seconds = alternate(runs, options.n_rounds, n_warm=2)
        times = {
            name: ratio(seconds[name], seconds["predict"], 2) for name in list(runs)[1:]
        }
        mean_exit = float(clf.exit_layers(X).mean())
        options.lines.add(
            figure="predict against a full-depth forward, batches of 32",
            task=task,
            dtype=dtype,
            texts=len(X),
            mean_exit=round(mean_exit, 2),
            times=times,
            share_of_ideal=round(times["forward"] * mean_exit / clf.n_layers_, 3),
        )


class PlainForward:
    """What a user would write: tokenise, sort, batches of 32, the whole model."""

    def __init__(self, prompts: list[str], dtype: str, device: str) -> None:
        from transformers import AutoTokenizer

        self.loaded = backbone_of(GEMMA, dtype, device)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(backbone_folder(GEMMA))
        self.prompts = prompts

    @torch.no_grad()
    def __call__(self) -> None:
        ids = self.tokenizer(self.prompts)["input_ids"]
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        for start in range(0, len(order), 32):
            rows = [ids[i] for i in order[start : start + 32]]
            batch = self.tokenizer.pad(
                {"input_ids": rows}, padding_side="left", return_tensors="pt"
            ).to(self.loaded.device)
            self.loaded.model(**batch, use_cache=False, logits_to_keep=1)


def agreement(options: Options) -> None:
    """Bar: exits and labels of bfloat16 are those of float32 on 98 % of 872 texts."""
    X = read_task("sst2", "test")[0]
    swept_in = {
        dtype: swept("sst2", dtype, options.device, N_AGREEING)
        for dtype in ("float32", "bfloat16")
    }
    labels = training_texts("sst2", N_AGREEING)[1]

    def fitted_by(sweep: LayerSweep, dtype: str) -> RAEEClassifier:
        clf = unfitted("sst2", dtype, options.device, min_exit=0)
        return clf.fit_sweep(sweep, labels)

    exact = fitted_by(swept_in["float32"], "float32")
    halved = fitted_by(swept_in["bfloat16"], "bfloat16")
    run = fitted_by(swept_in["float32"], "bfloat16")
    full = np.mean(labels_at_full_depth(exact, X) == labels_at_full_depth(run, X))
    for tau in (0.9, 0.0):
        for what, clf in (("fitted and run", halved), ("run", run)):
            options.lines.add(
                figure=f"{what} in bfloat16 against float32",
                task="sst2",
                tau=tau,
                texts=len(X),
                **shares_of_equals(
                    exact.set_params(tau=tau), clf.set_params(tau=tau), X
                ),
                same_label_at_full_depth=round(float(full), 4),
            )


def labels_at_full_depth(clf: RAEEClassifier, X: list[str]) -> np.ndarray:
    return np.asarray(clf.layer_proba(X)[:, -1].argmax(axis=1))


def shares_of_equals(one: RAEEClassifier, other: RAEEClassifier, X: list[str]) -> Line:
    """Return on which share of texts two classifiers agree."""
    (labels, exits), (found, stops) = (
        clf.predict(X, return_exit_layers=True) for clf in (one, other)
    )
    same_exit, same_label = stops == exits, found == labels
    return {
        "same_exit": round(float(same_exit.mean()), 4),
        "same_label": round(float(same_label.mean()), 4),
        "same_both": round(float((same_exit & same_label).mean()), 4),
    }
