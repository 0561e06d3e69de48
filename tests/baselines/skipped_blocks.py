"""Blocks that are skipped by hooks on the model's own forward."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from skraee import toy
from skraee.backbone.families import FAMILIES
from skraee.backbone.loaded import LoadedBackbone
from skraee.baselines.sleb.exercises import Exercise, exercises_for
from skraee.engine.stacks import layers_of
from skraee.text.tokenizer import TextTokenizer
from tests.support.checkpoints import small_tokenizer
from tests.support.models import MODELS, with_weights_drawn

KINDS: tuple[toy.Kind, ...] = ("masked", "causal", "seq2seq")
N_LAYERS = 6


def deep_model(name: str, n_layers: int = N_LAYERS) -> Any:
    """Make a tiny model with enough blocks to choose from; of a T5 as many each."""
    model_class, make_config = MODELS[name]
    config = make_config()
    config.num_hidden_layers = n_layers
    if hasattr(config, "num_decoder_layers"):
        config.num_decoder_layers = n_layers
    kinds = getattr(config, "layer_types", None)
    if kinds:
        config.layer_types = (list(kinds) * n_layers)[:n_layers]
    return with_weights_drawn(model_class, config)


def deep(name: str) -> LoadedBackbone:
    model = deep_model(name)
    return LoadedBackbone(
        model=model,
        tokenizer=TextTokenizer.from_hf(small_tokenizer()),
        family=FAMILIES[model.config.model_type],
        dtype=torch.float32,
        device=torch.device("cpu"),
        fingerprint=name,
    )


def blocks(backbone: LoadedBackbone) -> list[Any]:
    model, family = backbone.model, backbone.family
    return [
        layer for stack in family.stacks for layer in layers_of(model, family, stack)
    ]


@contextmanager
def skipping(backbone: LoadedBackbone, removed: Iterable[int]) -> Iterator[None]:
    """Let some blocks of the model return their input."""
    removed = set(removed)
    n_called = 0

    def skip(module: Any, args: Any, kwargs: Any, out: Any) -> Any:
        nonlocal n_called
        n_called += 1
        if n_called - 1 not in removed:
            return None
        entered = args[0] if args else kwargs["hidden_states"]
        return (entered, *out[1:]) if isinstance(out, tuple) else entered

    hooks = [
        layer.register_forward_hook(skip, with_kwargs=True)
        for layer in dict.fromkeys(blocks(backbone))
    ]
    yield
    for hook in hooks:
        hook.remove()


@torch.no_grad()
def loss_by_hand(
    backbone: LoadedBackbone, removed: Iterable[int], exercises: Sequence[Exercise]
) -> float:
    """Mean loss over all predicted tokens, one text after the other."""
    losses = []
    for exercise in exercises:
        inputs = {"input_ids": torch.tensor([exercise.prompt.ids])}
        if exercise.decoder_ids:
            inputs["decoder_input_ids"] = torch.tensor([exercise.decoder_ids])
        with skipping(backbone, removed):
            logits = backbone.model(**inputs).logits[0].double()
        logs = torch.log_softmax(logits, dim=-1)
        losses += [
            -float(logs[place, token])
            for place, token in zip(exercise.positions, exercise.targets, strict=True)
        ]
    return float(np.mean(losses))


def some_exercises(backbone: LoadedBackbone, n_texts: int = 7) -> list[Exercise]:
    rng = np.random.default_rng(2)
    texts = [
        " ".join(f"w{i}" for i in rng.integers(3, 63, size=rng.integers(2, 30)))
        for _ in range(n_texts)
    ]
    return exercises_for(backbone, texts, np.random.RandomState(0))


@contextmanager
def counted_calls(backbone: LoadedBackbone) -> Iterator[Counter[int]]:
    """Count how often each block runs."""
    calls: Counter[int] = Counter()
    hooks = [
        layer.attention.register_forward_pre_hook(
            lambda module, args, i=i: calls.update([i])
        )
        for i, layer in enumerate(blocks(backbone))
    ]
    yield calls
    for hook in hooks:
        hook.remove()
