"""Classes read at every depth that is passed, and rows that leave when they may.

With the closed-form readout, or with exits by confidence, each depth is scored on the
way. What decides where rows stop is a :class:`Stops`; what turns states into scores is
a :class:`Scorer`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from skraee.backbone.gates import Keep
from skraee.backbone.passes import NO_EXIT, Batch, Decide, decided
from skraee.backbone.readout import LabelHead
from skraee.states import rounded

if TYPE_CHECKING:
    from skraee.ridge import RidgeReadout

#: What a readout may know of a text at a depth.
StateKind = Literal["read", "text", "around"]
IntArray = npt.NDArray[np.int64]


class DepthStates:
    """What a readout may know of a text at a depth, for one batch on its way.

    Parameters
    ----------
    batch : Batch
    closings : sequence of nn.Module
        For each stack what the model applies after its last layer, in float32.
    kinds : sequence of {"read", "text", "around"}
        What to keep: the read-position state after the final norm, the mean over the
        text's own tokens, that over the words around it.
    """

    def __init__(
        self, batch: Batch, closings: Sequence[nn.Module], kinds: Sequence[StateKind]
    ) -> None:
        self.batch = batch
        self._closings = closings
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
            closed = self._closings[int(in_decoder)](read)
            # OPT 350M projects its last states to half of their width.
            closed = nn.functional.pad(closed, (0, hidden.shape[-1] - closed.shape[-1]))
            parts["read"] = rounded(closed, hidden.dtype)
        return torch.stack([parts[kind] for kind in self._kinds], dim=1)

    def _keep_means(self, hidden: Tensor, rows: Tensor) -> None:
        found = self.batch.means(hidden, rows)
        self._means = hidden.new_zeros(len(self.batch.numbers), *found.shape[1:])
        self._means[rows] = found


class Scorer(Protocol):
    """Turns the states of a batch into scores, depth after depth."""

    def begin(self, batch: Batch) -> Scoring:
        """Start a batch."""


class Scoring(Protocol):
    """One batch of a scorer, called at every depth from 0 on."""

    def __call__(self, depth: int, hidden: Tensor, rows: Tensor) -> Tensor:
        """Return the scores (n, C), float32, of the rows that run."""


class RidgeScorer:
    """The closed-form readout on the way (:class:`skraee.ridge.RidgeReadout`).

    Parameters
    ----------
    readout : RidgeReadout
    closings : sequence of nn.Module
    kinds : sequence of {"read", "text", "around"}
        As in :class:`DepthStates`.
    device : torch.device
    """

    def __init__(
        self,
        readout: RidgeReadout,
        closings: Sequence[nn.Module],
        kinds: Sequence[StateKind],
        device: torch.device,
    ) -> None:
        self.coef = torch.from_numpy(readout.coef).to(device)
        self.intercept = torch.from_numpy(readout.intercept).to(device)
        self.weight = torch.from_numpy(readout.weight).float().to(device)
        self.total_weight = readout.weight.sum(axis=1).cumsum().tolist()
        self.sharpness = readout.sharpness.tolist()
        self._closings = closings
        self._kinds = kinds

    def begin(self, batch: Batch) -> Scoring:
        """Start a batch."""
        states = DepthStates(batch, self._closings, self._kinds)
        return _RidgeScoring(self, states)


class _RidgeScoring:
    def __init__(self, scorer: RidgeScorer, states: DepthStates) -> None:
        self._scorer = scorer
        self._states = states
        n_classes = scorer.intercept.shape[2]
        self._sums = scorer.coef.new_zeros(len(states.batch.numbers), n_classes)

    def __call__(self, depth: int, hidden: Tensor, rows: Tensor) -> Tensor:
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
    """The model's own head on the way, with a sharpness for each depth.

    Parameters
    ----------
    head : LabelHead
    sharpness : ndarray of shape (m + 1,)
        Factors on the logits.
    """

    def __init__(self, head: LabelHead, sharpness: npt.NDArray[np.floating]) -> None:
        self.head = head
        self.sharpness = sharpness.tolist()

    def begin(self, batch: Batch) -> Scoring:
        """Start a batch."""

        def score(depth: int, hidden: Tensor, rows: Tensor) -> Tensor:
            states = batch.read(depth, hidden, rows)
            logits = self.head(states, int(batch.in_decoder(depth)))
            return logits * float(self.sharpness[depth])

        return score


class Stops(ABC):
    """Where the rows of a call stop."""

    @abstractmethod
    def landing(self, batch: Batch, scoring: Scoring) -> ScoredLanding:
        """Return the visitor of a batch."""

    def take(self, rows: IntArray) -> Self:
        """Return the stops of some of the call's texts."""
        return self

    @property
    def depths(self) -> IntArray | None:
        """Where each text stops, if that is known before the pass."""
        return None


@dataclass(frozen=True)
class At(Stops):
    """Each text at its own depth."""

    exits: IntArray

    def landing(self, batch: Batch, scoring: Scoring) -> ScoredLanding:
        """Return the visitor of a batch."""
        return _LandingAt(batch, scoring, self.exits[batch.numbers])

    def take(self, rows: IntArray) -> Self:
        """Return the stops of some of the call's texts."""
        return type(self)(self.exits[rows])

    @property
    def depths(self) -> IntArray:
        """Where each text stops."""
        return self.exits


class FirstAccepted(Stops):
    """At the first depth whose scores are accepted, else at the last depth.

    Attributes
    ----------
    last : int
        The last depth.
    """

    last: int

    @abstractmethod
    def accepts(self, depth: int, scores: Tensor) -> Tensor | None:
        """Say of which rows the scores (n, C) are accepted: (n,) bool; None: of none.

        It is not asked at the last depth.
        """

    def landing(self, batch: Batch, scoring: Scoring) -> ScoredLanding:
        """Return the visitor of a batch."""
        return _LandingWhenAccepted(batch, scoring, self)


