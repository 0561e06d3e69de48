"""A model's own forward pass, whole, with the states of all depths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from skraee.backbone.kinds import decoder_start
from skraee.backbone.output_flags import twin_of
from skraee.engine.stacks import layers_of
from skraee.text.prompt import Prompt

if TYPE_CHECKING:
    from skraee.backbone.loaded import LoadedBackbone


@dataclass
class OwnPass:
    """What a model's own forward gives.

    Attributes
    ----------
    states : list of Tensor of shape (n, T, H)
        Of every depth, before what closes a stack; of a decoder T is 1.
    closed : list of Tensor of shape (n, T, H)
        For each stack its output.
    logits : Tensor of shape (n, T, V) or None
    """

    states: list[Tensor]
    closed: list[Tensor]
    logits: Tensor | None

    def is_finite(self, row: int) -> bool:
        """Whether all states of a row are numbers."""
        return all(bool(states[row].isfinite().all()) for states in self.states)

    def take(self, rows: Sequence[int]) -> OwnPass:
        """Return some rows."""
        logits = None if self.logits is None else self.logits[rows]
        states, closed = ([x[rows] for x in y] for y in (self.states, self.closed))
        return OwnPass(states, closed, logits)


@torch.no_grad()
def own_pass(backbone: LoadedBackbone, prompts: Sequence[Prompt]) -> OwnPass:
    """Run prompts as one batch through the model itself, whole."""
    # Hooks, ours and the library's, are put on a copy that shares the weights.
    model, family = twin_of(backbone.model), backbone.family
    lasts = [_Output(layers_of(model, family, stack)[-1]) for stack in family.stacks]
    stacks = [_Output(model.get_submodule(stack)) for stack in family.stacks]
    out = model(**_inputs(backbone, prompts))
    if family.kind == "seq2seq":  # a decoder's embedding is no depth of its own
        listed = [out.encoder_hidden_states, out.decoder_hidden_states[1:]]
    else:
        listed = [out.hidden_states]
    states: list[Tensor] = []
    for of_stack, last in zip(listed, lasts, strict=True):
        # The library's last one is that behind the final norm.
        states += [*of_stack[:-1], last.tensor]
    closed = [stack.tensor for stack in stacks]
    return OwnPass(states, closed, out.logits if backbone.has_head else None)


class _Output:
    """The last output of a module."""

    def __init__(self, module: nn.Module) -> None:
        self.tensor = torch.empty(0)
        module.register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, args: Any, out: Any) -> None:
        self.tensor = out if isinstance(out, Tensor) else out[0]


def _inputs(backbone: LoadedBackbone, prompts: Sequence[Prompt]) -> dict[str, Any]:
    lengths = torch.tensor([[len(prompt.ids)] for prompt in prompts])
    width = int(lengths.max())
    ids = [p.ids + p.ids[-1:] * (width - len(p.ids)) for p in prompts]
    inputs: dict[str, Any] = {
        "input_ids": torch.tensor(ids, device=backbone.device),
        "attention_mask": (torch.arange(width) < lengths).long().to(backbone.device),
        "output_hidden_states": True,
        "return_dict": True,
    }
    if backbone.family.kind != "masked":
        inputs["use_cache"] = False
    if backbone.family.kind == "seq2seq":
        start = decoder_start(backbone.model)
        first = torch.full((len(prompts), 1), start, device=backbone.device)
        inputs["decoder_input_ids"] = first
    return inputs
