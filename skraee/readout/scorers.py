"""A closed-form readout that scores a batch on its way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from skraee.engine.batch import Batch
from skraee.engine.depth_states import DepthStates, StateKind
from skraee.engine.scorer import RunningScoring, Scoring
from skraee.text.token_bags import TokenBags

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
        # Of each depth what is added to each product (P, 1, C), its matrix (P, H, C),
        # and the weights (P,) of what the parts say.
        self.n_classes = readout.n_classes
        self.intercept = _by_depth(readout.intercept[:, :, None], device)
        self.coef = _by_depth(readout.coef, device)
        self.weight = _by_depth(readout.weight.astype(np.float32), device)
        total_weight = readout.weight.sum(axis=1).cumsum()
        if readout.bag is not None:
            total_weight += readout.bag.weight
        self.total_weight: list[float] = total_weight.tolist()
        self.inverse_temperature: list[float] = readout.inverse_temperature.tolist()
        self._bag = readout.bag
        self._final_norms = final_norms
        self._kinds = kinds

    def sums_of(self, batch: Batch) -> Tensor:
        """Return what counts before the first depth: (b, C)."""
        if self._bag is None:
            return self.coef[0].new_zeros(len(batch.numbers), self.n_classes)
        logs = self._bag.weight * self._bag.logs(TokenBags.of(batch.prompts))
        return torch.from_numpy(logs[batch.texts]).to(self.coef[0])

    def begin(self, batch: Batch) -> Scoring:
        """Start a batch."""
        states = DepthStates(batch, self._final_norms, self._kinds)
        return _RidgeScoring(self, states)


class _RidgeScoring(RunningScoring):
    def __init__(self, scorer: RidgeScorer, states: DepthStates) -> None:
        self._scorer = scorer
        self._states = states
        self._sums = scorer.sums_of(states.batch)

    def read(self, depth: int, hidden: Tensor, rows: Tensor) -> Tensor:
        scorer = self._scorer
        features = self._states(depth, hidden, rows).transpose(0, 1).float()
        linear = torch.baddbmm(scorer.intercept[depth], features, scorer.coef[depth])
        logs = torch.log_softmax(linear, dim=2)
        factor, total = scorer.inverse_temperature[depth], scorer.total_weight[depth]
        if not total:
            return logs.mean(dim=0).mul(factor)
        passed: Tensor = self._sums[rows]
        passed += (scorer.weight[depth] @ logs.flatten(1)).view_as(passed)
        self._sums[rows] = passed
        return passed.mul(factor / total)


def _by_depth(values: npt.NDArray[np.float32], device: torch.device) -> list[Tensor]:
    return list(torch.from_numpy(values).to(device).unbind())
