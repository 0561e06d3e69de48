"""Visitors: what goes along with a batch, reads there, and says which rows go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from skraee.engine.batch import Batch
from skraee.engine.clock import Clock
from skraee.engine.rows import EndingAt, GoingOn
from skraee.engine.scorer import AtOnce, Scoring


class Visitor(Protocol):
    """One batch's visitor."""

    @property
    def ending_at(self) -> EndingAt | None:
        """Which tokens a layer has to compute; see :class:`RunningRows`."""

    def visit(self, depth: int, hidden: Tensor, rows: Tensor) -> GoingOn:
        """Read the rows that come to a depth, and say which go on."""

    def found(self) -> Mapping[str, Tensor]:
        """Return by name what was read, in the batch's order, once the pass is over."""


class TextMeans:
    """Reads the means (b, H) of the depth-0 states over each text's own tokens."""

    ending_at = None

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._found: dict[str, Tensor] = {}

    def visit(self, depth: int, hidden: Tensor, rows: Tensor) -> GoingOn:
        """Read, and let nobody go on."""
        self._found["keys"] = self._batch.text_mean(hidden)
        return 0

    def found(self) -> Mapping[str, Tensor]:
        """Return the keys."""
        return self._found


class StatesAt:
    """Reads the read-position states (b, H) at one depth."""

    def __init__(self, batch: Batch, depth: int) -> None:
        self.ending_at = batch.all_ending_at(depth)
        self._batch = batch
        self._depth = depth
        self._found: dict[str, Tensor] = {}

    def visit(self, depth: int, hidden: Tensor, rows: Tensor) -> GoingOn:
        """Read at the depth, and let nobody go on from there."""
        if depth < self._depth:
            return None
        states = self._batch.read(depth, hidden, rows).float()
        self._found["keys"] = self._batch.together(states, rows)
        return 0

    def found(self) -> Mapping[str, Tensor]:
        """Return the keys."""
        return self._found


class ScoresAtEveryDepth:
    """Scores all rows at each depth: (b, m + 1, C)."""

    ending_at = None

    def __init__(self, batch: Batch, scoring: Scoring, clock: Clock) -> None:
        self._scoring = AtOnce(scoring, batch)
        self._clock = clock
        self._scores: list[Tensor] = []

    def visit(self, depth: int, hidden: Tensor, rows: Tensor) -> GoingOn:
        """Score, and let all go on."""
        with self._clock.part("head"):
            self._scores.append(self._scoring.read(depth, hidden, rows))
        return None

    def found(self) -> Mapping[str, Tensor]:
        """Return the scores."""
        return {"scores": torch.stack(self._scores, dim=1)}
