"""Accuracy, layers and time of full depth and of early exit, all in one way."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from skraee.backbone.batching import distinct
from skraee.backbone.readout import LabelHead
from skraee.demo.task import Labelled
from skraee.reading import Reader

IntArray = npt.NDArray[np.integer]

#: Time is measured on so many of the test texts, so many times, and the best counts.
N_TIMED = 100
N_ROUNDS = 3


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
    answer: Callable[[list[str]], tuple[npt.NDArray[Any], IntArray]]
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
    texts_per_second : float
    """

    name: str
    right: npt.NDArray[np.bool_]
    exits: IntArray
    layers_run: float
    texts_per_second: float


def measure(systems: Sequence[System], test: Labelled) -> list[Measured]:
    """Let all systems answer the test texts, then time them in turns, warm.

    Parameters
    ----------
    systems : sequence of System
    test : Labelled

    Returns
    -------
    list of Measured
    """
    answers = [system.answer(test.texts) for system in systems]
    timed = test.texts[:N_TIMED]
    seconds = np.array(
        [[_seconds(system, timed) for system in systems] for _ in range(N_ROUNDS)]
    )
    return [
        Measured(
            system.name,
            right=labels == test.labels,
            exits=exits,
            layers_run=float(np.maximum(exits, system.least_layers).mean()),
            texts_per_second=len(timed) / best,
        )
        for system, (labels, exits), best in zip(
            systems, answers, seconds.min(axis=0), strict=True
        )
    ]


def fixed_depth(
    name: str,
    reader: Reader,
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
    reader : Reader
        The backbone in memory.
    head : LabelHead
        Scores the classes.
    classes : ndarray of shape (C,)
    depth : int

    Returns
    -------
    System
    """

    def answer(texts: list[str]) -> tuple[npt.NDArray[Any], IntArray]:
        samples, inverse = distinct([(text,) for text in texts])
        prompts = reader.prompts.encode(samples)
        logits = reader.engine.run_to(prompts, np.full(len(prompts), depth), head)
        return classes[logits.argmax(axis=1)][inverse], np.full(len(texts), depth)

    return System(name, answer)


def _seconds(system: System, texts: list[str]) -> float:
    start = time.perf_counter()
    system.answer(texts)
    return time.perf_counter() - start
