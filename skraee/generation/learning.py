"""What fit of a generator learns from a sweep; nothing here is trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from skraee.estimator.fitted import FittedByNeighbors
from skraee.exits.budget import within_budget
from skraee.exits.curve import price_curve
from skraee.exits.gains import gains_left_out
from skraee.exits.targets import PROBABILITY, SHARE, TargetEvidence, near_best
from skraee.generation.targets import TargetSweep
from skraee.retrieval.database import Database
from skraee.sweep.sweeper import Sweeper

Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Lesson:
    """The sweep of texts that are new, and what was fitted before.

    Attributes
    ----------
    sweeper : Sweeper
    sweep : TargetSweep
        Of the new texts.
    before : FittedByNeighbors or None
        Of the texts that were fitted before.
    """

    sweeper: Sweeper
    sweep: TargetSweep
    before: FittedByNeighbors | None = None

    @property
    def n_layers(self) -> int:
        """Number of layers m that generate."""
        return int(self.sweep.readings.shape[1]) - 1

    @property
    def codes(self) -> IntArray:
        """Which column of each new text's readings depths are judged by: (n,)."""
        return np.full(len(self.sweep.keys), PROBABILITY, dtype=np.int64)

    def layer_scores(
        self, scores_before: Float64Array | None, n_before: int
    ) -> Float64Array:
        """Return the mean share (m + 1,) of every depth over all texts.

        Parameters
        ----------
        scores_before : ndarray of shape (m + 1,) or None
            Of the texts that were fitted before.
        n_before : int
            How many these are.
        """
        sums = self.sweep.readings[:, :, SHARE].sum(axis=0, dtype=np.float64)
        if scores_before is not None:
            sums = sums + scores_before * n_before
        scores: Float64Array = sums / (n_before + len(self.sweep.keys))
        return scores

    def evidence(
        self, fitted: FittedByNeighbors, costs: Float64Array, margin: float
    ) -> TargetEvidence:
        """Return what a budget is kept by: all texts, each left out.

        Parameters
        ----------
        fitted : FittedByNeighbors
            With the database of all texts.
        costs : ndarray of shape (m + 1,)
            Share of a full pass at each depth.
        margin : float
            How far below its best share a depth may be that serves a text.
        """
        readings, keys = fitted.database.proba, fitted.database.keys
        if self.before is None:  # the database may have left some out
            readings = self.sweep.readings
            keys = fitted.standardized(self.sweep.keys)
        return TargetEvidence(
            proba=readings,
            codes=np.full(len(keys), PROBABILITY),
            classes=np.arange(readings.shape[2]),
            weights=np.ones(len(keys)),
            costs=costs,
            database=fitted.database,
            keys=keys,
            margin=margin,
        )


def chosen_price(
    known: TargetEvidence, budget: float, k: int, min_exit: int
) -> dict[str, Any]:
    """Choose the price of depth that fits a budget; return it as attributes.

    Parameters
    ----------
    known : TargetEvidence
    budget : float
        Mean share of a full pass.
    k : int
        Neighbours that are asked.
    min_exit : int
        The smallest depth at which a text may stop.

    Raises
    ------
    ValueError
        If even the earliest exits cost more.
    """
    gains = gains_left_out(known, [k])[k]
    curve = price_curve(known, gains, min_exit)
    place = within_budget(budget, curve)
    return {
        "lambda_": float(curve.values[place]),
        "exit_report_": curve.report("lambda", place),
    }


def served_by_full_depth(database: Database, margin: float) -> Database:
    """Return a database of the texts that the full depth serves nearly best.

    Parameters
    ----------
    database : Database
        Of all texts.
    margin : float
        How far below its best share the full depth may be.

    Raises
    ------
    ValueError
        If it serves none.
    """
    kept = np.flatnonzero(near_best(database.proba, margin)[:, -1])
    if len(kept) == 0:
        raise ValueError(
            "database='correct' needs texts of which the full depth names nearly as "
            f"much as the best depth, got none among {len(database)}; raise margin, or "
            "set database='all'."
        )
    return replace(
        database,
        keys=database.keys[kept],
        proba=database.proba[kept],
        labels=database.labels[kept],
        kept=kept,
    )
