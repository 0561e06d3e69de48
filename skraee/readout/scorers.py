"""A closed-form readout that scores a batch on its way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from skraee.engine.batch import Batch
from skraee.engine.depth_states import DepthStates, StateKind
from skraee.engine.scorer import RunningScoring, Scoring

if TYPE_CHECKING:
    from skraee.readout.ridge import RidgeReadout


class RidgeScorer:
    """The closed-form readout on the way (:class:`skraee.readout.ridge.RidgeReadout`).

    Parameters
    ----------
    readout : RidgeReadout
    final_norms : sequence of nn.Module
    kinds : sequence of {"read", "text", "around"}
        As in :class:`DepthStates`.
    device : torch.device
    """

    def __init__(
        self,
        readout: RidgeReadout,
        final_norms: Sequence[nn.Module],
        kinds: Sequence[StateKind],
        device: torch.device,
    ) -> None:
        self.coef = torch.from_numpy(readout.coef).to(device)
        self.intercept = torch.from_numpy(readout.intercept).to(device)
        self.weight = torch.from_numpy(readout.weight).float().to(device)
        self.total_weight = readout.weight.sum(axis=1).cumsum().tolist()
        self.inverse_temperature = readout.inverse_temperature.tolist()
        self._final_norms = final_norms
        self._kinds = kinds

    def begin(self, batch: Batch) -> Scoring:
        """Start a batch."""
        states = DepthStates(batch, self._final_norms, self._kinds)
        return _RidgeScoring(self, states)


class _RidgeScoring(RunningScoring):
    def __init__(self, scorer: RidgeScorer, states: DepthStates) -> None:
        self._scorer = scorer
        self._states = states
        n_classes = scorer.intercept.shape[2]
        self._sums = scorer.coef.new_zeros(len(states.batch.numbers), n_classes)

    def read(self, depth: int, hidden: Tensor, rows: Tensor) -> Tensor:
        scorer = self._scorer
        features = self._states(depth, hidden, rows).transpose(0, 1).float()
        linear = torch.baddbmm(
            scorer.intercept[depth][:, None], features, scorer.coef[depth]
        )
        logs = torch.log_softmax(linear, dim=2)
        self._sums[rows] += torch.einsum("p,pnc->nc", scorer.weight[depth], logs)
        total = scorer.total_weight[depth]
        averaged = self._sums[rows] / total if total else logs.mean(dim=0)
        return averaged * float(scorer.inverse_temperature[depth])
