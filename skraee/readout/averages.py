"""Answers of several parts averaged over the depths passed; which parts to ask.

A part on trial has to earn its place, as the others may hold all that it says. For
every text the log-loss of the average, left out and calibrated, is taken in the mean
over all depths, with the part and without. It is read where the mean gain over the
texts is above zero with 95 % confidence (one-sided, paired). Log-loss and not accuracy:
of a few hundred texts it tells smaller differences, and confidence counts in it, by
which texts stop.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax

from skraee.readout.calibration import fit_inverse_temperature
from skraee.readout.sample import Sample
from skraee.readout.ties import ROUNDING
from skraee.readout.weights import is_surely_above
from skraee.sweep.layer_sweep import softmax

Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Passed:
    """Log-probabilities of texts, averaged over the depths that they passed."""

    def __init__(self) -> None:
        self._sum: Any = 0.0
        self._weight = 0.0

    def start(self, logs: npt.NDArray[np.floating], weight: float) -> None:
        """Begin with what was known before the first depth.

        Parameters
        ----------
        logs : ndarray of shape (n, C)
            Log-probabilities.
        weight : float
            How much they count.
        """
        self._sum = weight * logs
        self._weight = weight

    def add(self, logs: Float64Array, weight: Float64Array) -> Float64Array:
        """Pass a depth.

        Parameters
        ----------
        logs : ndarray of shape (P, n, C)
            Log-probabilities, by each part.
        weight : ndarray of shape (P,)
            How much a part counts.

        Returns
        -------
        averaged : ndarray of shape (n, C)
            Where no part of any depth so far counts, the plain mean of this depth's.
        """
        self._sum = self._sum + np.tensordot(weight, logs, axes=1)
        self._weight += weight.sum()
        averaged: Float64Array = (
            self._sum / self._weight if self._weight else logs.mean(axis=0)
        )
        return averaged


class LeftOutAverage:
    """What some parts of the states say of texts that were left out, depth by depth.

    Parameters
    ----------
    parts : tuple of int
        Which of the parts.
    sample : Sample
        The texts that were solved for.
    shape : tuple of int
        Texts n, depths m + 1, classes C.

    Attributes
    ----------
    proba : ndarray of shape (n, m + 1, C), float32
    inverse_temperature : ndarray of shape (m + 1,)
        By which the average becomes calibrated.
    log_loss : ndarray of shape (n_solved,)
        Of the texts that were solved for, in the mean over the depths passed.
    """

    def __init__(
        self, parts: tuple[int, ...], sample: Sample, shape: tuple[int, int, int]
    ) -> None:
        self.parts: IntArray = np.array(parts, np.int64)
        self.proba = np.empty(shape, np.float32)
        self.inverse_temperature = np.empty(shape[1])
        self.log_loss = np.zeros(len(sample.rows))
        self._sample = sample
        self._passed = Passed()

    def start(self, logs: Float64Array, weight: float) -> None:
        """Begin with what was known before the first depth; see `Passed`."""
        self._passed.start(logs, weight)

    def add(self, depth: int, logs: Float64Array, weight: Float64Array) -> None:
        """Pass a depth.

        Parameters
        ----------
        depth : int
            The next.
        logs : ndarray of shape (P, n, C)
            Log-probabilities of all texts, by each part, also those not read here.
        weight : ndarray of shape (P,)
        """
        averaged = self._passed.add(logs[self.parts], weight[self.parts])
        rows, codes = self._sample.rows, self._sample.codes
        factor = fit_inverse_temperature(averaged[rows], codes, self._sample.weights)
        self.inverse_temperature[depth] = factor
        self.proba[:, depth] = softmax(averaged * factor)
        right = np.arange(len(rows)), codes
        loss = -log_softmax(averaged[rows] * factor, axis=1)[right]
        self.log_loss += (loss - self.log_loss) / (depth + 1)

    def is_surely_better_than(self, other: LeftOutAverage) -> bool:
        """Whether its log-loss is smaller than another's by more than chance explains.

        Parameters
        ----------
        other : LeftOutAverage
            Of the same texts.
        """
        weights = self._sample.weights
        least = ROUNDING * float(weights @ other.log_loss / weights.sum())
        return is_surely_above(other.log_loss - self.log_loss, weights, least)


def choices_of_parts(n_parts: int, n_on_trial: int) -> Iterator[tuple[int, ...]]:
    """Yield all choices of parts of which only the last ones may be left out.

    Parameters
    ----------
    n_parts : int
    n_on_trial : int
        Each more doubles the choices; most folders name one pooling.
    """
    sure = range(n_parts - n_on_trial)
    tried = range(n_parts - n_on_trial, n_parts)
    for n in range(n_on_trial + 1):
        for more in combinations(tried, n):
            yield (*sure, *more)


def average_that_earns(
    averages: Mapping[tuple[int, ...], LeftOutAverage], n_on_trial: int
) -> LeftOutAverage:
    """Take each part on trial, one after the other, that the average is better with.

    Parameters
    ----------
    averages : mapping
        By their parts, for all `choices_of_parts`.
    n_on_trial : int
    """
    chosen = min(averages, key=len)
    for part in range(len(chosen), len(chosen) + n_on_trial):
        if averages[(*chosen, part)].is_surely_better_than(averages[chosen]):
            chosen = (*chosen, part)
    return averages[chosen]
