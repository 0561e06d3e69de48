"""What texts of fit, each left out, are answered and cost, choice by choice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from skraee.exits.evidence import Evidence
from skraee.exits.gains import best_for_price
from skraee.exits.paired import Paired
from skraee.exits.policies import first_confident
from skraee.readout.weights import WeightedShare

BoolArray = npt.NDArray[np.bool_]
Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Thresholds and prices that are tried.
_N_TRIED = 400

#: A threshold that no confidence reaches.
NEVER = 2.0


class ExitCurve:
    """Values that could choose the exits, with what follows from each.

    Parameters
    ----------
    known : Evidence
        What the left-out texts say: answers, classes, costs.
    values : ndarray of shape (L,)
        To choose from.
    exits_for : callable
        A value -> the exit of each text (n,).

    Attributes
    ----------
    values : ndarray of shape (L,)
    mean_cost : ndarray of shape (L,)
        Mean share of a full pass.
    cost_error : ndarray of shape (L,)
        Its standard error.
    accuracy : ndarray of shape (L,)
        Weighted share of right answers.
    """

    def __init__(
        self,
        known: Evidence,
        values: Float64Array,
        exits_for: Callable[[float], IntArray],
    ) -> None:
        self.values = values
        self._right_at = right = known.right
        self._weights = known.weights
        self.mean_cost, self.cost_error = np.empty((2, len(values)))
        texts = np.arange(len(right))
        self._answers = np.empty((len(values), len(texts)), dtype=bool)
        for i, value in enumerate(values):
            exits = exits_for(float(value))
            self._answers[i] = right[texts, exits]
            self.mean_cost[i], self.cost_error[i] = _mean_and_error(known.costs, exits)
        self.accuracy = WeightedShare(known.weights)(self._answers.T)

    def report(self, name: str, chosen: int) -> dict[str, npt.NDArray[Any]]:
        """Lay out what each value leads to.

        Parameters
        ----------
        name : str
            Of the values.
        chosen : int
            The place of the choice.

        Returns
        -------
        dict of ndarray of shape (L,)
        """
        return {
            name: self.values,
            "mean_cost": self.mean_cost,
            "accuracy": self.accuracy,
            "chosen": np.arange(len(self.values)) == chosen,
        }

    def against_depth(self, depth: int) -> Paired:
        """Compare every choice with one depth for all texts."""
        return Paired.of(self._answers, self._right_at[:, depth], self._weights)

    def against_choice(self, place: int, places: IntArray) -> Paired:
        """Compare some choices with another.

        Parameters
        ----------
        place : int
            Of the one that is compared with.
        places : ndarray of int
            Of the others.
        """
        answers = self._answers
        return Paired.of(answers[places], answers[place], self._weights)


def threshold_curve(
    known: Evidence, min_exit: int, max_exit: int | None = None
) -> ExitCurve:
    """Return what thresholds of confidence lead to, from the lowest to `NEVER`.

    Parameters
    ----------
    known : Evidence
    min_exit : int
        The smallest depth at which a text may stop.
    max_exit : int, optional
        The depth at which every text stops at the latest; the last by default.
    """
    confidence = known.proba.max(axis=2)
    last = confidence.shape[1] - 1 if max_exit is None else max_exit
    confidence = confidence[:, : last + 1]
    quantiles = np.quantile(confidence[:, min_exit:], np.linspace(0, 1, _N_TRIED))
    return ExitCurve(
        known,
        np.unique(np.append(quantiles, [0.0, NEVER])),
        lambda threshold: first_confident(confidence, threshold, min_exit),
    )


def price_curve(known: Evidence, gains: Float64Array, min_exit: int) -> ExitCurve:
    """Return what prices of depth lead to.

    Parameters
    ----------
    known : Evidence
    gains : ndarray of shape (n, m + 1)
        `expected_gains` of each text by the others.
    min_exit : int
        The smallest depth at which a text may stop.
    """
    return ExitCurve(
        known,
        np.append(0.0, np.geomspace(1e-4, 1e2, _N_TRIED)),
        lambda price: best_for_price(gains, known.costs, price, min_exit),
    )


def _mean_and_error(costs: Float64Array, exits: IntArray) -> tuple[float, float]:
    """Return the mean cost of exits and its standard error, whatever their order."""
    shares = np.bincount(exits, minlength=len(costs)) / len(exits)
    mean = float(shares @ costs)
    variance = float(shares @ (costs - mean) ** 2)
    return mean, (variance / len(exits)) ** 0.5
