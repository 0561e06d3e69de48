"""Generators for tests, and texts whose best depth is known."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

from skraee import RAEEGenerator, toy
from skraee.sweep.settings import SweepSettings
from skraee.text.template import Template

TEMPLATE = "{text} it was"
N_NEW = 4
#: Depth whose own words are the targets of a class.
DEPTHS = {"negative": 2, "positive": 4}


def generator(kind: toy.Kind = "causal", **settings: Any) -> RAEEGenerator:
    settings = {"k": 5, "max_new_tokens": N_NEW, "memory": None, **settings}
    return RAEEGenerator(toy.backbone(kind), TEMPLATE, **settings)


@cache
def told(kind: toy.Kind = "causal", seed: int = 0) -> tuple[list[str], list[str], Any]:
    """Return texts, what the library generates for them at the depth of their class.

    Those that the tokenizer would not read as they were written are left out.
    """
    texts, labels = toy.reviews(120, seed)
    backbone = toy.backbone(kind).load()
    prompts = SweepSettings(toy.backbone(kind), Template(TEMPLATE)).prompt_encoder(
        backbone
    )
    found = []
    for text, label in zip(texts, labels.tolist(), strict=True):
        (prompt,) = prompts.encode([(text,)])
        depth = DEPTHS[label]
        ids = own_tokens(kind, depth, prompt.ids)
        said = backbone.tokenizer.text(ids).strip()
        first = kind == "seq2seq"
        again = backbone.tokenizer.plain([said if first else f" {said}"], first=first)
        if len(ids) == N_NEW and again == [ids]:
            found.append((text, said, depth))
    X, y, depths = zip(*dict.fromkeys(found), strict=True)
    return list(X), list(y), np.array(depths)


@torch.no_grad()
def own_tokens(kind: toy.Kind, depth: int, ids: tuple[int, ...]) -> list[int]:
    model = cut_toy(kind, depth)
    given = torch.tensor([ids])
    out = model.generate(
        given,
        attention_mask=torch.ones_like(given),
        max_new_tokens=N_NEW,
        do_sample=False,
        pad_token_id=0,
    )
    n_before = 1 if kind == "seq2seq" else len(ids)
    return out[0, n_before:].tolist()


@cache
def cut_toy(kind: toy.Kind, depth: int) -> Any:
    model = deepcopy(toy.backbone(kind).load().model)
    if kind == "seq2seq":
        model.decoder.block = nn.ModuleList(list(model.decoder.block)[:depth])
        model.config.num_decoder_layers = model.decoder.config.num_layers = depth
    else:
        model.model.layers = nn.ModuleList(list(model.model.layers)[:depth])
        model.config.num_hidden_layers = depth
    return model
