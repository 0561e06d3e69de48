"""All trials, in the order of the page."""

from __future__ import annotations

from benchmarks.trust import (
    footprint,
    forking,
    model_files,
    models,
    mutants,
    numbers,
    odd_inputs,
    pressure,
    running,
    saving,
    stores,
)
from benchmarks.trust.trial import Trial

TRIALS: tuple[Trial, ...] = (
    *saving.TRIALS,
    *model_files.TRIALS,
    *models.TRIALS,
    *odd_inputs.TRIALS,
    *numbers.TRIALS,
    *forking.TRIALS,
    *stores.TRIALS,
    *pressure.TRIALS,
    *running.TRIALS,
    *footprint.TRIALS,
    *mutants.TRIALS,
)
