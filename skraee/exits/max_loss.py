"""The cheapest exits that are shown to lose next to nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from skraee.exits.curve import ExitCurve
from skraee.exits.evidence import Evidence
from skraee.exits.paired import Paired
from skraee.readout.ties import ROUNDING, tied
from skraee.readout.weights import WeightedShare


def reference_exit(known: Evidence, min_exit: int) -> int:
    """Return the depth that exits are measured by: the deepest that may be the best.

    With few texts the depth of the best accuracy is the best by luck. So it is the
    deepest that a paired test does not find worse than that one.

    Parameters
    ----------
    known : Evidence
    min_exit : int
        The smallest depth at which a text may stop.
    """
    right = known.right[:, min_exit:]
    accuracy = WeightedShare(known.weights)(right)
    best = np.flatnonzero(tied(accuracy))[-1]
    worse = Paired.of(right.T, right[:, best], known.weights).is_surely_worse()
    return min_exit + int(np.flatnonzero(~worse)[-1])


def cheapest_without_loss(max_loss: float, curve: ExitCurve, against: Paired) -> int:
    """Choose the least threshold that loses at most `max_loss`, with 95 % confidence.

    Thresholds are walked from the highest, which loses nothing, to the lowest, and the
    walk ends at the first of which a larger loss is not ruled out. As the order is
    fixed before the answers are looked at, the probability that the choice loses more
    is at most 5 %, however many are tried.

    Parameters
    ----------
    max_loss : float
        Share of accuracy.
    curve : ExitCurve
        Of thresholds, ascending.
    against : Paired
        How each differs from the reference.

    Returns
    -------
    int
        The place of the choice: the last where not even that passes.

    References
    ----------
    Angelopoulos et al., "Learn then Test", 2021, arXiv 2110.01052, for fixed sequences.
    """
    fails = against.loss_bound() > max_loss + ROUNDING
    failed = np.flatnonzero(fails)
    last = len(curve.values) - 1
    return min(int(failed[-1]) + 1, last) if len(failed) else 0


def exit_report(
    curve: ExitCurve, against: Paired, chosen: int
) -> dict[str, npt.NDArray[Any]]:
    """Lay out what each threshold leads to.

    Parameters
    ----------
    curve : ExitCurve
        Of L thresholds.
    against : Paired
        How each differs from the reference.
    chosen : int
        The place of the choice.

    Returns
    -------
    dict of ndarray of shape (L,)
    """
    return curve.report("threshold", chosen) | {
        "loss": against.loss,
        "loss_bound": against.loss_bound(),
    }
