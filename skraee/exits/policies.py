"""Exit policies: by neighbours, with or without a price of depth, and by confidence."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from skraee.engine.exit_policy import ExitPolicy, Exits
from skraee.exits.leave_one_out import other_neighbors
from skraee.exits.voting import (
    BelowTau,
    choose_exit,
    exit_information,
    exit_scores,
    neighbor_weights,
    select_votes,
)
from skraee.readout.calibration import WeightedShare
from skraee.readout.ties import ROUNDING, best_of, first_largest
from skraee.retrieval.database import Database
from skraee.retrieval.standardizer import Standardizer

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Thresholds and prices that are tried for a budget.
_N_TRIED = 400


@dataclass(frozen=True, eq=False, kw_only=True)
class Evidence:
    """What fit knows of its own texts, each left out: what exits are chosen by.

    Attributes
    ----------
    proba : ndarray of shape (n, m + 1, C)
    codes : ndarray of shape (n,)
        Class codes.
    classes : ndarray of shape (C,)
    weights : ndarray of shape (n,)
        Of the texts.
    costs : ndarray of shape (m + 1,)
        Share of a full pass that each exit takes, that of the keys included.
    """

    proba: Float32Array
    codes: npt.NDArray[np.integer]
    classes: npt.NDArray[Any]
    weights: Float64Array
    costs: Float64Array


@dataclass(frozen=True, eq=False, kw_only=True)
class NeighborEvidence(Evidence):
    """The same where neighbours decide.

    Attributes
    ----------
    database : Database
    keys : ndarray of shape (n, d)
        Of all texts, as the database has them.
    """

    database: Database
    keys: Float32Array


@dataclass(frozen=True, eq=False)
class ExitChoice:
    """Where queries stop, and why.

    Attributes
    ----------
    exits : ndarray of int64 of shape (q,)
        The depth at which each query stops (equation 6).
    undecided : ndarray of bool of shape (q,)
        Where no neighbour voted, so that the exit is the full depth.
    scores : ndarray of float64 of shape (q, m + 1)
        F of equation 4.
    distances : ndarray of float64 of shape (q, k)
        Distances of the neighbours that voted, ascending.
    rows : ndarray of int64 of shape (q, k)
        Their rows in the database.
    """

    exits: IntArray
    undecided: npt.NDArray[np.bool_]
    scores: Float64Array
    distances: Float64Array
    rows: IntArray


@dataclass(frozen=True, eq=False, kw_only=True)
class ByNeighbors(ExitPolicy, ABC):
    """Where the nearest stored texts say; how they say it is the subclass's.

    Attributes
    ----------
    database : Database
    standardizer : Standardizer or None
        What the database's keys went through.
    k : int
        Neighbours that are asked.
    min_exit : int
    decide_at : int or None
        The depth whose states are the keys.
    """

    database: Database
    standardizer: Standardizer | None = None
    k: int
    min_exit: int = 0
    decide_at: int | None = None

    def depths(self, keys: Float32Array, last: int) -> Exits:
        """Choose the exits of texts with these keys (n, d)."""
        choice = self.choice(keys)
        return Exits(choice.exits, choice.undecided)

    def choice(self, keys: Float32Array) -> ExitChoice:
        """Choose the exits of texts with these keys (n, d), and say why."""
        if self.standardizer is not None:
            keys = self.standardizer(keys)
        return self._chosen(*self.database.neighbors(keys, self.k))

    @abstractmethod
    def votes(self) -> Float64Array:
        """Return what every stored text votes with: (n, m + 1)."""

    @abstractmethod
    def _chosen(self, distances: Float64Array, rows: IntArray) -> ExitChoice:
        """Choose by neighbours at distances (q, k), in rows (q, k) of the database."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ByVotes(ByNeighbors):
    """Equations 4 to 6: the depth for which the neighbours vote most.

    Attributes
    ----------
    tau : float
        Least probability that votes.
    below_tau : {"top3", "skip"}
        What a neighbour without one votes with.
    """

    tau: float
    below_tau: BelowTau = "top3"

    def votes(self) -> Float64Array:
        """Return what every stored text votes with: (n, m + 1)."""
        return votes_of(self.database, self.tau, self.below_tau, self.min_exit)

    def _chosen(self, distances: Float64Array, rows: IntArray) -> ExitChoice:
        scores = exit_scores(neighbor_weights(distances), self.votes(), rows)
        exits, undecided = choose_exit(scores)
        return ExitChoice(exits, undecided, scores, distances, rows)


