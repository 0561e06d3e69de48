"""All trials, in the order of the page."""

from __future__ import annotations

from benchmarks.trust import footprint, model_files, saving
from benchmarks.trust.trial import Trial

TRIALS: tuple[Trial, ...] = (
    *saving.TRIALS,
    *model_files.TRIALS,
    *footprint.TRIALS,
)
