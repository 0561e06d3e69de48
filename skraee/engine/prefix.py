"""The template's first tokens, run once: what later batches read of them.

All prompts of a template begin alike: special tokens, the words before the text. In a
causal model nothing behind them changes their states, so one pass of a single row gives
their keys and values in every layer. A batch then runs the tokens behind them only. The
model's own forward finds the rest where it looks when it generates text: in a cache.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers.cache_utils import (
    Cache,
    DynamicCache,
    DynamicLayer,
    DynamicSlidingWindowLayer,
)

from skraee.backbone.ambient import own_torch_state
from skraee.engine.lru_cache import LRUCache
from skraee.engine.rotation import changing_rotations
from skraee.engine.stacks import layers_of
from skraee.text.prompt import Prompt, common_prefix

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from skraee.backbone.families import Family
    from skraee.backbone.loaded import LoadedBackbone

# Attention whose masks are made from the cache's length. Others lay out their keys in
# ways of their own.
_ATTENTION = {"eager", "sdpa"}
# What the library keeps of layers that keep keys and values.
_PLAIN = (DynamicLayer, DynamicSlidingWindowLayer)

# A prefix wins about its share of the tokens, but needs a mask where attention would do
# without: a loss of 2 to 8 % at 1,000 tokens (Gemma 3 270M, CPU, bfloat16).
_WORTHWHILE = 1 / 16

# Prefixes that are kept of a backbone: as many templates as are compared at a time. One
# token of a model of 8e9 parameters takes 128 KiB.
_KEPT_PREFIXES = 4


def takes_prefix(backbone: LoadedBackbone) -> bool:
    """Whether the first tokens' keys and values are the same in every batch."""
    return backbone.derived("takes prefix", lambda: _takes_prefix(backbone))


def prefix_cache(backbone: LoadedBackbone, ids: tuple[int, ...]) -> Cache:
    """Return the keys and values of tokens that prompts begin with.

    They are computed once, and kept while no more than a few others are asked for.

    Parameters
    ----------
    backbone : LoadedBackbone
    ids : tuple of int
        At least one.
    """
    return kept_prefixes(backbone).get(
        ids, lambda: run_prefix(backbone.model, backbone.family, ids)
    )


def prefix_worth_reusing(prompts: Sequence[Prompt]) -> tuple[int, ...]:
    """Return the first tokens of all prompts, if they are enough to run them apart."""
    prefix = common_prefix(prompts)
    n_tokens = sum(len(prompt.ids) for prompt in prompts)
    return prefix if len(prefix) * len(prompts) >= _WORTHWHILE * n_tokens else ()


def kept_prefixes(backbone: LoadedBackbone) -> LRUCache:
    """Return what is kept of a backbone's prefixes: their tokens -> `Cache`."""
    # They hang on templates alone, so that forgetting texts does not forget them.
    return backbone.derived(
        "prefixes", lambda: LRUCache(_KEPT_PREFIXES, is_cleared=False)
    )


def _takes_prefix(backbone: LoadedBackbone) -> bool:
    model, family = backbone.model, backbone.family
    stack = model.get_submodule(family.stacks[0])
    return (
        family.kind == "causal"
        and cache_argument(type(stack).forward) is not None
        and model.config._attn_implementation in _ATTENTION
        and not changing_rotations(stack, family)
        and keeps_keys_and_values(model.config)
        # A pooling over all tokens is one over those of the prefix, too.
        and set(backbone.pooling) <= {"last"}
    )


def keeps_keys_and_values(config: Any) -> bool:
    """Whether that is what the library keeps for such a model, and nothing else.

    Layers that scan a text keep states of another kind.

    Parameters
    ----------
    config : PreTrainedConfig
    """
    try:
        layers = DynamicCache(config=config).layers
    except Exception:  # of a model that has a cache of its own
        return False
    return all(type(layer) in _PLAIN for layer in layers)


@own_torch_state()
def run_prefix(model: PreTrainedModel, family: Family, ids: tuple[int, ...]) -> Cache:
    """Run the tokens that all prompts begin with.

    Parameters
    ----------
    model : PreTrainedModel
        With its head; never changed.
    family : Family
        Its row, of a causal model.
    ids : tuple of int

    Returns
    -------
    Cache
        For any number of batches, in any number of threads: it is only read.
    """
    (stack,) = family.stacks
    # Plain layers, which keep all tokens even where the model attends to the last
    # few alone: a text's first tokens see more of the prefix than its later ones.
    noted = [DynamicLayer() for _ in layers_of(model, family, stack)]
    module = model.get_submodule(stack)
    name = cache_argument(type(module).forward)
    assert name is not None  # as takes_prefix has seen
    module(
        input_ids=torch.tensor([ids], device=model.device),
        use_cache=True,
        **{name: Cache(layers=noted)},
    )
    return Cache(layers=[_Shared(layer.keys, layer.values) for layer in noted])


@cache
def cache_argument(forward: Callable[..., Any]) -> str | None:
    """Return the name under which a forward takes its cache, if it takes one.

    transformers 5.24 renamed ``past_key_values`` to ``cache``.

    Parameters
    ----------
    forward : callable
        Of the stack's class: each is asked once.
    """
    taken = inspect.signature(forward).parameters
    return next((name for name in ("cache", "past_key_values") if name in taken), None)


class _Shared(DynamicLayer):
    """Keys and values (1, heads, tokens, d) of one layer, for rows of any number.

    Its length, from which models make masks and positions, stays that of the prefix.
    """

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        self.keys = keys
        self.values = values

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Return the prefix before the tokens of each row that runs; keep nothing."""
        return _behind(self.keys, key_states), _behind(self.values, value_states)


def _behind(prefix: Tensor, states: Tensor) -> Tensor:
    return torch.cat([prefix.expand(len(states), -1, -1, -1), states], dim=2)
