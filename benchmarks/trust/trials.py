"""All trials, in the order of the page."""

from __future__ import annotations

from benchmarks.trust import model_files, saving
from benchmarks.trust.trial import Trial

TRIALS: tuple[Trial, ...] = (*model_files.TRIALS, *saving.TRIALS)
