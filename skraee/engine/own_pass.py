"""A model's own forward pass, whole, with the states of all depths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from inspect import signature
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
    logits : Tensor of shape (n, V) or None
        At the read positions.
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


class OwnForward:
    """A model as it is, ready to be run whole.

    Parameters
    ----------
    backbone : LoadedBackbone
        Left as it is: hooks, ours and the library's, are put on a copy of its modules
        that shares the weights.
    """

    def __init__(self, backbone: LoadedBackbone) -> None:
        self._backbone = backbone
        self._model, family = twin_of(backbone.model), backbone.family
        stacks = [self._model.get_submodule(stack) for stack in family.stacks]
        lasts = [layers_of(self._model, family, stack)[-1] for stack in family.stacks]
        self._stacks, self._lasts = ([*map(_Output, some)] for some in (stacks, lasts))

    @torch.no_grad()
    def __call__(self, prompts: Sequence[Prompt]) -> OwnPass:
        """Run prompts as one batch."""
        is_seq2seq = self._backbone.family.kind == "seq2seq"
        reads = _Reads(self._model, prompts, in_decoder=is_seq2seq)
        out = self._model(**_inputs(self._backbone, prompts), **reads.option)
        if is_seq2seq:  # a decoder's embedding is no depth of its own
            listed = [out.encoder_hidden_states, out.decoder_hidden_states[1:]]
        else:
            listed = [out.hidden_states]
        states: list[Tensor] = []
        for of_stack, last in zip(listed, self._lasts, strict=True):
            # The library's last one is that behind the final norm.
            states += [*of_stack[:-1], last.tensor]
        closed = [stack.tensor for stack in self._stacks]
        logits = reads.of(out.logits) if self._backbone.has_head else None
        return OwnPass(states, closed, logits)


class _Reads:
    """The read positions: of no other need there be logits, which are large.

    Those of 65 tokens are 68 MB for Gemma's 262,144 words, in float32.
    """

    def __init__(
        self, model: nn.Module, prompts: Sequence[Prompt], *, in_decoder: bool
    ) -> None:
        self._positions = [prompt.read for prompt in prompts]
        self._kept = sorted(set(self._positions))
        takes = signature(model.forward).parameters
        self._is_asked_for = "logits_to_keep" in takes and not in_decoder

    @property
    def option(self) -> dict[str, Any]:
        """What a forward is given to make these only, where it takes that."""
        if not self._is_asked_for:
            return {}
        return {"logits_to_keep": torch.tensor(self._kept)}

    def of(self, logits: Tensor) -> Tensor:
        """Take them (n, V) from a forward's logits (n, T, V); of a decoder T is 1."""
        width = logits.shape[1]
        if self._is_asked_for:
            places = [self._kept.index(position) for position in self._positions]
        else:
            places = [min(position, width - 1) for position in self._positions]
        return logits[range(len(places)), places]


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
