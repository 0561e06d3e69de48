"""Exit policies: by neighbours, with or without a price of depth, and by confidence."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from skraee.engine.exit_policy import ExitPolicy, Exits
from skraee.exits.gains import best_for_price, expected_gains, of_right_class
from skraee.exits.voting import (
    BelowTau,
    choose_exit,
    exit_information,
    exit_scores,
    neighbor_weights,
    select_votes,
)
from skraee.retrieval.database import Database
from skraee.retrieval.standardizer import Standardizer

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ExitChoice(Exits):
    """Where queries stop (equation 6), and why.

    Attributes
    ----------
    scores : ndarray of float64 of shape (q, m + 1)
        F of equation 4.
    distances : ndarray of float64 of shape (q, k)
        Distances of the neighbours that voted, ascending.
    rows : ndarray of int64 of shape (q, k)
        Their rows in the database.
    """

    scores: Float64Array
    distances: Float64Array
    rows: IntArray


@dataclass(frozen=True, eq=False, kw_only=True)
class ByNeighbors(ExitPolicy, ABC):
    """Where the nearest stored texts say; how they say it is the subclass's.

    Attributes
    ----------
    database : Database
        The stored texts, of which the nearest are asked.
    standardizer : Standardizer or None
        What the database's keys went through.
    k : int
        Neighbours that are asked.
    min_exit : int
        The smallest depth at which a text may stop.
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
        return self.choice(keys)

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


def votes_of(
    database: Database, tau: float, below_tau: BelowTau, min_exit: int
) -> Float64Array:
    """Return what every stored text votes with.

    Parameters
    ----------
    database : Database
        The stored texts, of which the nearest are asked.
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
        The least top probability that stops a text.
    min_exit : int
        The smallest depth at which a text may stop.
    max_exit : int or None
        The depth at which every text stops at the latest; None for the full depth.
    """

    threshold: float
    min_exit: int = 0
    max_exit: int | None = None
    reads_scores = True

    def depths(self, keys: Float32Array, last: int) -> Exits:
        """Say how deep texts run at the most: none deeper than `max_exit`."""
        most = last if self.max_exit is None else self.max_exit
        return Exits.at(np.full(len(keys), most))

    def accepts(self, depth: int, scores: Tensor) -> Tensor | None:
        """Say which rows are confident."""
        if depth < self.min_exit:
            return None
        return torch.softmax(scores, dim=1).amax(dim=1) >= self.threshold


def first_confident(
    confidence: Float32Array, threshold: float, min_exit: int
) -> IntArray:
    """Choose the first depth from `min_exit` on of enough confidence, else the last."""
    accepted = confidence >= np.float32(threshold)
    accepted[:, :min_exit] = False
    accepted[:, -1] = True
    found: IntArray = accepted.argmax(axis=1).astype(np.int64)
    return found
