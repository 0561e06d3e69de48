"""All trials, in the order of the page."""

from __future__ import annotations

from benchmarks.trust import models, numbers, odd_inputs, saving
from benchmarks.trust.trial import Trial

TRIALS: tuple[Trial, ...] = (
    *saving.TRIALS,
    *models.TRIALS,
    *odd_inputs.TRIALS,
    *numbers.TRIALS,
)