@dataclass(frozen=True, eq=False, kw_only=True)
class ByGain(ByNeighbors):
    """The depth with the most to gain for its price.

    Attributes
    ----------
    price : float
        Probability of the right class that a full pass must gain.
    costs : ndarray of shape (m + 1,)
        Share of a full pass that each exit takes.
    """

    price: float
    costs: Float64Array

    def votes(self) -> Float64Array:
        """Return what every stored text votes with: (n, m + 1)."""
        return of_right_class(self.database)

    def _chosen(self, distances: Float64Array, rows: IntArray) -> ExitChoice:
        gains = expected_gains(self.database, distances, rows)
        exits = best_for_price(gains, self.costs, self.price, self.min_exit)
        undecided = np.zeros(len(exits), dtype=bool)
        return ExitChoice(exits, undecided, gains, distances, rows)


@dataclass(frozen=True)
class ByConfidence(ExitPolicy):
    """The first depth from `min_exit` on whose top probability reaches a threshold.

    Attributes
    ----------
    threshold : float
    min_exit : int
    """

    threshold: float
    min_exit: int = 0
    reads_scores = True

    def accepts(self, depth: int, scores: Tensor) -> Tensor | None:
        """Say which rows are confident."""
        if depth < self.min_exit:
            return None
        return torch.softmax(scores, dim=1).amax(dim=1) >= self.threshold


def votes_of(
    database: Database, tau: float, below_tau: BelowTau = "top3", min_exit: int = 0
) -> Float64Array:
    """Return what every stored text votes with.

    Parameters
    ----------
    database : Database
    tau, below_tau, min_exit
        What `select_votes` takes.

    Returns
    -------
    ndarray of float64 of shape (n, m + 1)
        Made anew only where the setting differs from the last call's.
    """

    def make() -> Float64Array:
        information = exit_information(database.proba, database.labels)
        return select_votes(
            information, tau=tau, below_tau=below_tau, min_exit=min_exit
        )

    return database.derived((tau, below_tau, min_exit), make)


def of_right_class(database: Database) -> Float64Array:
    """Return each stored text's probability of its class: (n, m + 1)."""
    labels = database.labels.astype(np.int64)[:, None, None]
    found = np.take_along_axis(database.proba, labels, axis=2)[:, :, 0]
    return found.astype(np.float64)


def expected_gains(
    database: Database, distances: npt.NDArray[np.floating], rows: IntArray
) -> Float64Array:
    """Average the neighbours' probability of the right class at every depth.

    Parameters
    ----------
    database : Database
    distances, rows : ndarray of shape (q, k)
        The neighbours.

    Returns
    -------
    gains : ndarray of shape (q, m + 1)
        Weighted by distance as in equation 5.
    """
    weights = neighbor_weights(distances)
    weights = weights / weights.sum(axis=1, keepdims=True)
    return exit_scores(weights, of_right_class(database), rows)


def best_for_price(
    gains: Float64Array, costs: Float64Array, price: float, min_exit: int
) -> IntArray:
    """Choose the depth of the largest gain less its price, the smallest on ties."""
    value = gains - price * costs
    return min_exit + first_largest(value[:, min_exit:], size=1.0 + price)


def first_confident(
    confidence: Float32Array, threshold: float, min_exit: int
) -> IntArray:
    """Choose the first depth from `min_exit` on of enough confidence, else the last."""
    accepted = confidence >= np.float32(threshold)
    accepted[:, :min_exit] = False
    accepted[:, -1] = True
    found: IntArray = accepted.argmax(axis=1).astype(np.int64)
    return found


