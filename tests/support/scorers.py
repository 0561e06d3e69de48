"""A scorer that must see every depth, for any head."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from skraee.engine.batch import Batch
from skraee.engine.head import LabelHead
from skraee.engine.scorer import RunningScoring, Scoring


class EveryDepthScorer:
    """The label words' logits times a factor of each depth, scored on the way."""

    def __init__(self, head: LabelHead, factors: np.ndarray) -> None:
        self.head = head
        self.factors = factors.tolist()

    def begin(self, batch: Batch) -> Scoring:
        return _EveryDepthScoring(self, batch)


class _EveryDepthScoring(RunningScoring):
    def __init__(self, scorer: EveryDepthScorer, batch: Batch) -> None:
        self._scorer = scorer
        self._batch = batch

    def read(self, depth: int, hidden: Tensor, rows: Tensor) -> Tensor:
        states = self._batch.read(depth, hidden, rows)
        logits = self._scorer.head(states, int(self._batch.in_decoder(depth)))
        return logits * float(self._scorer.factors[depth])
