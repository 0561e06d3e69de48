"""The greedy search for the blocks that a language model misses least."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from skraee.backbone.ambient import own_torch_state
from skraee.baselines.sleb.block_removal import (
    blocks_of,
    removable_blocks,
    without_blocks,
)
from skraee.baselines.sleb.lm_loss import Exercise, LanguageModelLoss
from skraee.engine.batch import Batch
from skraee.engine.batching import BatchTokens, check_batch_tokens, run_batches
from skraee.engine.gates import Front
from skraee.engine.rotation import rotations_of, sides_of
from skraee.engine.stacks import layers_of, open_stack
from skraee.readout.ties import first_largest
from skraee.text.prompt import Prompt

if TYPE_CHECKING:
    from skraee.backbone.loaded import LoadedBackbone

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
    run_batches(
        lengths,
        check_batch_tokens(batch_tokens, backbone.device),
        run,
        sides=sides_of(rotations_of(rest.model, rest.family), read),
    )
    n_targets = sum(len(e.targets) for e in exercises)
    return {
        block: total / n_targets if np.isfinite(total) else np.inf
        for block, total in sums.items()
    }


def _losses_of_batch(
    backbone: LoadedBackbone, exercises: Sequence[Exercise], loss_of: LanguageModelLoss
) -> Iterator[tuple[int, float]]:
    """Yield each place at which a block may go, and the loss without that block."""
    model, family = backbone.model, backbone.family
    batch = _batch([e.prompt for e in exercises], backbone, family.kind != "causal")
    inputs: dict[str, Any] = {"input_ids": batch.ids, "attention_mask": batch.mask}
    if family.kind != "seq2seq":
        if family.kind == "causal":
            inputs["use_cache"] = False
        way = Way(backbone, family.stacks[0], **inputs)
        for place, hidden in way.without_each():
            yield place, loss_of(hidden, exercises)
        return
    encoder, decoder = family.stacks
    answers = [Prompt(e.decoder_ids, 0, ()) for e in exercises]
    answer_ids = _batch(answers, backbone, sees_padding=False).ids

    def read(encoded: Tensor) -> Way:
        for name in family.final_norms:
            encoded = getattr(model.get_submodule(encoder), name)(encoded)
        return Way(
            backbone,
            decoder,
            input_ids=answer_ids,
            encoder_hidden_states=encoded,
            encoder_attention_mask=batch.mask,
            use_cache=False,
        )

    way = Way(backbone, encoder, **inputs)
    for place, encoded in way.without_each():
        yield place, loss_of(read(encoded).whole(), exercises)
    behind = len(way.calls)
    for place, hidden in read(way.whole()).without_each():
        yield behind + place, loss_of(hidden, exercises)


class Way:
    """One batch's way through a stack, of which parts can be gone again.

    The stack's own forward makes masks and positions and runs the first layer. The
    calls of the others are noted, and made when they are wanted.

    Parameters
    ----------
    backbone : LoadedBackbone
    stack : str
        Which of the family's stacks.
    **inputs : object
        Of the stack's forward.

    Attributes
    ----------
    calls : list of callable
        Each layer as a map of states (n, T, H) to states.
    """

    def __init__(self, backbone: LoadedBackbone, stack: str, **inputs: Any) -> None:
        self.calls: list[Callable[[Tensor], Tensor]] = []
        self.first_output: Any = None
        self.second_input: Tensor | None = None
        model, family = backbone.model, backbone.family
        layers = layers_of(model, family, stack)
        noted = [_Noted(layer, self) for layer in layers]
        out = open_stack(model, family, stack, noted)(**inputs)
        if self.second_input is None:  # of one layer
            self.second_input = out.last_hidden_state

    def without_each(self) -> Iterator[tuple[int, Tensor]]:
        """Yield each place but the first and the last, and the states without it.

        What runs before a place is run once.
        """
        hidden = self._entering_second()
        for place in range(1, len(self.calls) - 1):
            if place > 1:
                hidden = self.calls[place - 1](hidden)
            yield place, self._run(hidden, place + 1)

    def whole(self) -> Tensor:
        """Return the states after all layers."""
        return self._run(self._entering_second(), 1)

    def _entering_second(self) -> Tensor:
        assert self.second_input is not None
        return self.second_input

    def _run(self, hidden: Tensor, start: int) -> Tensor:
        for call in self.calls[start:]:
            hidden = call(hidden)
        return hidden


class _Noted(Front):
    """A layer whose call is noted; it runs if it is the first.

    The others answer what the first did, in the form that the stack expects.
    """

    def __init__(self, layer: nn.Module, way: Way) -> None:
        super().__init__(layer)
        self.way = way

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        way, layer = self.way, self.layer

        def call(hidden: Tensor) -> Tensor:
            out = layer(hidden, *args, **kwargs)
            states: Tensor = out[0] if isinstance(out, tuple) else out
            return states

        if not way.calls:
            way.first_output = layer(hidden_states, *args, **kwargs)
        elif len(way.calls) == 1:
            way.second_input = hidden_states
        way.calls.append(call)
        return way.first_output


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
