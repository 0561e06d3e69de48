"""Tiny models read by nothing but their own forward, and exits found by a loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from scipy.special import softmax
from transformers import T5ForConditionalGeneration

from skraee import Backbone
from skraee.baselines import DeeBERTClassifier, FullDepthClassifier
from skraee.engine.stacks import layers_of
from skraee.text.prompt import Prompt
from tests.support.checkpoints import small_tokenizer
from tests.support.counting import counted_rows
from tests.support.models import MODELS, VOCAB, tiny_model, with_weights_drawn
from tests.support.prompts import LABEL_IDS
from tests.support.references import full_head, reference_states

FAMILIES = ["bert", "deberta-v3", "electra", "llama", "gemma2", "opt-350m", "t5"]
CLASSES = ["a", "b", "c"]
WORDS = {name: f"w{i}" for name, i in zip(CLASSES, LABEL_IDS, strict=True)}


def words(n: int, seed: int = 0) -> list[str]:
    """Draw distinct texts of 3 to 12 of the small tokenizer's words."""
    rng = np.random.default_rng(seed)
    return [
        " ".join(f"w{i}" for i in rng.integers(3, VOCAB - 1, rng.integers(3, 13)))
        for _ in range(n)
    ]


TEXTS = words(24)
LABELS = np.array(CLASSES)[np.random.default_rng(5).integers(0, 3, len(TEXTS))]
NEW = words(30, seed=1)


def deep_t5() -> Any:
    """A T5 whose decoder has layers enough to leave at several of them."""
    config = MODELS["t5"][1]()
    config.num_decoder_layers = 4
    return with_weights_drawn(T5ForConditionalGeneration, config)


class Plain:
    """A tiny model, read by nothing but the model's own forward."""

    def __init__(self, name: str) -> None:
        model = deep_t5() if name == "t5" else tiny_model(name)
        self.backbone = Backbone(model, small_tokenizer())
        self.loaded = self.backbone.load()
        self.kind = self.loaded.family.kind
        family = self.loaded.family
        stacks = [layers_of(self.loaded.model, family, s) for s in family.stacks]
        self.n_layers = sum(map(len, stacks))
        self.n_encoder = len(stacks[0]) if len(stacks) > 1 else 0
        self.template = "{text} {mask}" if self.kind == "masked" else "{text} w3"

    def prompt(self, text: str) -> Prompt:
        ids = [int(word[1:]) for word in text.split()]
        ids.append(VOCAB - 1 if self.kind == "masked" else 3)
        return Prompt(tuple(ids), len(ids) - 1, ((0, len(ids) - 1),))

    def plain_text(self, text: str) -> Prompt:
        ids = tuple(int(word[1:]) for word in text.split())
        read = 0 if self.kind == "masked" else len(ids) - 1
        return Prompt(ids, read, ((0, len(ids)),))

    def states(self, prompt: Prompt) -> np.ndarray:
        """States (m + 1, H) at the read position, before the final norm."""
        return np.stack([s.numpy() for s in reference_states(self.loaded, prompt)])

    @torch.no_grad()
    def closed(self, states: np.ndarray) -> list[torch.Tensor]:
        """The same behind the norm of their stack."""
        model, family = self.loaded.model, self.loaded.family
        found = []
        for depth, state in enumerate(torch.from_numpy(states)):
            in_decoder = self.n_encoder and depth > self.n_encoder
            stack = model.get_submodule(family.stacks[int(bool(in_decoder))])
            for name in family.final_norms:
                module = getattr(stack, name)
                state = state if module is None else module(state)
            found.append(state)
        return found

    @torch.no_grad()
    def logits(self, states: np.ndarray) -> np.ndarray:
        """Logits (m + 1, V) over the whole vocabulary."""
        model = self.loaded.model
        return np.stack([full_head(model, s).numpy() for s in self.closed(states)])

    def of(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """States (n, m + 1, H) and logits (n, m + 1, V) of prompts."""
        states = [self.states(self.prompt(text)) for text in texts]
        return np.stack(states), np.stack([self.logits(s) for s in states])

    def estimator(self, cls: Any, **params: Any) -> Any:
        defaults = {"batch_tokens": 10_000}  # one batch
        if cls is not DeeBERTClassifier:
            defaults |= {"template": self.template, "label_words": WORDS}
        if cls is not FullDepthClassifier:
            defaults |= {"memory": None}
        return cls(self.backbone, **{**defaults, **params})


@cache
def plain(name: str) -> Plain:
    return Plain(name)


@cache
def plain_of(name: str, which: str) -> tuple[np.ndarray, np.ndarray]:
    return plain(name).of(TEXTS if which == "fit" else NEW)


def first_of(stops: np.ndarray, first: int) -> np.ndarray:
    """The first depth of each text that may stop there, else the last."""
    exits = []
    for row in stops:
        found = [depth for depth in range(first, len(row)) if row[depth]]
        exits.append(found[0] if found else len(row) - 1)
    return np.array(exits)


def telling_threshold(
    measured: np.ndarray, stops_for: Callable[[float], np.ndarray], first: int
) -> float:
    """A threshold with which texts leave all along, not too near any measure."""
    ordered = np.unique(measured)
    gaps = np.diff(ordered)
    middles = (ordered[1:] + ordered[:-1])[gaps > np.quantile(gaps, 0.5)] / 2
    return float(
        max(middles, key=lambda t: len(np.unique(first_of(stops_for(t), first))))
    )


def check_run(clf: Any, model: Plain, expected: np.ndarray, proba: np.ndarray) -> None:
    """Answers, exits, and the rows that every layer was given."""
    clf.predict(NEW)  # whatever is made once is made now
    with counted_rows(model.loaded) as rows:
        found, exits = clf.predict_proba(NEW, return_exit_layers=True)
    assert exits.tolist() == expected.tolist()
    np.testing.assert_allclose(found, proba, atol=1e-4)
    ran = [int((expected > depth).sum()) for depth in range(expected.max())]
    assert [*rows.values()] == ran


def at(values: np.ndarray, exits: np.ndarray) -> np.ndarray:
    return values[np.arange(len(exits)), exits]


def plain_features(logits: np.ndarray) -> np.ndarray:
    """(gap, top) of the softmax over the last axis."""
    ordered = np.sort(softmax(logits.astype(np.float64), axis=-1), axis=-1)
    return np.stack([ordered[..., -1] - ordered[..., -2], ordered[..., -1]], axis=-1)
