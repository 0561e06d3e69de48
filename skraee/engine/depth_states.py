"""What a readout may know of a text at a depth, read from a batch on its way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from skraee.engine.batch import Batch
from skraee.engine.states import rounded

#: What a readout may know of a text at a depth.
StateKind = Literal["read", "text", "around"]


class DepthStates:
    """What a readout may know of a text at a depth, for one batch on its way.

    Parameters
    ----------
    batch : Batch
    final_norms : sequence of nn.Module
        For each stack what the model applies after its last layer, in float32.
    kinds : sequence of {"read", "text", "around"}
        What to keep: the read-position state after the final norm, the mean over the
        text's own tokens, that over the words around it.
    """

    def __init__(
        self, batch: Batch, final_norms: Sequence[nn.Module], kinds: Sequence[StateKind]
    ) -> None:
        self.batch = batch
        self._final_norms = final_norms
        self._kinds = kinds
        self._means: Tensor | None = None

    def __call__(self, depth: int, hidden: Tensor, rows: Tensor) -> Tensor:
        """Return the states (n, P, H) of the rows that run, in the model's dtype.

        A decoder's one position has no tokens of the text: it keeps the encoder's
        last means.
        """
        in_decoder = self.batch.in_decoder(depth)
        parts: dict[str, Tensor] = {}
        if "text" in self._kinds or "around" in self._kinds:
            if self._means is None or not in_decoder:
                self._keep_means(hidden, rows)
            assert self._means is not None
            parts["text"], parts["around"] = self._means[rows].unbind(1)
        if "read" in self._kinds:
            read = self.batch.read(depth, hidden, rows).float()
            closed = self._final_norms[int(in_decoder)](read)
            # OPT 350M projects its last states to half of their width.
            closed = nn.functional.pad(closed, (0, hidden.shape[-1] - closed.shape[-1]))
            parts["read"] = rounded(closed, hidden.dtype)
        return torch.stack([parts[kind] for kind in self._kinds], dim=1)

    def _keep_means(self, hidden: Tensor, rows: Tensor) -> None:
        found = self.batch.means(hidden, rows)
        self._means = hidden.new_zeros(len(self.batch.numbers), *found.shape[1:])
        self._means[rows] = found
