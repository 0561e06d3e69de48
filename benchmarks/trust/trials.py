"""All trials, in the order of the page."""

from __future__ import annotations

from benchmarks.trust import forking, pressure, running, saving, stores
from benchmarks.trust.trial import Trial

TRIALS: tuple[Trial, ...] = (
    *saving.TRIALS,
    *forking.TRIALS,
    *stores.TRIALS,
    *pressure.TRIALS,
    *running.TRIALS,
)
