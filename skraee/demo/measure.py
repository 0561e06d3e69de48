"""Accuracy, layers and time of full depth and of early exit, all in one way."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from skraee.demo.task import Labelled
from skraee.engine.exit_policy import AtGivenDepths
from skraee.engine.head import LabelHead
from skraee.engine.scorer import LabelScorer
from skraee.sweep.chunks import distinct
from skraee.sweep.sweeper import Sweeper

IntegerArray = npt.NDArray[np.integer]
Float64Array = npt.NDArray[np.float64]

#: Time is measured on so many of the test texts, in so many rounds; medians count.
N_TIMED = 100
N_ROUNDS = 5

#: Rounds whose slowest takes so many times the fastest were not left alone.
STEADY = 4 / 3


@dataclass(frozen=True)
class System:
    """Something that answers texts.

    Attributes
    ----------
    name : str
    answer : callable
        Texts -> labels (n,) and exits (n,).
    least_layers : int
        Layers that run whatever the exit, for the keys.
    """

    name: str
    answer: Callable[[list[str]], tuple[npt.NDArray[Any], IntegerArray]]
    least_layers: int = 0


@dataclass(frozen=True)
class Measured:
    """How a system did on the test texts.

    Attributes
    ----------
    name : str
    right : ndarray of shape (n,), bool
    exits : ndarray of shape (n,), int
    layers_run : float
        Mean.
    seconds : ndarray of shape (n_rounds,)
        For the timed texts, in each round.
    n_timed : int
        How many texts were timed.
    """

    name: str
    right: npt.NDArray[np.bool_]
    exits: IntegerArray
    layers_run: float
    seconds: Float64Array
    n_timed: int

    @property
    def texts_per_second(self) -> float:
        """Texts per second in the median round."""
        return self.n_timed / float(np.median(self.seconds))

    def speedups(self, other: Measured) -> Float64Array:
        """Return how many times as fast as another system it was, in each round.

        Parameters
        ----------
        other : Measured
            In the same rounds.
        """
        return other.seconds / self.seconds


def measure(
    systems: Sequence[System],
    test: Labelled,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Measured]:
    """Let all systems answer the test texts, then time them in turns, warm.

    Parameters
    ----------
    systems : sequence of System
    test : Labelled
    clock : callable, default=time.perf_counter
        Tells the time in seconds.

    Returns
    -------
    list of Measured
    """
    answers = [system.answer(test.texts) for system in systems]
    timed = test.texts[:N_TIMED]
    seconds = _rounds(systems, timed, clock)
    return [
        Measured(
            system.name,
            right=labels == test.labels,
            exits=exits,
            layers_run=float(np.maximum(exits, system.least_layers).mean()),
            seconds=of_system,
            n_timed=len(timed),
        )
        for system, (labels, exits), of_system in zip(
            systems, answers, seconds, strict=True
        )
    ]


def is_steady(rounds: Float64Array) -> bool:
    """Return whether rounds differ by no more than a third.

    Parameters
    ----------
    rounds : ndarray of shape (n_rounds,)
        Seconds, or ratios of seconds.
    """
    return bool(rounds.max() <= STEADY * rounds.min())


def fixed_depth(
    name: str,
    sweeper: Sweeper,
    head: LabelHead,
    classes: npt.NDArray[Any],
    depth: int,
) -> System:
    """Return the backbone without retrieval: every text runs to one depth.

    Prompts, engine, head and numbers are those of early exit.

    Parameters
    ----------
    name : str
        What to call it.
    sweeper : Sweeper
        The backbone in memory.
    head : LabelHead
        Scores the classes.
    classes : ndarray of shape (C,)
    depth : int

    Returns
    -------
    System
    """

    def answer(texts: list[str]) -> tuple[npt.NDArray[Any], IntegerArray]:
        samples, inverse = distinct([(text,) for text in texts])
        prompts = sweeper.prompts.encode(samples)
        exits = np.full(len(prompts), depth)
        run = sweeper.engine.run(prompts, AtGivenDepths(exits), LabelScorer(head))
        return classes[run.scores.argmax(axis=1)][inverse], np.full(len(texts), depth)

    return System(name, answer)


def _rounds(
    systems: Sequence[System], texts: list[str], clock: Callable[[], float]
) -> Float64Array:
    """Return the seconds (n_systems, n_rounds) of systems that take turns.

    Every other round goes backwards, so that a machine that slows down or speeds up
    favours nobody.
    """
    seconds = np.empty((len(systems), N_ROUNDS))
    for r in range(N_ROUNDS):
        turns = range(len(systems)) if r % 2 == 0 else reversed(range(len(systems)))
        for i in turns:
            start = clock()
            systems[i].answer(texts)
            seconds[i, r] = clock() - start
    return seconds
