"""Plain references of generation: the library's own `generate`, text by text."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import nn

from skraee.backbone.loaded import LoadedBackbone
from skraee.engine.stacks import layers_of
from skraee.text.prompt import Prompt

#: Six families and more: absolute, rotary and relative positions, windows, ALiBi.
FAMILIES = (
    *("llama", "gemma3_text", "qwen2", "gpt2", "opt", "gpt_neox", "t5"),
    *("flan-t5", "bloom", "falcon", "mistral", "gemma2", "phi3", "opt-350m"),
)
N_NEW = 12
#: Of unequal lengths.
LENGTHS = (9, 4, 14, 6, 1)


def prompts_of(lengths: tuple[int, ...] = LENGTHS, seed: int = 0) -> list[Prompt]:
    stream = torch.Generator().manual_seed(seed)
    return [
        Prompt(
            tuple(torch.randint(3, 64, (n,), generator=stream).tolist()),
            n - 1,
            ((0, n),),
        )
        for n in lengths
    ]


def cut_by_hand(backbone: LoadedBackbone, depth: int) -> Any:
    """Return a whole copy of a model with only its first layers."""
    model = deepcopy(backbone.model)
    family = backbone.family
    stack = model.get_submodule(family.stacks[-1])
    owner, _, name = family.layers.rpartition(".")
    layers = layers_of(model, family, family.stacks[-1])[:depth]
    setattr(stack.get_submodule(owner), name, nn.ModuleList(layers))
    for config in {id(c): c for c in (model.config, stack.config)}.values():
        if family.kind == "seq2seq":
            config.num_decoder_layers = depth
        else:
            config.num_hidden_layers = depth
        if getattr(config, "layer_types", None):
            config.layer_types = config.layer_types[:depth]
    return model


@torch.no_grad()
def generate(
    model: Any, prompts: list[Prompt], n_new: int = N_NEW, **settings: Any
) -> list[list[int]]:
    """Generate with the library, each prompt alone; without the prompt's tokens."""
    found = []
    for prompt in prompts:
        ids = torch.tensor([prompt.ids])
        settings = {"do_sample": False, "pad_token_id": 1, **settings}
        out = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=n_new,
            **settings,
        )
        n_before = 1 if model.config.is_encoder_decoder else ids.shape[1]
        found.append(out[0, n_before:].tolist())
    return found
