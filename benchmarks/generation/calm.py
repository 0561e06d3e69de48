"""CALM for generated text: each token leaves where it is sure, its state is copied.

Schuster et al., "Confident Adaptive Language Modeling", NeurIPS 2022: at every layer
the model's own head reads the state; where the probability of the first token leads
that of the second by a threshold, the token is named there. Later tokens look for its
keys and values in the layers that it has skipped: these are made of the state with
which it left. The threshold falls with the place of the token (their equation 5, with
the temperature 4). The prompt runs all layers, and so does the first token behind it.

For models whose layers are laid out as Llama's (Gemma 3, Qwen2). A text runs alone:
where a token leaves hangs on the token.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache, DynamicLayer

from benchmarks.generation.fixed import Writer
from skraee.backbone.ambient import own_torch_state
from skraee.engine.head import LabelHead, label_head
from skraee.engine.prefix import cache_argument
from skraee.engine.stacks import layers_of, open_stack, run_stack
from skraee.engine.views import Front

_DECAY = 4.0


class Token:
    """A token on its way: where it left, if it did."""

    def __init__(self, head: LabelHead, threshold: float) -> None:
        self.head = head
        self.threshold = threshold
        self.depth: int | None = None
        self.logits = torch.empty(0)

    def is_sure(self, states: Tensor) -> bool:
        self.logits = self.head(states[:, -1], 0)
        first, second = self.logits.softmax(dim=-1).topk(2).values[0].tolist()
        return bool(first - second >= self.threshold)


class Leaving(Front):
    """A layer that a token runs, or gives its state's keys and values to."""

    def __init__(self, layer: nn.Module, depth: int, last: int, cache: str) -> None:
        super().__init__(layer)
        self.depth = depth  # of what it gives
        self.last = last
        self.cache = cache
        self.token: Token | None = None

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        token = self.token
        if token is not None and token.depth is not None:
            copy_state(self.layer, hidden_states, kwargs[self.cache], kwargs)
            return hidden_states
        made = self.layer(hidden_states, *args, **kwargs)
        states = made if isinstance(made, Tensor) else made[0]
        if token is not None and self.depth < self.last and token.is_sure(states):
            token.depth = self.depth
        return made


def copy_state(layer: Any, states: Tensor, cache: Any, inputs: dict[str, Any]) -> None:
    """Put the keys and values of a state into a layer that it skips."""
    attention = layer.self_attn
    normed = layer.input_layernorm(states)
    shape = (*normed.shape[:-1], -1, attention.head_dim)
    keys = attention.k_proj(normed).view(shape).transpose(1, 2)
    values = attention.v_proj(normed).view(shape).transpose(1, 2)
    if hasattr(attention, "k_norm"):
        keys = attention.k_norm(keys)
    cos, sin = inputs["position_embeddings"]
    cache.update(rotated(keys, cos, sin), values, attention.layer_idx)


def rotated(keys: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn keys (n, heads, t, d) to their positions."""
    first, second = keys.chunk(2, dim=-1)
    turned = torch.cat([-second, first], dim=-1)
    return keys * cos[:, None] + turned * sin[:, None]


class Confident:
    """A backbone that decodes as CALM does."""

    def __init__(self, writer: Writer, threshold: float) -> None:
        self._writer = writer
        self._threshold = threshold
        backbone = writer.sweeper.backbone
        model, family = backbone.model, backbone.family
        own = layers_of(model, family, family.stacks[-1])
        if not all(hasattr(layer, "input_layernorm") for layer in own):
            raise ValueError(f"CALM here has no way into {type(own[0]).__name__}")
        name = cache_argument(type(model.get_submodule(family.stacks[-1])).forward)
        assert name is not None
        self._cache_name = name
        self._last = len(own)
        self._layers = [
            Leaving(layer, i + 1, len(own), name) for i, layer in enumerate(own)
        ]
        self._view = open_stack(model, family, family.stacks[-1], self._layers)
        self._head = label_head(backbone, None)
        self._device = backbone.device

    @own_torch_state()
    def write(self, ids: tuple[int, ...]) -> tuple[list[int], list[int]]:
        """Return the tokens behind a prompt, and the depth of each."""
        cache = Cache(layers=[DynamicLayer() for _ in self._layers])
        ending = self._writer.ending
        logits, _ = self._run(list(ids), 0, cache, None)
        tokens, depths = [int(logits.argmax())], [self._last]
        while not ending.has_come(tokens):
            place = len(tokens) / ending.max_new_tokens
            threshold = 0.9 * self._threshold + 0.1 * math.exp(-_DECAY * place)
            token = Token(self._head, min(1.0, threshold))
            start = len(ids) + len(tokens) - 1
            logits, depth = self._run(tokens[-1:], start, cache, token)
            tokens.append(int(logits.argmax()))
            depths.append(depth)
        return tokens, depths

    def _run(
        self, ids: list[int], start: int, cache: Cache, token: Token | None
    ) -> tuple[Tensor, int]:
        for layer in self._layers:
            layer.token = token
        positions = torch.arange(start, start + len(ids), device=self._device)
        states = run_stack(
            self._view,
            input_ids=torch.tensor([ids], device=self._device),
            position_ids=positions[None],
            use_cache=True,
            **{self._cache_name: cache},
        )
        if token is not None and token.depth is not None:
            return token.logits, token.depth
        return self._head(states[:, -1], 0), self._last
