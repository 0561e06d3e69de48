"""Scorers: what turns the states of a batch into class scores, depth after depth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from skraee.engine.batch import Batch
from skraee.engine.head import LabelHead
from skraee.engine.row_exits import RunningScoring, Scoring
from skraee.engine.states import rounded

if TYPE_CHECKING:
    from skraee.readout.ridge import RidgeReadout

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
        self.sharpness = readout.sharpness.tolist()
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
        return averaged * float(scorer.sharpness[depth])


class LabelScorer:
    """The model's own head, for the label words.

    Parameters
    ----------
    head : LabelHead
    """

    def __init__(self, head: LabelHead) -> None:
        self.head = head

    def begin(self, batch: Batch) -> Scoring:
        """Start a batch."""
        return _LabelScoring(self.head, batch)


class _LabelScoring:
    sees_every_depth = False

    def __init__(self, head: LabelHead, batch: Batch) -> None:
        self._head = head
        self._batch = batch

    def read(self, depth: int, hidden: Tensor, rows: Tensor) -> Tensor:
        return self._batch.read(depth, hidden, rows)

    def scores(self, read: Tensor, *, in_decoder: bool) -> Tensor:
        return self._head(read, int(in_decoder))
