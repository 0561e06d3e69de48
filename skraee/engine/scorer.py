"""Scorers: what turns the states of a batch into class scores, depth after depth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from skraee.engine.batch import Batch


class Scorer(Protocol):
    """Turns states into class scores."""

    def begin(self, batch: Batch) -> Scoring:
        """Start a batch."""


class Scoring(Protocol):
    """One batch of a scorer.

    Attributes
    ----------
    sees_every_depth : bool
        Whether `read` must be called at each depth with all rows that run: where
        scores hang on the depths passed.
    """

    sees_every_depth: bool

    def read(self, depth: int, hidden: Tensor, rows: Tensor) -> Tensor:
        """Return (n, ...) of rows at a depth all that their scores follow from."""

    def scores(self, read: Tensor, *, in_decoder: bool) -> Tensor:
        """Return the scores (n, C), float32, of what was read."""


class RunningScoring:
    """A scoring that reads the scores themselves, as it sees every depth."""

    sees_every_depth = True

    def scores(self, read: Tensor, *, in_decoder: bool) -> Tensor:
        """Return what was read."""
        return read


class AtOnce(RunningScoring):
    """A scoring whose scores are wanted at each depth, not at the end."""

    def __init__(self, scoring: Scoring, batch: Batch) -> None:
        self._scoring = scoring
        self._batch = batch

    def read(self, depth: int, hidden: Tensor, rows: Tensor) -> Tensor:
        """Return the scores (n, C) of the rows."""
        read = self._scoring.read(depth, hidden, rows)
        in_decoder = self._batch.in_decoder(depth)
        scores = self._scoring.scores(read, in_decoder=in_decoder)
        return self._batch.together(scores, rows)


class LabelScorer:
    """Scores by a head, of a row's read position alone.

    Parameters
    ----------
    head : callable
        ``head(states, stack)`` gives the scores (n, C), float32, of states (n, H) from
        one of the model's stacks, as :class:`~skraee.engine.head.LabelHead` does.
    """

    def __init__(self, head: Callable[[Tensor, int], Tensor]) -> None:
        self._head = head

    def begin(self, batch: Batch) -> Scoring:
        """Start a batch."""
        return _LabelScoring(self._head, batch)


class _LabelScoring:
    sees_every_depth = False

    def __init__(self, head: Callable[[Tensor, int], Tensor], batch: Batch) -> None:
        self._head = head
        self._batch = batch

    def read(self, depth: int, hidden: Tensor, rows: Tensor) -> Tensor:
        return self._batch.read(depth, hidden, rows)

    def scores(self, read: Tensor, *, in_decoder: bool) -> Tensor:
        return self._head(read, int(in_decoder))