def threshold_within(budget: float, known: Evidence, min_exit: int) -> float:
    """Choose the threshold of confidence for a budget, by leave-one-out.

    Parameters
    ----------
    budget : float
        Mean share of a full pass, one standard error included.
    known : Evidence
    min_exit : int

    Returns
    -------
    float
        Of the best accuracy among those within the budget.

    Raises
    ------
    ValueError
        If even the earliest exits cost more.
    """
    confidence = known.proba.max(axis=2)
    quantiles = np.quantile(confidence[:, min_exit:], np.linspace(0, 1, _N_TRIED))
    tried = np.unique(np.append(quantiles, [0.0, 2.0]))  # 2: nothing is confident
    return best_within(
        budget,
        known,
        tried,
        lambda threshold: first_confident(confidence, threshold, min_exit),
    )


def gains_left_out(
    known: NeighborEvidence, ks: Sequence[int]
) -> dict[int, Float64Array]:
    """Return `expected_gains` of each text of fit by the others, for several k.

    Parameters
    ----------
    known : NeighborEvidence
    ks : sequence of int

    Returns
    -------
    dict of int to ndarray of shape (n, m + 1)
    """
    distances, rows = other_neighbors(known.database, known.keys, max(ks))
    return {
        k: expected_gains(known.database, distances[:, :k], rows[:, :k]) for k in ks
    }


def price_within(
    budget: float, known: Evidence, gains: Float64Array, min_exit: int
) -> float:
    """Choose the price of depth for a budget, by leave-one-out.

    Parameters
    ----------
    budget : float
        Mean share of a full pass, one standard error included.
    known : Evidence
    gains : ndarray of shape (n, m + 1)
        `expected_gains` of each text by the others.
    min_exit : int

    Returns
    -------
    float
        Of the best accuracy among those within the budget.

    Raises
    ------
    ValueError
        If even the earliest exits cost more.
    """
    tried = np.append(0.0, np.geomspace(1e-4, 1e2, _N_TRIED))
    return best_within(
        budget,
        known,
        tried,
        lambda price: best_for_price(gains, known.costs, price, min_exit),
    )


def best_within(
    budget: float,
    known: Evidence,
    tried: Float64Array,
    exits_for: Callable[[float], IntArray],
) -> float:
    """Choose the value of the best accuracy within a budget, then of the least cost.

    The cost of other texts is only estimated by these, and the best value is sought
    among those that just fit: one standard error is kept back for that.

    Parameters
    ----------
    budget : float
        Mean share of a full pass, one standard error included.
    known : Evidence
    tried : ndarray
        Values to choose from.
    exits_for : callable
        A value -> the exit of each text (n,).

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If even the earliest exits cost more.
    """
    texts = np.arange(len(known.codes))
    is_right = known.proba.argmax(axis=2) == known.codes[:, None]
    share = WeightedShare(known.weights)
    scores, costs, errors = np.empty((3, len(tried)))
    for i, value in enumerate(tried):
        exits = exits_for(float(value))
        scores[i] = share(is_right[texts, exits])
        costs[i], errors[i] = _mean_and_error(known.costs, exits)
    fits = np.flatnonzero(costs + errors <= budget + ROUNDING)
    if len(fits) == 0:
        raise ValueError(
            f"budget={budget:g} is less than the earliest exits cost, "
            f"{costs.min():.3g} of a full pass; raise budget, or lower min_exit (or "
            "the depth that encoder names)."
        )
    return float(tried[fits[best_of(scores[fits], -costs[fits])]])


def _mean_and_error(costs: Float64Array, exits: IntArray) -> tuple[float, float]:
    """Return the mean cost of exits and its standard error, whatever their order."""
    shares = np.bincount(exits, minlength=len(costs)) / len(exits)
    mean = float(shares @ costs)
    variance = float(shares @ (costs - mean) ** 2)
    return mean, (variance / len(exits)) ** 0.5
