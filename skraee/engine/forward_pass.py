"""One batch through a backbone: through its only stack, or encoder and decoder."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from skraee.backbone.kinds import decoder_start
from skraee.engine.batch import Batch
from skraee.engine.gates import gated_stack
from skraee.engine.prefix import cache_argument, prefix_cache
from skraee.engine.rows import AllRowsLeft, GoingOn, RunningRows
from skraee.engine.stacks import run_stack

if TYPE_CHECKING:
    from skraee.backbone.loaded import LoadedBackbone


def forward_pass(backbone: LoadedBackbone, batch: Batch, running: RunningRows) -> None:
    """Run a batch layer by layer, as long as one of its rows goes on.

    Parameters
    ----------
    backbone : LoadedBackbone
        Shared; never changed.
    batch : Batch
        What enters the first stack.
    running : RunningRows
        Visits every depth, and says which rows see the next layer.
    """
    with suppress(AllRowsLeft):
        if len(backbone.family.stacks) == 1:
            _through_one_stack(backbone, batch, running)
        else:
            _through_encoder_and_decoder(backbone, batch, running)


def _through_one_stack(
    backbone: LoadedBackbone, batch: Batch, running: RunningRows
) -> None:
    model, family = backbone.model, backbone.family
    stack, last = gated_stack(model, family, family.stacks[0], running, 0)
    name = cache_argument(type(model.get_submodule(family.stacks[0])).forward)
    cache: dict[str, Any] = {} if name is None else {"use_cache": False}
    if batch.prefix:
        assert name is not None  # else there is no prefix
        cache[name] = prefix_cache(backbone, batch.prefix)
    hidden = run_stack(stack, input_ids=batch.ids, attention_mask=batch.mask, **cache)
    running.arrive(last, hidden)


def _through_encoder_and_decoder(
    backbone: LoadedBackbone, batch: Batch, running: RunningRows
) -> None:
    model, family = backbone.model, backbone.family
    encoder, decoder = family.stacks

    stack, handover = gated_stack(model, family, encoder, running, 0)
    hidden = run_stack(stack, input_ids=batch.ids, attention_mask=batch.mask)
    hidden = running.arrive(handover, hidden)
    for name in family.final_norms:
        hidden = model.get_submodule(f"{encoder}.{name}")(hidden)
    mask = running.align(batch.mask)

    def visit(depth: int, hidden: Tensor, rows: Tensor) -> GoingOn:
        # The decoder's embedding is no depth of its own.
        return None if depth == handover else running.visit(depth, hidden, rows)

    decoding = RunningRows(visit, running.rows)
    stack, last = gated_stack(model, family, decoder, decoding, handover)
    start = decoder_start(model)
    hidden = run_stack(
        stack,
        input_ids=torch.full_like(decoding.rows[:, None], start),
        encoder_hidden_states=hidden,
        encoder_attention_mask=mask,
        use_cache=False,
    )
    decoding.arrive(last, hidden)
