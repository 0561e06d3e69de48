"""Votes of texts whose target is a text: how much of it each depth would have said.

A stored text i has for each depth l the share s_l of its target's tokens that the head
would have named there and their mean probability p_l. Its exit information v_i are the
pairs (l, p_l) of the depths whose share is within a margin of its best. All that comes
after it, equations 4 to 6 of the RAEE paper, is as for classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from skraee.exits.evidence import NeighborEvidence
from skraee.exits.policies import ByVotes
from skraee.exits.voting import select_votes

Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: Columns of a reading: which of its two numbers is what.
SHARE, PROBABILITY = 0, 1

# Shares are float32.
_ROUNDING = 1e-6


def near_best(
    readings: npt.NDArray[np.floating], margin: float, min_exit: int = 0
) -> BoolArray:
    """Say which depths name nearly as much of a target as its best one.

    Parameters
    ----------
    readings : ndarray of shape (n, m + 1, 2)
        Of each depth the share of the target's tokens that it names, and their mean
        probability.
    margin : float
        How far below the best share a depth may be.
    min_exit : int, default=0
        Depths below it do not count, neither as the best.

    Returns
    -------
    ndarray of bool of shape (n, m + 1)
        All false where no depth names any token.

    Examples
    --------
    >>> import numpy as np
    >>> from skraee.exits.targets import near_best
    >>> readings = np.array([[[0.0, 0.1], [0.5, 0.2], [0.55, 0.3]]])
    >>> near_best(readings, margin=0.1)
    array([[False,  True,  True]])
    """
    shares = readings[:, :, SHARE].astype(np.float64)
    shares[:, :min_exit] = 0.0
    best = shares.max(axis=1, keepdims=True)
    chosen: BoolArray = (shares >= best - margin - _ROUNDING) & (shares > 0)
    return chosen


def target_information(
    readings: npt.NDArray[np.floating], margin: float, min_exit: int = 0
) -> Float64Array:
    """Read the exit information v_i off readings of targets.

    Parameters
    ----------
    readings : ndarray of shape (n, m + 1, 2)
        As `near_best` takes them.
    margin : float
        How far below the best share a depth may be.
    min_exit : int, default=0
        Depths below it do not count.

    Returns
    -------
    ndarray of float64 of shape (n, m + 1)
        The mean probability where a depth is near the best, else 0.

    Examples
    --------
    >>> import numpy as np
    >>> from skraee.exits.targets import target_information
    >>> target_information(np.array([[[0.25, 0.125], [0.5, 0.25]]]), margin=0.1)
    array([[0.  , 0.25]])
    """
    chosen = near_best(readings, margin, min_exit)
    return np.where(chosen, readings[:, :, PROBABILITY], 0.0).astype(np.float64)


@dataclass(frozen=True, eq=False, kw_only=True)
class ByTargetVotes(ByVotes):
    """Equations 4 to 6, with votes of texts whose target is a text.

    Attributes
    ----------
    margin : float
        How far below a text's best share the depths may be that it votes for.
    """

    margin: float

    def votes(self) -> Float64Array:
        """Return what every stored text votes with: (n, m + 1)."""

        def make() -> Float64Array:
            readings = self.database.proba
            return select_votes(
                target_information(readings, self.margin, self.min_exit),
                tau=self.tau,
                below_tau=self.below_tau,
                min_exit=self.min_exit,
            )

        name = "targets", self.margin, self.tau, self.below_tau, self.min_exit
        return self.database.derived(name, make)


@dataclass(frozen=True, eq=False, kw_only=True)
class TargetEvidence(NeighborEvidence):
    """What exits are chosen by where each text has a target.

    Attributes
    ----------
    margin : float
        How far below its best share a depth may be that serves a text.
    """

    margin: float

    @property
    def right(self) -> BoolArray:
        """Whether each depth serves each text nearly as well as its best: (n, m+1)."""
        return near_best(self.proba, self.margin)
