"""What every depth would have said of a text that is known: one pass, no generation.

Prompt and target run together; the state before each of the target's tokens says at
each depth, through the model's own head, which token it would have named and how
probable the right one was. Scores over the vocabulary are made for a few positions at a
time and thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from skraee.backbone.ambient import own_torch_state
from skraee.backbone.kinds import decoder_start
from skraee.engine.batching import Cutter, OnProgress, run_batches
from skraee.engine.collector import Collector
from skraee.engine.decoding.cut_model import encoded, side_by_side
from skraee.engine.head import LabelHead, label_head
from skraee.engine.repair import read_finite
from skraee.engine.rotation import rotations_of, sides_of
from skraee.engine.stacks import layers_of, open_stack, run_stack
from skraee.engine.states import States
from skraee.engine.views import Front

if TYPE_CHECKING:
    from skraee.backbone.loaded import LoadedBackbone

IntArray = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]

# What the scores of the positions that are read at a time may take.
_SLICE_BYTES = 1 << 26


@dataclass(frozen=True)
class Forced:
    """A prompt and what is to follow it.

    Attributes
    ----------
    prompt : tuple of int
        Token ids.
    target : tuple of int
        At least one.
    """

    prompt: tuple[int, ...]
    target: tuple[int, ...]


def read_targets(
    backbone: LoadedBackbone,
    texts: Sequence[Forced],
    batch_tokens: int,
    on_progress: OnProgress | None = None,
) -> Float32Array:
    """Read at every depth how much of each target the head would have said.

    Parameters
    ----------
    backbone : LoadedBackbone
        That generates text.
    texts : sequence of n Forced
        In any order; those of like length run together.
    batch_tokens : int
        Padded tokens per batch.
    on_progress : callable, optional
        Told how many more texts are done.

    Returns
    -------
    readings : ndarray of shape (n, m + 1, 2), float32
        The share of the target's tokens that are the most probable ones, and the mean
        probability of all of them; m is the number of layers that generate.

    Raises
    ------
    ValueError
        If numbers are not finite in float32 either.
    """

    def read(running: LoadedBackbone, numbers: IntArray) -> dict[str, States]:
        found = Collector(len(texts))
        told = on_progress if running is backbone else None

        @own_torch_state()
        def run(batch: IntArray) -> None:
            chosen = numbers[batch]
            readings = _read_batch(running, [texts[number] for number in chosen])
            found.put(chosen, {"readings": readings})

        lengths = [len(texts[i].prompt) + len(texts[i].target) for i in numbers]
        sides = sides_of(rotations_of(backbone.model, backbone.family), lengths)
        run_batches(Cutter(lengths, sides=sides), batch_tokens, run, told)
        return found.arrays

    found, _ = read_finite(backbone, len(texts), read)
    return found["readings"]


def _read_batch(backbone: LoadedBackbone, texts: Sequence[Forced]) -> Tensor:
    """Return the readings (n, m + 1, 2) of texts that run together."""
    head = label_head(backbone, None)
    stack = len(backbone.family.stacks) - 1
    rows, columns = _places(backbone, texts)
    targets = [token for text in texts for token in text.target]
    right = torch.tensor(targets, device=backbone.device)
    of_depths: list[Tensor] = []

    def read(hidden: Tensor) -> None:
        states = hidden[rows, columns]
        of_depths.append(_named_and_probable(head, stack, states, right))

    read(_run(backbone, texts, read))
    of_tokens = torch.stack(of_depths, dim=1)
    lengths = [len(text.target) for text in texts]
    means = [tokens.mean(dim=0) for tokens in torch.split(of_tokens, lengths)]
    return torch.stack(means)


def _named_and_probable(
    head: LabelHead, stack: int, states: Tensor, right: Tensor
) -> Tensor:
    """Return whether each token is named, and its probability: (N, 2)."""
    found: list[Tensor] = []
    width = 1
    start = 0
    while start < len(states):
        some = slice(start, start + width)
        logits = head(states[some], stack)
        own = logits.gather(1, right[some, None].to(logits.device))[:, 0]
        named = logits.argmax(dim=1) == right[some].to(logits.device)
        probable = (own - logits.logsumexp(dim=1)).exp()
        found.append(torch.stack([named.float(), probable], dim=1))
        start += width
        width = max(1, _SLICE_BYTES // (4 * logits.shape[1]))
    return torch.cat(found)


def _places(backbone: LoadedBackbone, texts: Sequence[Forced]) -> tuple[Tensor, Tensor]:
    """Return where in a batch the states before each token of the targets are."""
    is_beside = backbone.family.kind == "seq2seq"
    rows: list[int] = []
    columns: list[int] = []
    for row, text in enumerate(texts):
        first = 0 if is_beside else len(text.prompt) - 1
        rows += [row] * len(text.target)
        columns += range(first, first + len(text.target))
    device = backbone.device
    return torch.tensor(rows, device=device), torch.tensor(columns, device=device)


def _run(
    backbone: LoadedBackbone,
    texts: Sequence[Forced],
    read: Callable[[Tensor], None],
) -> Tensor:
    """Run texts through all layers, each told of before it; return the last states."""
    model, family, device = backbone.model, backbone.family, backbone.device
    inputs: dict[str, Any] = {"use_cache": False}
    if family.kind == "seq2seq":
        states, seen = encoded(backbone, [text.prompt for text in texts])
        inputs |= {"encoder_hidden_states": states, "encoder_attention_mask": seen}
        start = decoder_start(model)
        ran = [(start, *text.target[:-1]) for text in texts]
    else:
        ran = [(*text.prompt, *text.target[:-1]) for text in texts]
    ids, mask = side_by_side(ran, at_end=False)
    inputs |= {"input_ids": ids.to(device), "attention_mask": mask.long().to(device)}
    stack = family.stacks[-1]
    layers = [_Watched(layer, read) for layer in layers_of(model, family, stack)]
    return run_stack(open_stack(model, family, stack, layers), **inputs)


class _Watched(Front):
    """A layer in front of which states are read."""

    def __init__(self, layer: nn.Module, read: Callable[[Tensor], None]) -> None:
        super().__init__(layer)
        self._read = read

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        self._read(hidden_states)
        return self.layer(hidden_states, *args, **kwargs)
