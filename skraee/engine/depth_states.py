"""What a readout may know of a text at a depth, read from a batch on its way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from skraee.backbone.sentence_folder import Pooling
from skraee.engine.batch import Batch
from skraee.engine.pooling import pooled
from skraee.engine.states import rounded

#: What a readout may know of a text at a depth.
StateKind = Literal["read", "text", "around"] | Pooling

#: Of these, what a folder's own pooling gives.
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)


class DepthStates:
    """What a readout may know of a text at a depth, for one batch on its way.

    Parameters
    ----------
    batch : Batch
    final_norms : sequence of nn.Module
        For each stack what the model applies after its last layer, in float32.
    kinds : sequence of {"read", "text", "around", "cls", "mean", "max", "last"}
        What to keep: the read-position state after the final norm, the mean over the
        text's own tokens, that over the words around it; all tokens' states after the
        final norm, pooled as a sentence encoder pools those of its last layer.
    """

    def __init__(
        self, batch: Batch, final_norms: Sequence[nn.Module], kinds: Sequence[StateKind]
    ) -> None:
        self.batch = batch
        self._final_norms = final_norms
        self._kinds = kinds
        self._has_means = "text" in kinds or "around" in kinds
        self._of_tokens: dict[StateKind, Tensor] = {}  # of all rows of the batch

    def __call__(self, depth: int, hidden: Tensor, rows: Tensor) -> Tensor:
        """Return the states (n, P, H) of the rows that run, in the model's dtype.

        The windows of a text are given the mean of theirs. A decoder's one position has
        no tokens of the text: it keeps what the encoder's last depth had.
        """
        in_decoder = self.batch.in_decoder(depth)
        if not in_decoder or not self._of_tokens:
            parts = self._of_all_tokens(hidden, rows)
            if depth == self.batch.first_stack:
                self._keep(parts, rows)
        else:
            parts = {kind: kept[rows] for kind, kept in self._of_tokens.items()}
        if "read" in self._kinds:
            read = self.batch.read(depth, hidden, rows).float()
            parts["read"] = _as_wide(self._final_norms[int(in_decoder)](read), hidden)
        states = torch.stack([parts[kind] for kind in self._kinds], dim=1)
        return self.batch.together(states, rows)

    def _of_all_tokens(self, hidden: Tensor, rows: Tensor) -> dict[StateKind, Tensor]:
        """Read what many tokens make at a depth."""
        found: dict[StateKind, Tensor] = {}
        if self._has_means:
            means = self.batch.means(hidden, rows)
            found["text"], found["around"] = means.unbind(1)
        lengths = self.batch.lengths[rows]
        for how in POOLINGS:
            if how in self._kinds:
                made = pooled(how, hidden, lengths, self._final_norms[0])
                found[how] = _as_wide(made, hidden)
        return found

    def _keep(self, found: Mapping[StateKind, Tensor], rows: Tensor) -> None:
        """Keep what the encoder's last depth has, for the decoder's."""
        for kind, states in found.items():
            if kind not in self._of_tokens:
                n_rows = len(self.batch.numbers)
                self._of_tokens[kind] = states.new_zeros(n_rows, states.shape[-1])
            self._of_tokens[kind][rows] = states


def _as_wide(states: Tensor, hidden: Tensor) -> Tensor:
    """Return float32 states as the model has its own."""
    # OPT 350M projects its last states to half of their width.
    if states.shape[-1] < hidden.shape[-1]:
        states = nn.functional.pad(states, (0, hidden.shape[-1] - states.shape[-1]))
    return rounded(states, hidden.dtype)
