"""The greedy search for the blocks that a language model misses least."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from skraee.backbone.ambient import own_torch_state
from skraee.backbone.loaded import LoadedBackbone
from skraee.baselines.sleb.block_removal import (
    blocks_of,
    removable_blocks,
    without_blocks,
)
from skraee.baselines.sleb.exercises import Exercise
from skraee.baselines.sleb.lm_loss import LanguageModelLoss
from skraee.baselines.sleb.stack_replay import StackReplay
from skraee.engine.batch import Batch
from skraee.engine.batching import (
    BatchTokens,
    Cutter,
    check_batch_tokens,
    run_batches,
)
from skraee.engine.rotation import rotations_of, sides_of
from skraee.readout.ties import first_largest
from skraee.text.prompt import Prompt

IntArray = npt.NDArray[np.int64]

# Share of a loss that is rounding: it is a mean of float32 numbers.
_ROUNDING = 1e-6


def find_removal_order(
    backbone: LoadedBackbone,
    exercises: Sequence[Exercise],
    n_remove: int,
    batch_tokens: BatchTokens = "auto",
    on_progress: Callable[[int], None] | None = None,
) -> tuple[list[int], list[float]]:
    """Remove, in each round, the block without which the loss is lowest.

    Of blocks that only rounding tells apart the first one goes.

    Parameters
    ----------
    backbone : LoadedBackbone
    exercises : sequence of Exercise
    n_remove : int
        Rounds; at most as many as there are removable blocks.
    batch_tokens : int or "auto", default="auto"
        Padded tokens per batch.
    on_progress : callable, optional
        Told how many more rounds are done.

    Returns
    -------
    removed : list of n_remove int
        The blocks' numbers, in the order of their removal.
    losses : list of n_remove float
        Mean loss (nats per predicted token) after each removal.
    """
    removed: list[int] = []
    losses: list[float] = []
    for _ in range(n_remove):
        found = losses_without(backbone, removed, exercises, batch_tokens)
        merits = -np.array(list(found.values()))
        best = list(found)[int(first_largest(merits, rounding=_ROUNDING))]
        removed.append(best)
        losses.append(found[best])
        if on_progress is not None:
            on_progress(1)
    return removed, losses


@own_torch_state()
def losses_without(
    backbone: LoadedBackbone,
    removed: Sequence[int],
    exercises: Sequence[Exercise],
    batch_tokens: BatchTokens = "auto",
) -> dict[int, float]:
    """Measure the loss without each further block.

    Parameters
    ----------
    backbone : LoadedBackbone
    removed : sequence of int
        Blocks that are gone already.
    exercises : sequence of Exercise
    batch_tokens : int or "auto", default="auto"

    Returns
    -------
    losses : dict of int to float
        Block -> mean loss; infinite where it is not a number.
    """
    rest = without_blocks(backbone, removed)
    left = [b for stack in blocks_of(backbone) for b in stack if b not in removed]
    candidates = [b for b in removable_blocks(backbone) if b not in removed]
    sums = dict.fromkeys(candidates, 0.0)
    loss_of = LanguageModelLoss(rest)

    def run(rows: IntArray) -> None:
        batch = [exercises[row] for row in rows]
        # Added up when the whole batch is done: one that does not fit comes again.
        for place, loss in dict(_losses_of_batch(rest, batch, loss_of)).items():
            sums[left[place]] += loss

    read = [len(e.prompt.ids) for e in exercises]
    lengths = [n + len(e.decoder_ids) for n, e in zip(read, exercises, strict=True)]
    sides = sides_of(rotations_of(rest.model, rest.family), read)
    budget = check_batch_tokens(batch_tokens, backbone.device)
    run_batches(Cutter(lengths, sides=sides), budget, run)
    n_targets = sum(len(e.targets) for e in exercises)
    return {
        block: total / n_targets if np.isfinite(total) else np.inf
        for block, total in sums.items()
    }


def _losses_of_batch(
    backbone: LoadedBackbone, exercises: Sequence[Exercise], loss_of: LanguageModelLoss
) -> Iterator[tuple[int, float]]:
    """Yield each place at which a block may go, and the loss without that block."""
    family = backbone.family
    batch = _batch([e.prompt for e in exercises], backbone, family.kind != "causal")
    ids, mask = batch.inputs(batch.rows)
    inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": mask}
    if family.kind == "causal":
        inputs["use_cache"] = False
    replay = StackReplay(backbone, family.stacks[0], **inputs)
    if family.kind == "seq2seq":
        decode = _decoding(backbone, exercises, mask)
        for place, encoded in replay.without_each():
            yield place, loss_of(decode(encoded).whole(), exercises)
        n_encoder = len(replay.calls)
        for place, hidden in decode(replay.whole()).without_each():
            yield n_encoder + place, loss_of(hidden, exercises)
    else:
        for place, hidden in replay.without_each():
            yield place, loss_of(hidden, exercises)


def _decoding(
    backbone: LoadedBackbone, exercises: Sequence[Exercise], mask: Tensor | None
) -> Callable[[Tensor], StackReplay]:
    """Return what runs a T5's decoder on the last states of its encoder's layers."""
    model, family = backbone.model, backbone.family
    encoder, decoder = family.stacks
    answers = [Prompt(e.decoder_ids, 0, ()) for e in exercises]
    batch = _batch(answers, backbone, sees_padding=False)
    answer_ids, _ = batch.inputs(batch.rows)

    def decode(encoded: Tensor) -> StackReplay:
        for name in family.final_norms:
            encoded = model.get_submodule(f"{encoder}.{name}")(encoded)
        return StackReplay(
            backbone,
            decoder,
            input_ids=answer_ids,
            encoder_hidden_states=encoded,
            encoder_attention_mask=mask,
            use_cache=False,
        )

    return decode


def _batch(
    prompts: list[Prompt], backbone: LoadedBackbone, sees_padding: bool
) -> Batch:
    return Batch(
        prompts,
        np.arange(len(prompts)),
        device=backbone.device,
        sees_padding=sees_padding,
        first_stack=0,
    )