@dataclass(frozen=True)
class WhenConfident(FirstAccepted):
    """At the first depth from `min_exit` on whose top probability is high enough."""

    threshold: float
    min_exit: int
    last: int

    def accepts(self, depth: int, scores: Tensor) -> Tensor | None:
        """Say which rows are sure."""
        if depth < self.min_exit:
            return None
        return torch.softmax(scores, dim=1).amax(dim=1) >= self.threshold


@dataclass(frozen=True)
class AtEveryDepth(Stops):
    """At the last depth, with the scores of all depths: (n, m + 1, C)."""

    last: int

    def landing(self, batch: Batch, scoring: Scoring) -> ScoredLanding:
        """Return the visitor of a batch."""
        return _LandingAtEveryDepth(batch, scoring, self)


@dataclass(frozen=True)
class Decided(Stops):
    """Where `decide` says, from the states at a depth."""

    at: int
    decide: Decide

    def landing(self, batch: Batch, scoring: Scoring) -> ScoredLanding:
        """Return the visitor of a batch."""
        return _LandingDecided(batch, scoring, self)


class ScoredLanding(ABC):
    """Visitor that scores every depth and lets rows leave.

    Attributes
    ----------
    scores : Tensor of shape (b, C)
        Of each row where it left.
    exits : ndarray of shape (b,)
    undecided : ndarray of shape (b,)
    """

    def __init__(self, batch: Batch, scoring: Scoring) -> None:
        self.batch = batch
        self.scores: Tensor | None = None
        self.exits = np.zeros(len(batch.numbers), dtype=np.int64)
        self.undecided = np.zeros(len(batch.numbers), dtype=bool)
        self._scoring = scoring

    def visit(self, depth: int, hidden: Tensor, rows: Tensor) -> Keep:
        """Score the rows that run and say which go on."""
        scores = self._scoring(depth, hidden, rows)
        if self.scores is None:
            self.scores = scores.new_zeros(len(self.batch.numbers), scores.shape[1])
        return self._land(depth, scores, hidden, rows)

    @abstractmethod
    def _land(self, depth: int, scores: Tensor, hidden: Tensor, rows: Tensor) -> Keep:
        """Note the rows that leave; return those that go on."""

    def _note(self, depth: int, scores: Tensor, rows: Tensor) -> None:
        assert self.scores is not None
        self.scores[rows] = scores
        self.exits[rows.cpu().numpy()] = depth


class _LandingAt(ScoredLanding):
    def __init__(self, batch: Batch, scoring: Scoring, stops: IntArray) -> None:
        super().__init__(batch, scoring)
        self._stops = stops  # descending, so that the first rows go on
        self._n_running = len(stops)

    def _land(self, depth: int, scores: Tensor, hidden: Tensor, rows: Tensor) -> Keep:
        stay = int(np.count_nonzero(self._stops[: self._n_running] > depth))
        if stay == self._n_running:
            return None
        self._note(depth, scores[stay:], rows[stay:])
        self._n_running = stay
        return stay


class _LandingWhenAccepted(ScoredLanding):
    def __init__(self, batch: Batch, scoring: Scoring, stops: FirstAccepted) -> None:
        super().__init__(batch, scoring)
        self._stops = stops

    def _land(self, depth: int, scores: Tensor, hidden: Tensor, rows: Tensor) -> Keep:
        if depth == self._stops.last:
            self._note(depth, scores, rows)
            return 0
        accepted = self._stops.accepts(depth, scores)
        if accepted is None or not bool(accepted.any()):
            return None
        self._note(depth, scores[accepted], rows[accepted])
        return (~accepted).nonzero()[:, 0]


class _LandingAtEveryDepth(ScoredLanding):
    def __init__(self, batch: Batch, scoring: Scoring, stops: AtEveryDepth) -> None:
        super().__init__(batch, scoring)
        self._last = stops.last
        self._passed: list[Tensor] = []

    def _land(self, depth: int, scores: Tensor, hidden: Tensor, rows: Tensor) -> Keep:
        self._passed.append(scores)
        if depth == self._last:
            self.scores = torch.stack(self._passed, dim=1)
            self.exits[:] = depth
        return None


class _LandingDecided(ScoredLanding):
    def __init__(self, batch: Batch, scoring: Scoring, stops: Decided) -> None:
        super().__init__(batch, scoring)
        self._decided = stops
        self._stops = self.exits
        self._passed: list[Tensor] = []

    def _land(self, depth: int, scores: Tensor, hidden: Tensor, rows: Tensor) -> Keep:
        if depth <= self._decided.at:
            self._passed.append(scores)
        if depth < self._decided.at:
            return None
        if depth == self._decided.at:
            keys = self.batch.read(depth, hidden, rows).float().cpu().numpy()
            self._stops, self.undecided = decided(keys, self._decided.decide)
            assert self.scores is not None
            self.scores[self._where(self._stops == NO_EXIT, rows)] = torch.nan
            for passed, earlier in enumerate(self._passed):
                here = rows[self._where(self._stops == passed, rows)]
                self._note(passed, earlier[here], here)
        else:
            ends = self._where(self._stops[rows.cpu().numpy()] == depth, rows)
            self._note(depth, scores[ends], rows[ends])
        going_on = self._stops[rows.cpu().numpy()] > depth
        return None if going_on.all() else self._where(going_on, rows)

    @staticmethod
    def _where(chosen: npt.NDArray[Any], rows: Tensor) -> Tensor:
        return torch.from_numpy(np.flatnonzero(chosen)).to(rows.device)
