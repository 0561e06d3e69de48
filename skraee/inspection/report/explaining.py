"""Why some of the texts were answered as they were."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from typing import Any

from skraee.estimator.progress import progress
from skraee.exceptions import InputWarning, TruncationWarning, UndecidedWarning
from skraee.inspection.costs import EarlyExit
from skraee.inspection.report.listed import samples_at
from skraee.inspection.story import Told
from skraee.text.inputs import Texts

# Told of all texts when these were answered.
_TOLD_BEFORE = (InputWarning, TruncationWarning, UndecidedWarning)


def explanations(
    estimator: EarlyExit,
    samples: Texts,
    positions: Sequence[int],
    texts: Any = None,
    verbose: int = 0,
) -> dict[int, Told]:
    """Ask a classifier about some texts, one after the other.

    Parameters
    ----------
    estimator : EarlyExitClassifier or RAEEClassifier
        Fitted.
    samples : Texts
    positions : sequence of int
        Of those to explain.
    texts : sequence of str, or DataFrame, optional
        The texts of fit.
    verbose : int, default=0
        1 shows a bar for all of them.

    Returns
    -------
    dict of int to Told
        Position -> why.
    """
    quiet: Any = copy.copy(estimator)
    quiet.verbose = 0  # one bar for all texts, in place of some for each
    known = {}
    if texts is not None and positions:
        # To look at all of them anew for each text would take longer than the model.
        prepare = getattr(quiet, "_words_of_fit", lambda given: given)
        known = {"texts": prepare(texts)}
    told: dict[int, Told] = {}
    shown = verbose if positions else 0
    with progress("explain", len(positions), shown) as on_progress:
        for place, sample in samples_at(samples, positions).items():
            with warnings.catch_warnings():
                for category in _TOLD_BEFORE:
                    warnings.simplefilter("ignore", category)
                told[place] = quiet.explain(sample, **known)
            if on_progress is not None:
                on_progress(1)
    return told
