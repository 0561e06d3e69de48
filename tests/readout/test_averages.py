"""Which parts of the states are read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from skraee.readout.averages import (
    LeftOutAverage,
    average_that_earns,
    choices_of_parts,
)

N_TEXTS = 100


def average(log_loss: np.ndarray, weights: np.ndarray | None = None) -> Any:
    """Return what some parts say of texts, of which only the log-loss is asked."""
    weights = np.ones(len(log_loss)) if weights is None else weights
    sample: Any = SimpleNamespace(rows=np.arange(len(log_loss)), weights=weights)
    made = LeftOutAverage((0,), sample, (len(log_loss), 1, 2))
    made.log_loss = log_loss
    return made


@pytest.mark.parametrize(
    ("gain", "low", "high"), [(0.0, 0.02, 0.08), (0.6, 0.95, 1.0), (-0.6, 0.0, 0.0)]
)
def test_a_part_is_read_where_chance_hardly_explains_the_gain(
    gain: float, low: float, high: float
) -> None:
    rng = np.random.default_rng(0)
    kept = []
    for _ in range(500):
        common = rng.exponential(5.0, N_TEXTS)  # texts differ more than parts do
        without = average(common + rng.normal(size=N_TEXTS))
        with_it = average(common + rng.normal(size=N_TEXTS) - gain)
        kept.append(with_it.is_surely_better_than(without))
    assert low <= np.mean(kept) <= high


def test_texts_that_weigh_nothing_do_not_count() -> None:
    loss, weights = np.ones(N_TEXTS), np.ones(N_TEXTS)
    better = loss - 0.1 * np.random.default_rng(0).random(N_TEXTS)
    assert average(better).is_surely_better_than(average(loss))
    better[:10], weights[:10] = 1e6, 0
    assert average(better, weights).is_surely_better_than(average(loss, weights))


def test_a_gain_within_rounding_is_none() -> None:
    loss = np.random.default_rng(0).exponential(1.0, N_TEXTS)
    same = average(loss * (1 - 1e-12))
    assert not same.is_surely_better_than(average(loss))


@pytest.mark.parametrize(
    ("loss_with", "chosen"),
    [
        ({(0, 1): 0.5, (0, 2): 0.9, (0, 1, 2): 0.4}, (0, 1, 2)),
        ({(0, 1): 0.5, (0, 2): 0.1, (0, 1, 2): 0.6}, (0, 1)),
        ({(0, 1): 1.5, (0, 2): 0.9, (0, 1, 2): 0.1}, (0, 2)),
        ({(0, 1): 1.5, (0, 2): 1.9, (0, 1, 2): 0.1}, (0,)),
    ],
)
def test_parts_on_trial_are_taken_one_after_the_other(
    loss_with: dict[tuple[int, ...], float], chosen: tuple[int, ...]
) -> None:
    assert {*choices_of_parts(3, 2)} == {(0,), *loss_with}
    of_parts = {(0,): 1.0, **loss_with}
    noise = 0.01 * np.random.default_rng(0).random(N_TEXTS)
    averages = {parts: average(loss + noise) for parts, loss in of_parts.items()}
    assert average_that_earns(averages, 2) is averages[chosen]
