"""Times that can be compared: the sides take turns, and medians of rounds count."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any, TypeVar

import torch

from skraee import clear_sweeps

T = TypeVar("T")


def alternate(
    runs: Mapping[str, Callable[[], Any]], rounds: int, n_warm: int | None = None
) -> dict[str, list[float]]:
    """Warm up with the first few, or all, then run all in turns: seconds by round."""
    for run in list(runs.values())[:n_warm]:
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            seconds[name].append(seconds_of(run))
    return seconds


def seconds_of(run: Callable[[], Any]) -> float:
    return clocked(run)[1]


def clocked(run: Callable[[], T]) -> tuple[T, float]:
    """Return what a run gives, and its seconds to its end on the device.

    It finds no search and no sweep of an earlier run in this process.
    """
    clear_sweeps()
    wait()
    start = time.perf_counter()
    found = run()
    wait()
    return found, time.perf_counter() - start


def timed(run: Callable[[], T]) -> tuple[T, tuple[float, float]]:
    """Return what a run gives, and two kinds of seconds.

    Those of the clock, as `clocked`, and those that this process made the processor
    work, all threads together, which other processes leave alone.
    """
    start = time.process_time()
    found, seconds = clocked(run)
    return found, (seconds, time.process_time() - start)


def wait() -> None:
    """Let a GPU finish."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def ratio(ours: list[float], theirs: list[float], digits: int = 3) -> float:
    """Return the median of the rounds' ratios."""
    return round(median(a / b for a, b in zip(ours, theirs, strict=True)), digits)
