"""CALM's measures of confidence: what is measured, and what passes a threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from skraee.baselines.measures import Measure
from skraee.engine.exit_policy import ExitPolicy

Float64Array = npt.NDArray[np.float64]

#: CALM's confidence -> what is measured.
MEASURES: dict[str, Measure] = {
    "vocab": "vocab",
    "state": "state",
    "classifier": "hidden",
    "labels": "labels",
    "entropy": "entropy",
}

_N_CANDIDATES = 101


@dataclass(frozen=True)
class ByMeasure(ExitPolicy):
    """The first depth from `first` on whose measure passes a threshold.

    Attributes
    ----------
    threshold : float
    first : int
    small_is_confident : bool
        Whether the measure must be below the threshold; else at least as large.
    column : int
        Where among the scores the measure stands.
    """

    threshold: float
    first: int
    small_is_confident: bool
    column: int
    reads_scores = True

    def accepts(self, depth: int, scores: Tensor) -> Tensor | None:
        """Say which rows are confident."""
        if depth < self.first:
            return None
        measured = scores[:, self.column]
        if self.small_is_confident:
            return measured < self.threshold
        return measured >= self.threshold


def candidates_for(measure: str, n_classes: int) -> Float64Array:
    """Return the thresholds that calibration tries, the safest first.

    Parameters
    ----------
    measure : {"vocab", "state", "classifier", "labels", "entropy"}
    n_classes : int
        Number of classes C.

    Returns
    -------
    candidates : ndarray of shape (101,)
        1.00, 0.99, ... 0.00; for "entropy" 0 to just above log C.
    """
    ends = (1.0, 0.0)
    if measure == "entropy":
        ends = (0.0, max(float(np.log(n_classes)), 0.01) * 1.001)
    candidates: Float64Array = np.linspace(*ends, _N_CANDIDATES)
    return candidates


def never(measure: str) -> float:
    """Return the threshold that no confidence passes."""
    return 0.0 if measure == "entropy" else np.inf
