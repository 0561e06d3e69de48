"""Real texts, and the exits that Gemma 3 270M has on them."""

from __future__ import annotations

from functools import cache

import numpy as np

from benchmarks.data import Labelled, backbone_folder, read_task, sample
from benchmarks.speed.shapes import GEMMA
from skraee import Backbone, LayerSweep, RAEEClassifier, templates

TASKS = ("sst2", "subj")
N_FIT = 500


def training_texts(task: str, size: int = N_FIT) -> Labelled:
    return sample(*read_task(task, "train"), size, seed=0)


def real_texts(task: str, n_texts: int = 256) -> list[str]:
    return sample(*read_task(task, "test"), n_texts, seed=0)[0]


def mixed_texts(n_texts: int) -> list[str]:
    """Take half of the texts from one task, half from the other."""
    return [t for task in TASKS for t in real_texts(task, n_texts // len(TASKS))]


def filled(task: str, texts: list[str]) -> list[str]:
    """Return the prompts of texts as a user would write them."""
    template = templates.CAUSAL[task].template
    return [template.replace("{text}", text) for text in texts]


def unfitted(task: str, dtype: str, device: str, min_exit: int = 1) -> RAEEClassifier:
    """Return Gemma with depth-0 keys, the paper's k and tau; it keeps no text."""
    prompt = templates.CAUSAL[task]
    return RAEEClassifier(
        Backbone(backbone_folder(GEMMA)),
        prompt.template,
        label_words=prompt.label_words,
        min_exit=min_exit,
        dtype=dtype,
        device=device,
        memory=None,
    )


@cache
def swept(task: str, dtype: str, device: str, size: int = N_FIT) -> LayerSweep:
    return unfitted(task, dtype, device).sweep(training_texts(task, size)[0])


@cache
def fitted(task: str, dtype: str, device: str) -> RAEEClassifier:
    sweep, (_, labels) = swept(task, dtype, device), training_texts(task)
    return unfitted(task, dtype, device).fit_sweep(sweep, labels)


def real_shares(n_texts: int, device: str) -> np.ndarray:
    """Return the exits of `mixed_texts`, as shares of the depth."""
    found = []
    for task in TASKS:
        clf = fitted(task, "auto", device)
        exits = clf.exit_layers(real_texts(task, n_texts // len(TASKS)))
        found.append(exits / clf.n_layers_)
    return np.concatenate(found)
