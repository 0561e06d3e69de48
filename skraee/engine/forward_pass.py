"""One batch through a backbone: through its only stack, or encoder and decoder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from skraee.backbone.kinds import decoder_start
from skraee.engine.batch import Batch
from skraee.engine.compiled import CompiledLayers
from skraee.engine.gates import GatedStack
from skraee.engine.prefix import cache_argument, prefix_cache
from skraee.engine.products import PackedWeights
from skraee.engine.rows import GoingOn, PassIsOver, RunningRows

if TYPE_CHECKING:
    from skraee.backbone.loaded import LoadedBackbone


def forward_pass(
    backbone: LoadedBackbone,
    batch: Batch,
    running: RunningRows,
    compiled: CompiledLayers | None = None,
) -> None:
    """Run rows of a batch layer by layer, as long as one of them goes on.

    Parameters
    ----------
    backbone : LoadedBackbone
        Shared; never changed.
    batch : Batch
    running : RunningRows
        The rows that enter. It visits every depth, and says which rows see the next
        layer.
    compiled : CompiledLayers, optional
        Of the backbone, where these run the layers.
    """
    ids, mask = batch.inputs(running.rows)
    with _stacks_of(backbone) as stacks:
        for stack in stacks:
            stack.compiled = compiled
        try:
            if len(stacks) == 1:
                _through_one_stack(backbone, stacks[0], batch, ids, mask, running)
            else:
                _through_encoder_and_decoder(backbone, stacks, ids, mask, running)
        except PassIsOver:
            return


@contextmanager
def _stacks_of(backbone: LoadedBackbone) -> Iterator[list[GatedStack]]:
    """Lend a model's stacks to one pass; they are made once for passes at a time."""
    free: list[list[GatedStack]] = backbone.derived("gated stacks", list)
    try:
        stacks = free.pop()  # in one step, whatever other threads do
    except IndexError:
        stacks = gated_stacks(backbone)
    try:
        yield stacks
    finally:
        if not any(stack.is_for_one_pass for stack in stacks):
            free.append(stacks)


def gated_stacks(backbone: LoadedBackbone) -> list[GatedStack]:
    """Return new views of all of a model's stacks, whose depths count on."""
    weights = PackedWeights.of_backbone(backbone)
    stacks: list[GatedStack] = []
    for stack in backbone.family.stacks:
        first_depth = stacks[-1].last if stacks else 0
        gated = GatedStack(backbone.model, backbone.family, stack, first_depth, weights)
        stacks.append(gated)
    return stacks


def _through_one_stack(
    backbone: LoadedBackbone,
    stack: GatedStack,
    batch: Batch,
    ids: Tensor,
    mask: Tensor | None,
    running: RunningRows,
) -> None:
    model, family = backbone.model, backbone.family
    name = cache_argument(type(model.get_submodule(family.stacks[0])).forward)
    cache: dict[str, Any] = {} if name is None else {"use_cache": False}
    if batch.prefix:
        assert name is not None  # else there is no prefix
        cache[name] = prefix_cache(backbone, batch.prefix)
    hidden = stack.run(running, input_ids=ids, attention_mask=mask, **cache)
    running.arrive(stack.last, hidden)


def _through_encoder_and_decoder(
    backbone: LoadedBackbone,
    stacks: list[GatedStack],
    ids: Tensor,
    mask: Tensor | None,
    running: RunningRows,
) -> None:
    model, family = backbone.model, backbone.family
    encoder, decoder = stacks

    handover = encoder.last
    if running.entry is None or running.entry.encoded is None:
        hidden = torch.empty(0)  # of rows that waited there, which `arrive` has
        if not running.have_run_layer(handover - 1):
            hidden = encoder.run(running, input_ids=ids, attention_mask=mask)
        encoded = running.arrive(handover, hidden)
        for name in family.final_norms:
            encoded = model.get_submodule(f"{family.stacks[0]}.{name}")(encoded)
        mask = running.align(mask)
        entry = None
    else:
        encoded, entry = running.entry.encoded, running.entry

    def visit(depth: int, hidden: Tensor, rows: Tensor) -> GoingOn:
        # The decoder's embedding is no depth of its own.
        return None if depth == handover else running.visit(depth, hidden, rows)

    decoding = RunningRows(visit, running.rows, None, entry, running.waits)
    start = decoder_start(model)
    try:
        hidden = decoder.run(
            decoding,
            input_ids=torch.full_like(decoding.rows[:, None], start),
            encoder_hidden_states=encoded,
            encoder_attention_mask=mask,
            use_cache=False,
        )
        decoding.arrive(decoder.last, hidden)
    finally:
        if decoding.parked is not None:
            own = decoding.align(encoded)
            running.parked = replace(decoding.parked, encoded=own.clone())
