"""Survivors packed again: rows that go on are gathered across batches into full ones.

A batch whose rows leave one by one would go on with a few of them, each of whose layers
costs more than its share of many. Here the batches of a chunk of texts go down until
three quarters of their rows have left; the others wait there, and those that wait at a
depth make full batches for the layers behind it. So what a layer costs follows the
number of rows that run it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from skraee.engine.batch import Batch
from skraee.engine.batching import Cutter, Progress
from skraee.engine.clock import Clock
from skraee.engine.compiled import CompiledLayers
from skraee.engine.forward_pass import forward_pass
from skraee.engine.row_exits import RowExits
from skraee.engine.rows import Parked, RunningRows

if TYPE_CHECKING:
    from skraee.backbone.loaded import LoadedBackbone

IntArray = npt.NDArray[np.int64]

# Rows of which at most this share goes on wait for others. Each time they enter the
# layers again, the model makes their embeddings and masks anew: a half is 2 to 3 %
# slower, an eighth as fast (mpnet and Gemma 3 270M in bfloat16).
_SHARE = 0.25


class Descent:
    """A chunk of texts on its way down.

    Parameters
    ----------
    backbone : LoadedBackbone
    chunk : Batch
        Of texts of any lengths.
    exits : RowExits
        Its visitor.
    cutter : Cutter
        Of its texts.
    batch_tokens : int
        Padded tokens per batch.
    clock : Clock
    compiled : CompiledLayers or None
        Of the backbone.
    """

    def __init__(
        self,
        backbone: LoadedBackbone,
        chunk: Batch,
        exits: RowExits,
        cutter: Cutter,
        batch_tokens: int,
        clock: Clock,
        compiled: CompiledLayers | None = None,
    ) -> None:
        self._backbone = backbone
        self._chunk = chunk
        self._exits = exits
        self._cutter = cutter
        self._batch_tokens = batch_tokens
        self._clock = clock
        self._compiled = compiled
        self._parked: dict[int, list[Parked]] = {}  # by the depth where they wait
        self._n_to_enter = 0  # texts at the depth that is on, without this batch's

    def run(self, progress: Progress) -> None:
        """Run all texts to their exits, depth after depth where some wait."""
        self._run_from(None, self._cutter.order, progress)
        while self._parked:
            waiting = Waiting(self._parked.pop(min(self._parked)))
            texts = self._cutter.sorted(np.unique(self._chunk.texts[waiting.rows]))
            self._run_from(waiting, texts, progress)

    def _run_from(
        self, waiting: Waiting | None, texts: IntArray, progress: Progress
    ) -> None:
        """Run texts, longest first, from where they wait or from the beginning."""
        while len(texts):
            batch = self._cutter.first_batch(texts, self._batch_tokens)
            texts = texts[len(batch) :]
            self._n_to_enter = len(texts)
            rows = self._exits.enter(self._chunk.rows_of_texts(batch))
            width = int(self._chunk.n_tokens[rows].max())
            entry = None if waiting is None else waiting.take(rows, width)
            parked = self._pass(rows, entry)
            n_parked = 0
            if parked is not None:
                self._parked.setdefault(parked.depth, []).append(parked)
                n_parked = len(np.unique(self._chunk.texts[parked.rows.cpu().numpy()]))
            progress.tell(len(batch) - n_parked)

    def _pass(self, rows: IntArray, entry: Parked | None) -> Parked | None:
        """Run a batch as far as it pays, and return its rows that wait there."""

        def waits(depth: int, n_rows: int) -> bool:
            if not (self._parked or self._n_to_enter):
                return False  # there is nobody to wait for
            return n_rows <= _SHARE * len(rows) or depth in self._parked

        running = RunningRows(
            self._exits.visit,
            torch.from_numpy(rows).to(self._backbone.device),
            self._exits.ending_at,
            entry,
            waits,
        )
        with self._clock.part("layers"):
            forward_pass(self._backbone, self._chunk, running, self._compiled)
        return running.parked


class Waiting:
    """The rows of several batches that wait at one depth.

    Parameters
    ----------
    parked : sequence of Parked
        At least one.

    Attributes
    ----------
    depth : int
    rows : ndarray of shape (n,), int
        Their numbers.
    """

    def __init__(self, parked: Sequence[Parked]) -> None:
        rows = [one.rows.cpu().numpy() for one in parked]
        self.depth = parked[0].depth
        self.rows: IntArray = np.concatenate(rows)
        self._parked = parked
        # Of each row number, in which of the tensors it is, and where there.
        n_numbers = self.rows.max() + 1
        self._tensor = np.zeros(n_numbers, dtype=np.int64)
        self._place = np.zeros(n_numbers, dtype=np.int64)
        for i, numbers in enumerate(rows):
            self._tensor[numbers] = i
            self._place[numbers] = np.arange(len(numbers))

    def take(self, rows: IntArray, width: int) -> Parked:
        """Return some of the rows as one batch.

        Parameters
        ----------
        rows : ndarray of shape (n,), int
        width : int
            Tokens T of the longest of them. Behind a row's own tokens there is what its
            batch had there, or 0.
        """
        encoded = [one.encoded for one in self._parked if one.encoded is not None]
        hidden = [one.hidden for one in self._parked]
        return Parked(
            self.depth,
            torch.from_numpy(rows).to(hidden[0].device),
            self._gathered(hidden, rows, 1 if encoded else width),
            self._gathered(encoded, rows, width) if encoded else None,
        )

    def _gathered(
        self, tensors: Sequence[Tensor], rows: IntArray, width: int
    ) -> Tensor:
        """Return the states (n, T, H) of rows, each from the tensor that has it."""
        states = tensors[0].new_zeros(len(rows), width, tensors[0].shape[2])
        of_rows, places = self._tensor[rows], self._place[rows]
        for i in np.unique(of_rows):
            here = np.flatnonzero(of_rows == i)
            part = tensors[i][:, :width]
            to, at = _index(here, states), _index(places[here], states)
            states[to, : part.shape[1]] = part[at]
        return states


def _index(places: IntArray, like: Tensor) -> slice | Tensor:
    """Return places as an index: a slice, which copies nothing, where they follow."""
    first, n = int(places[0]), len(places)
    if np.array_equal(places, np.arange(first, first + n)):
        return slice(first, first + n)
    return torch.from_numpy(places).to(like.device)
