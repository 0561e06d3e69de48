"""The rows of a batch on their way: which still run, and what the next layer sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from skraee.engine.last_layer import Needed

#: What a visitor answers: the number of first rows that go on, the positions
#: (among the rows that run) of those that go on, or None for all of them.
GoingOn = int | Tensor | None
Visit = Callable[[int, Tensor, Tensor], GoingOn]
EndingAt = Callable[[int, Tensor], Needed | None]
#: ``waits(depth, n_rows)``: whether so many rows that go on wait there for others.
Waits = Callable[[int, int], bool]


@dataclass(frozen=True, eq=False)
class Parked:
    """Rows that wait at a depth which they have been read at.

    Attributes
    ----------
    depth : int
    rows : Tensor of shape (n,)
        Their numbers.
    hidden : Tensor of shape (n, T, H)
        Their states; of a decoder T is 1.
    encoded : Tensor of shape (n, T, H) or None
        Of rows that wait in a decoder what its layers read of the encoder.
    """

    depth: int
    rows: Tensor
    hidden: Tensor
    encoded: Tensor | None = None


class PassIsOver(Exception):
    """No row of the batch wants a deeper layer in this pass."""


class RunningRows:
    """One batch on its way through the layers of a stack: which rows still run.

    Parameters
    ----------
    visit : callable
        ``visit(depth, hidden, rows) -> GoingOn``, called at every depth with the
        states (n, T, H) of the rows that run, and their numbers (n,).
    rows : Tensor of shape (n_rows,)
        Numbers of the rows that enter the stack.
    ending_at : callable, optional
        ``ending_at(depth, rows) -> Needed or None``: which tokens of the rows that run
        the layer before a depth has to compute: all of rows that go on, the read
        position of those that end.
    entry : Parked, optional
        Where the rows enter the stack, and with what: they have run the layers before
        it. By default they enter with their embeddings.
    waits : callable, optional
        Asked wherever rows have left.

    Attributes
    ----------
    parked : Parked or None
        The rows that wait, once the pass is over.
    """

    def __init__(
        self,
        visit: Visit,
        rows: Tensor,
        ending_at: EndingAt | None = None,
        entry: Parked | None = None,
        waits: Waits | None = None,
    ) -> None:
        self.visit = visit
        self.rows = rows
        self.ending_at = ending_at
        self.entry = entry
        self.parked: Parked | None = None
        self.waits = waits
        self._n_entered = len(rows)
        # Which of the rows that entered run: the first so many, or in another order.
        self._running: int | Tensor = len(rows)
        self._made: list[Tensor] = []  # by the last layer, which had so many rows
        self._n_ran = 0
        self._kept_since: GoingOn = None

    def arrive(self, depth: int, hidden: Tensor) -> Tensor:
        """Visit a depth and return the states of the rows that go on."""
        if self.entry is not None and depth == self.entry.depth:  # visited before
            self._kept_since = None
            return self.entry.hidden
        keep = self.visit(depth, hidden, self.rows)
        hidden = self._next_batch(hidden, keep)
        if keep is not None and self.waits and self.waits(depth, len(self.rows)):
            if isinstance(keep, int):  # a view, which would hold those that have left
                hidden = hidden.clone()
            self.parked = Parked(depth, self.rows, hidden)
            raise PassIsOver
        return hidden

    def have_run_layer(self, depth: int) -> bool:
        """Whether all rows have run the layer behind a depth in other batches."""
        return self.entry is not None and depth < self.entry.depth

    def _next_batch(self, hidden: Tensor, keep: GoingOn) -> Tensor:
        """Make the rows that go on the batch of the next layer.

        The one place where rows of a batch become the next batch. What a row takes
        along is its states (of `hidden`), its number (of `rows`) and its place among
        the rows that entered the stack, by which `align` finds its share of masks and
        positions. Rows that wait take states and numbers alone: the model makes masks
        and positions anew, of the rows that they enter the layers with.
        """
        self._kept_since = keep
        if keep is None:
            return hidden
        if isinstance(keep, int) and isinstance(self._running, int):
            self._running = keep
        else:
            self._running = _take(self._places(), keep)
        self.rows = _take(self.rows, keep)
        if len(self.rows) == 0:
            raise PassIsOver
        return _take(hidden, keep)

    def note(self, made: Any) -> None:
        """Remember what a layer made: it has a row for every text that ran there."""
        outputs = made if isinstance(made, tuple) else (made,)
        self._made = [out for out in outputs if isinstance(out, Tensor)]
        self._n_ran = len(self.rows)
        self._kept_since = None

    def align(self, argument: Any) -> Any:
        """Cut a layer's argument to the rows that run, in their order.

        A tensor that the last layer made has a row for every text that ran there, any
        other was made before the layers and has one for every text that entered.
        Models give what is the same for all texts a first dimension of 1.
        """
        if isinstance(argument, tuple):
            return tuple(self.align(item) for item in argument)
        if not isinstance(argument, Tensor) or argument.ndim < 2:
            return argument
        if any(argument is made for made in self._made):
            return _cut(argument, self._n_ran, self._kept_since)
        return _cut(argument, self._n_entered, self._running)

    def align_heads(self, argument: Tensor | None) -> Tensor | None:
        """Cut an argument to the rows that run that has a row for each of their heads.

        It was made before the layers, the heads of one text after the other.
        """
        if argument is None:
            return None
        of_texts = argument.view(self._n_entered, -1, *argument.shape[1:])
        return _take(of_texts, self._running).flatten(0, 1)

    def _places(self) -> Tensor:
        if isinstance(self._running, Tensor):
            return self._running
        return torch.arange(self._running, device=self.rows.device)


def _cut(argument: Tensor, n_rows: int, keep: GoingOn) -> Tensor:
    """Return the rows that are kept of an argument that has one for every text."""
    return _take(argument, keep) if len(argument) == n_rows else argument


def _take(tensor: Tensor, keep: GoingOn) -> Tensor:
    if isinstance(keep, int):
        return tensor[:keep]
    return tensor if keep is None else tensor[keep]
