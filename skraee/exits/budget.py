"""The choice of exits that fits a budget."""

from __future__ import annotations

import numpy as np

from skraee.exits.curve import ExitCurve
from skraee.readout.ties import ROUNDING, best_of


def within_budget(budget: float, curve: ExitCurve) -> int:
    """Choose the most accurate within a budget; of what may be as good, the deepest.

    The cost of other texts is only estimated by these, and the best is sought among
    what just fits: one standard error is kept back for that. Accuracy is estimated,
    too, and with few texts the best is so by luck: what a paired test cannot tell from
    it may be as good, and depth is the safer choice of the two.

    Parameters
    ----------
    budget : float
        Mean share of a full pass, one standard error included.
    curve : ExitCurve

    Returns
    -------
    int
        The place of the choice.

    Raises
    ------
    ValueError
        If even the earliest exits cost more.
    """
    fits = np.flatnonzero(curve.mean_cost + curve.cost_error <= budget + ROUNDING)
    if len(fits) == 0:
        raise ValueError(
            f"budget={budget:g} is less than the earliest exits cost, "
            f"{curve.mean_cost.min():.3g} of a full pass; raise budget, or lower "
            "min_exit (or the depth that encoder names)."
        )
    best = int(fits[best_of(curve.accuracy[fits], curve.mean_cost[fits])])
    kept = fits[~curve.against_choice(best, fits).is_surely_worse()]
    return int(kept[best_of(curve.mean_cost[kept], curve.accuracy[kept])])
