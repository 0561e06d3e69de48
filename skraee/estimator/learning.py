"""What fit learns from a sweep and its labels; nothing here is trained."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from skraee.engine.lru_cache import LRUCache, content_hash
from skraee.engine.states import States, room_for
from skraee.estimator.fitted import Fitted
from skraee.readout.calibration import Calibration
from skraee.readout.ridge import RidgeReadout, fit_ridge
from skraee.readout.weights import sample_weights
from skraee.sweep.layer_sweep import LayerSweep, joined_bags, softmax
from skraee.sweep.records import NAME_BYTES
from skraee.sweep.state_kinds import n_on_trial
from skraee.sweep.sweeper import Sweeper
from skraee.sweep.word_tokens import WordTokens
from skraee.text.inputs import Texts
from skraee.text.token_bags import TokenBags

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
IntegerArray = npt.NDArray[np.integer]

_solved = LRUCache()


@dataclass(frozen=True, eq=False)
class Lesson:
    """Labelled texts, the sweep of those that are new, and what was fitted before.

    Attributes
    ----------
    sweeper : Sweeper
    sweep : LayerSweep
        Of the new texts.
    new_codes : ndarray of shape (n,)
        Their class codes.
    classes : ndarray of shape (C,)
    words : WordTokens
        Tokens of the label words, where these are read.
    samples : Texts or None
        The new texts; None where only their sweep is known.
    before : Fitted or None
        Of the texts that were fitted before.
    """

    sweeper: Sweeper
    sweep: LayerSweep
    new_codes: IntegerArray
    classes: npt.NDArray[Any]
    words: WordTokens = field(default_factory=WordTokens)
    samples: Texts | None = None
    before: Any = None

    @property
    def codes(self) -> IntegerArray:
        """Class codes of all texts, the new ones last."""
        if self.before is None:
            return self.new_codes
        return np.concatenate([self.before.codes, self.new_codes])

    def weights(self, class_weight: Any) -> Float64Array:
        """Return the weights (n,) of all texts."""
        return sample_weights(self.codes, self.classes, class_weight)

    def layer_scores(
        self, proba: Float32Array, scores_before: Float64Array | None, n_before: int
    ) -> Float64Array:
        """Return the accuracy (m + 1,) of every depth on all texts.

        Parameters
        ----------
        proba : ndarray of shape (n, m + 1, C)
            Of the texts that are known, the new ones last.
        scores_before : ndarray of shape (m + 1,) or None
            On the texts that were fitted before.
        n_before : int
            How many these are.
        """
        right = proba.argmax(axis=2) == self.codes[:, None]
        n_texts = n_before + len(self.sweep)
        if scores_before is None or len(right) == n_texts:
            scores: Float64Array = right.mean(axis=0)
            return scores
        # The database has forgotten some, but not how many were right.
        step = right[-len(self.sweep) :].mean(axis=0) - scores_before
        scores = scores_before + step * len(self.sweep) / n_texts
        return scores


@dataclass(frozen=True, eq=False)
class Reading:
    """How texts are read, and what that says of the texts of fit.

    Attributes
    ----------
    proba : ndarray of shape (n, m + 1, C)
        Of every text at every depth; where a readout was solved, each left out.
    ridge : RidgeReadout or None
        The closed-form readout.
    records : ndarray of uint8 of shape (n, 20) or None
        Where the store has the texts' states.
    calibration : Calibration or None
        What label words' logits are divided by.
    """

    proba: Float32Array
    ridge: RidgeReadout | None = None
    records: npt.NDArray[np.uint8] | None = None
    calibration: Calibration | None = None


def read_words(lesson: Lesson) -> Reading:
    """Read label words as the model says them.

    Parameters
    ----------
    lesson : Lesson
    """
    proba = lesson.sweep.proba(lesson.words.ids)
    if lesson.before is not None:
        proba = np.concatenate([lesson.before.database.proba, proba])
    return Reading(proba)


def calibrate_words(
    lesson: Lesson, weights: Float64Array, *, keep_logits: bool
) -> Reading:
    """Read label words at a temperature for each depth, fitted on all texts.

    Parameters
    ----------
    lesson : Lesson
    weights : ndarray of shape (n,)
        Of all texts.
    keep_logits : bool
        Whether the temperatures can be fitted again with more texts.
    """
    logits = lesson.sweep.logits_of(lesson.words.ids)
    if lesson.before is not None:
        logits = np.concatenate([lesson.before.calibration.logits, logits])
    calibration = Calibration.fit(logits, lesson.codes, weights)
    proba = softmax(calibration.scores(logits))
    if not keep_logits:
        calibration = replace(calibration, logits=None)
    return Reading(proba, calibration=calibration)


def solve_readout(
    lesson: Lesson, weights: Float64Array, seed: Any, *, shared: bool
) -> Reading:
    """Solve every depth, with the states of earlier texts from the store.

    Parameters
    ----------
    lesson : Lesson
    weights : ndarray of shape (n,)
        Of all texts.
    seed : int or RandomState
        Of the sample that is solved for where there are very many.
    shared : bool
        Whether a fit on the same texts in this process finds it solved, as a search
        over what comes after it does.
    """
    states, records, bags = _known_of_texts(lesson)
    codes, n_classes = lesson.codes, len(lesson.classes)
    n_tried = n_on_trial(lesson.sweeper.state_kinds)
    solve = partial(fit_ridge, states, codes, n_classes, weights, seed, n_tried, bags)
    if shared and records is not None and isinstance(seed, int):
        arrays = map(content_hash, (records, codes, weights))
        ridge, proba = _solved.get((*arrays, n_classes, seed, bags is None), solve)
    else:
        ridge, proba = solve()
    return Reading(proba, ridge, records)


def _known_of_texts(
    lesson: Lesson,
) -> tuple[States, npt.NDArray[np.uint8] | None, TokenBags | None]:
    """Return the states of all texts, where the store has them, and their bags."""
    states, bags, records = lesson.sweep.states, lesson.sweep.bags, None
    before: Fitted | None = lesson.before
    assert states is not None
    if lesson.samples is not None:
        names = b"".join(lesson.sweeper.records_of(lesson.samples))
        records = np.frombuffer(names, np.uint8).reshape(-1, NAME_BYTES)
    if before is not None:
        earlier, bags_before = lesson.sweeper.states_of(before.record_names())
        states, bags = _joined(earlier, states), joined_bags([bags_before, bags])
        if records is not None and before.records is not None:
            records = np.concatenate([before.records, records])
    return states, records, bags


def _joined(first: States, second: States) -> States:
    both = room_for(len(first) + len(second), first.shape[1:], first.dtype)
    both[: len(first)] = first
    both[len(first) :] = second
    return both
