"""What a sweep reads of all depths: label-word logits, keys, states for a readout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from skraee.engine.batch import Batch
from skraee.engine.clock import Clock
from skraee.engine.depth_states import DepthStates
from skraee.engine.head import LabelHead
from skraee.engine.rows import GoingOn
from skraee.engine.states import States

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Readings:
    """What a sweep reads.

    Attributes
    ----------
    logits : ndarray of shape (n, m + 1, n_tokens), float32
        Label-word logits at every depth.
    text_means : ndarray of shape (n, H), float32, or None
        Mean of the depth-0 states over the text's own tokens.
    key_states : ndarray of shape (n, H), float32, or None
        Read-position states at the depth that was asked for.
    states : ndarray of shape (n, m + 1, P, H), or None
        What a readout may know (:class:`~skraee.engine.depth_states.DepthStates`), in
        the backbone's number format (:mod:`skraee.engine.states`).
    """

    logits: Float32Array
    text_means: Float32Array | None = None
    key_states: Float32Array | None = None
    states: States | None = None


class SweepVisitor:
    """Reads a batch at every depth.

    Parameters
    ----------
    batch : Batch
    last : int
        The full depth m.
    head : LabelHead or None
        Scores the states, once the pass is over; None for no scores.
    depth_states : DepthStates or None
        What to keep of every depth for a readout; None for nothing.
    text_means : bool
        Whether to keep the mean of the text's own depth-0 states.
    state_depth : int or None
        A depth whose read-position states to keep.
    clock : Clock
    """

    def __init__(
        self,
        batch: Batch,
        last: int,
        head: LabelHead | None,
        depth_states: DepthStates | None,
        *,
        text_means: bool,
        state_depth: int | None,
        clock: Clock,
    ) -> None:
        self.ending_at = batch.all_ending_at(last) if depth_states is None else None
        self.batch = batch
        self._head = head
        self._depth_states = depth_states
        self._text_means = text_means
        self._state_depth = state_depth
        self._clock = clock
        self._keys: dict[str, Tensor] = {}
        self._states: list[Tensor] = []  # of each depth
        self._read: list[Tensor] = []  # of each depth, at the read position

    def visit(self, depth: int, hidden: Tensor, rows: Tensor) -> GoingOn:
        """Read, and let all go on."""
        if depth == 0 and self._text_means:
            self._keys["text_means"] = self.batch.text_mean(hidden)
        if self._depth_states is not None:
            self._states.append(self._depth_states(depth, hidden, rows))
        self._read.append(self.batch.read(depth, hidden, rows))
        if depth == self._state_depth:
            states = self._read[-1].float()
            self._keys["key_states"] = self.batch.together(states, rows)
        return None

    def found(self) -> Mapping[str, Tensor]:
        """Return the fields of :class:`Readings` that were asked for."""
        found = dict(self._keys)
        if self._head is not None:
            with self._clock.part("head"):
                found["logits"] = self.logits(self._head)
        if self._depth_states is not None:
            found["states"] = torch.stack(self._states, dim=1)
        return found

    def logits(self, head: LabelHead) -> Tensor:
        """Score what was read in one call for each stack: (b, m + 1, n_tokens)."""
        handover = self.batch.first_stack + 1
        scored = []
        for stack, read in enumerate((self._read[:handover], self._read[handover:])):
            if read:
                states = torch.stack(read)
                logits = head(states.flatten(0, 1), stack)
                scored.append(logits.view(*states.shape[:2], -1))
        logits = torch.cat(scored).transpose(0, 1)
        return self.batch.together(logits, self.batch.rows)
