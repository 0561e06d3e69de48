"""The price of depth, or the threshold of confidence, that fits a budget."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from skraee.exits.evidence import Evidence
from skraee.exits.gains import best_for_price
from skraee.exits.policies import first_confident
from skraee.readout.ties import ROUNDING, best_of
from skraee.readout.weights import WeightedShare

Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Thresholds and prices that are tried for a budget.
_N_TRIED = 400


def threshold_within(budget: float, known: Evidence, min_exit: int) -> float:
    """Choose the threshold of confidence for a budget, by `best_within`."""
    confidence = known.proba.max(axis=2)
    quantiles = np.quantile(confidence[:, min_exit:], np.linspace(0, 1, _N_TRIED))
    tried = np.unique(np.append(quantiles, [0.0, 2.0]))  # 2: nothing is confident
    return best_within(
        budget,
        known,
        tried,
        lambda threshold: first_confident(confidence, threshold, min_exit),
    )


def price_within(
    budget: float, known: Evidence, gains: Float64Array, min_exit: int
) -> float:
    """Choose the price of depth for a budget, by `best_within`.

    Parameters
    ----------
    budget : float
        Mean share of a full pass, one standard error included.
    known : Evidence
        What the left-out texts say: answers, classes, costs.
    gains : ndarray of shape (n, m + 1)
        `expected_gains` of each text by the others.
    min_exit : int
        The smallest depth at which a text may stop.
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
        What the left-out texts say: answers, classes, costs.
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
