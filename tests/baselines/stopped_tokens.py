"""Tokens that stop, in a dense pass by the model's own forward."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from skraee import toy
from skraee.backbone.loaded import LoadedBackbone
from skraee.engine.stacks import layers_of
from tests.support.models import MODELS

# OPT's layers keep nothing apart; the tiny DeBERTa-v2 has a convolution.
ABLE = [name for name in MODELS if name not in {"opt", "opt-350m", "deberta-v2"}]
HASHES = ("frequency", "mi", "random", "cluster")
LENGTHS = (9, 4, 14, 6, 9, 7, 5, 12)
KINDS: tuple[toy.Kind, ...] = ("masked", "causal", "seq2seq")


def first_layers(backbone: LoadedBackbone) -> list[Any]:
    family = backbone.family
    return layers_of(backbone.model, family, family.stacks[0])


@contextmanager
def stopping_tokens(backbone: LoadedBackbone, layers: np.ndarray) -> Iterator[None]:
    """Let the model run densely, and undo each layer where a token has stopped."""
    n_called = 0

    def undo(module: Any, args: Any, kwargs: Any, out: Any) -> Any:
        nonlocal n_called
        n_called += 1
        entered = args[0] if args else kwargs["hidden_states"]
        runs = torch.from_numpy(layers >= n_called)[None, :, None]
        if isinstance(out, tuple):
            return (torch.where(runs, out[0], entered), *out[1:])
        return torch.where(runs, out, entered)

    hooks = [
        layer.register_forward_hook(undo, with_kwargs=True)
        for layer in dict.fromkeys(first_layers(backbone))
    ]
    yield
    for hook in hooks:
        hook.remove()
