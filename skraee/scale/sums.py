"""What workers of any engine make of labelled texts, and what a driver makes of that.

For a closed-form readout a worker sends sums of a fixed size (`skraee.readout.moments`)
and then, of a bounded sample, scores by regressions that did not see the text; features
of texts stay where they are made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from skraee.estimator.learning import Lesson, Reading
from skraee.readout.moments import Moments, SolvedByMoments, solve_moments
from skraee.readout.ridge import fit_ridge_by_moments
from skraee.readout.sample import READOUT_SAMPLES
from skraee.readout.weights import sample_weights
from skraee.sweep.layer_sweep import LayerSweep
from skraee.sweep.state_kinds import n_on_trial
from skraee.text.inputs import Texts
from skraee.text.token_bags import TokenBags

if TYPE_CHECKING:
    from skraee.early_exit import EarlyExitClassifier

Float64Array = npt.NDArray[np.float64]
IntegerArray = npt.NDArray[np.integer]
Columns = Sequence[Sequence[str]]

# Texts that are swept at once; their states are all that a worker holds of texts.
_AT_ONCE = 1024

# Of a class the sample has so many texts, or all, however few it is of.
_LEAST_OF_CLASS = 20

_HALF = 2**32


@dataclass(frozen=True, eq=False)
class SumTask:
    """What each worker is told.

    Attributes
    ----------
    clf : EarlyExitClassifier
        Not fitted, with no memory.
    classes : ndarray of shape (C,)
    weights : ndarray of shape (C,)
        Of a text of each class.
    rates : ndarray of shape (C,)
        Share of each class in the sample.
    n_folds : int
    """

    clf: EarlyExitClassifier
    classes: npt.NDArray[Any]
    weights: Float64Array
    rates: Float64Array
    n_folds: int

    @classmethod
    def of(
        cls,
        clf: EarlyExitClassifier,
        classes: npt.NDArray[Any],
        codes: IntegerArray,
        n_folds: int,
        n_sampled: int = READOUT_SAMPLES,
    ) -> Self:
        """Say what is done with texts of these codes (n,), which are all there are."""
        counts = np.bincount(codes, minlength=len(classes))
        of_text = sample_weights(codes, classes, clf.class_weight)
        of_class = np.zeros(len(classes))
        of_class[codes] = of_text  # texts of a class weigh the same
        even = n_sampled / len(codes)
        rates = np.maximum(even, _LEAST_OF_CLASS / counts.clip(min=1)).clip(max=1)
        return cls(clf, classes, of_class, rates, n_folds)

    def codes_of(self, labels: Sequence[Any]) -> IntegerArray:
        """Return the places of labels (n,) in the classes."""
        return np.searchsorted(self.classes, np.asarray(labels, self.classes.dtype))

    def draws(self, columns: Columns) -> tuple[IntegerArray, Float64Array]:
        """Return folds (n,), and numbers in [0, 1) that say whether a text is sampled.

        Both are by the text itself, so that copies are in one fold, and no order and
        no retry changes them.
        """
        drawn = np.array(
            [_drawn(sample) for sample in zip(*columns, strict=True)], np.uint64
        )
        shares = (drawn >> np.uint64(32)).astype(np.float64) / _HALF
        folds = (drawn & np.uint64(_HALF - 1)) % np.uint64(self.n_folds)
        return folds.astype(np.int64), shares

    def sampled(self, columns: Columns, labels: Sequence[Any]) -> npt.NDArray[np.bool_]:
        """Mark the texts (n,) of the sample."""
        if (self.rates == 1).all():
            return np.ones(len(labels), bool)
        found: npt.NDArray[np.bool_]
        found = self.draws(columns)[1] < self.rates[self.codes_of(labels)]
        return found


@dataclass(frozen=True, eq=False)
class LeftOut:
    """What is told of some texts by regressions without them.

    Attributes
    ----------
    codes : ndarray of shape (n,)
    scores : ndarray of shape (n, m + 1, P, C), float32
    bags : TokenBags
    """

    codes: IntegerArray
    scores: npt.NDArray[np.float32]
    bags: TokenBags

    @classmethod
    def joined(cls, parts: Sequence[LeftOut]) -> Self:
        """Join what several workers found, in their order."""
        return cls(
            np.concatenate([part.codes for part in parts]),
            np.concatenate([part.scores for part in parts]),
            TokenBags.joined([bag for part in parts for bag in part.bags.each()]),
        )


def sums_of(task: SumTask, columns: Columns, labels: Sequence[Any]) -> list[Moments]:
    """Sum over texts, for each fold apart.

    Parameters
    ----------
    task : SumTask
    columns : sequence of sequences of n str
        The texts of each field of the template.
    labels : sequence of n objects

    Returns
    -------
    list of n_folds Moments
    """
    found: list[Moments] | None = None
    for some, own in _pieces(columns, labels):
        states = task.clf.sweep(Texts(some)).states
        assert states is not None
        codes = task.codes_of(own)
        weights, folds = task.weights[codes], task.draws(some)[0]
        new = []
        for fold in range(task.n_folds):
            rows = np.flatnonzero(folds == fold)
            some_of = codes[rows], len(task.classes), weights[rows]
            new.append(Moments.of(states[rows], *some_of))
        found = new if found is None else merged_folds(found, new)
    assert found is not None
    return found


def left_out_of(
    task: SumTask, solved: SolvedByMoments, columns: Columns, labels: Sequence[Any]
) -> LeftOut:
    """Read texts by the regressions without their fold.

    Parameters
    ----------
    task : SumTask
    solved : SolvedByMoments
    columns : sequence of sequences of n str
    labels : sequence of n objects
    """
    found = []
    for some, own in _pieces(columns, labels):
        sweep = task.clf.sweep(Texts(some))
        assert sweep.states is not None
        assert sweep.bags is not None
        scores = solved.left_out(sweep.states, task.draws(some)[0])
        found.append(LeftOut(task.codes_of(own), scores, sweep.bags))
    return LeftOut.joined(found)


def merged_folds(first: Sequence[Moments], second: Sequence[Moments]) -> list[Moments]:
    """Return the sums of each fold over the texts of both."""
    return [a.merged(b) for a, b in zip(first, second, strict=True)]


def solved_of(parts: Iterable[Sequence[Moments]]) -> SolvedByMoments:
    """Merge what workers send, as it comes, and solve."""
    return solve_moments(reduce(merged_folds, parts))


def concluded(
    clf: EarlyExitClassifier,
    task: SumTask,
    solved: SolvedByMoments,
    found: LeftOut,
    all_codes: IntegerArray,
) -> EarlyExitClassifier:
    """Fit a classifier by what the workers found.

    Parameters
    ----------
    clf : EarlyExitClassifier
        It is fitted.
    task : SumTask
    solved : SolvedByMoments
    found : LeftOut
        Of the sample.
    all_codes : ndarray of shape (n,)
        Of all texts.
    """
    sweeper = clf._open()
    sweeper = sweeper.with_encoder(sweeper.encoder)
    weights = task.weights[found.codes]
    tried = n_on_trial(sweeper.state_kinds)
    ridge, proba = fit_ridge_by_moments(
        solved, found.scores, found.codes, weights, 0, tried, found.bags
    )
    n, n_depths = found.scores.shape[:2]
    no_keys, no_words = np.zeros((n, 0), np.float32), np.zeros((n, n_depths, 0))
    sweep = LayerSweep(no_keys, no_words.astype(np.float32), ())
    lesson = Lesson(sweeper, sweep, found.codes, task.classes)
    return clf._conclude(lesson, Reading(proba, ridge), weights, all_codes)


def _pieces(columns: Columns, labels: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    for start in range(0, len(labels), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        yield [column[rows] for column in columns], labels[rows]


def _drawn(sample: tuple[str, ...]) -> int:
    words = "\0".join(sample).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(words, digest_size=8).digest(), "little")
