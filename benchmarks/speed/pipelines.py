"""Predict against the library's pipelines with their defaults.

Bar: more than 8 times as fast.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.data import backbone_folder, read_task, sample
from benchmarks.learnt_tokenizer import learnt_tokenizer
from benchmarks.speed.options import Options
from benchmarks.speed.shapes import GEMMA, SHAPES, backbone_of
from benchmarks.speed.texts import filled, fitted, real_texts
from benchmarks.timing import alternate, ratio
from skraee import Backbone, RAEEClassifier, templates

ROBERTA = "roberta-large"


def pipelines(options: Options) -> None:
    text_generation(options)
    fill_mask(options)


def text_generation(options: Options) -> None:
    from transformers import pipeline

    clf = fitted("sst2", "auto", options.device)
    X = real_texts("sst2", 64)
    for dtype in ("auto", "bfloat16"):
        pipe = pipeline(
            "text-generation",
            model=str(backbone_folder(GEMMA)),
            device=options.device,
            dtype=dtype,
        )
        runs = {
            "predict": partial(clf.predict, X),
            "pipeline": partial(
                pipe, filled("sst2", X), max_new_tokens=1, do_sample=False
            ),
        }
        seconds = alternate(runs, 3)
        options.lines.add(
            figure="predict against pipeline('text-generation')",
            shape=GEMMA,
            dtype=format_of(backbone_of(GEMMA, "auto", options.device)),
            pipeline_dtype=format_of(pipe.model),
            texts=len(X),
            times=ratio(seconds["pipeline"], seconds["predict"], 2),
        )


def fill_mask(options: Options) -> None:
    """Compare on RoBERTa-large's shape, on the same texts."""
    from transformers import pipeline

    X, y = sample(*read_task("sst2", "test"), 32, seed=0)
    shape = SHAPES[ROBERTA]
    assert shape is not None
    model = shape.make(torch.float32, "cpu")
    tokenizer = learnt_tokenizer(read_task("sst2", "train")[0])
    pipe = pipeline(
        "fill-mask", model=model, tokenizer=tokenizer, device=options.device
    )
    template = templates.MASKED["sst2"].template.replace("{mask}", tokenizer.mask_token)
    prompts = [template.replace("{text}", text) for text in X]
    # A model of random weights has no exits worth timing: they are a real model's.
    real = fitted("sst2", "auto", options.device)
    shares = real.exit_layers(X) / real.n_layers_
    for dtype in ("bfloat16", "float32"):
        unfitted = masked(Backbone(model, tokenizer), dtype, options.device)
        clf = stopping_at(shares, unfitted, X, y)
        runs = {"ours": partial(clf.predict, X), "pipeline": partial(pipe, prompts)}
        seconds = alternate(runs, 3)
        options.lines.add(
            figure="predict against pipeline('fill-mask')",
            shape=ROBERTA,
            dtype=dtype,
            pipeline_dtype=format_of(model),
            texts=len(X),
            mean_exit=round(float(clf.exit_layers(X).mean()), 2),
            times=ratio(seconds["pipeline"], seconds["ours"], 2),
        )


def masked(backbone: Backbone, dtype: str, device: str) -> RAEEClassifier:
    prompt = templates.MASKED["sst2"]
    return RAEEClassifier(
        backbone,
        prompt.template,
        k=1,
        label_words=prompt.label_words,
        device=device,
        dtype=dtype,
        memory=None,
    )


def stopping_at(
    shares: np.ndarray, clf: RAEEClassifier, X: list[str], y: np.ndarray
) -> RAEEClassifier:
    """Fit, with k = 1, so that each text stops at a wanted share of the depth.

    The texts themselves are what is stored, each of them said to be right at one depth
    only, and each finds itself.
    """
    sweep = clf.sweep(X)
    exits = np.round(shares * sweep.n_layers).astype(int)
    classes = list(templates.MASKED["sst2"].label_words)
    columns = [classes.index(label) for label in y]
    logits = np.zeros_like(sweep.logits)
    logits[np.arange(len(X)), exits, columns] = 20.0
    return clf.fit_sweep(replace(sweep, logits=logits), y)


def format_of(model: Any) -> str:
    return str(model.dtype).removeprefix("torch.")
