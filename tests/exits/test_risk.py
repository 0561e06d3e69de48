"""Learn then Test keeps its promise."""

from __future__ import annotations

import numpy as np
import pytest

from skraee.exits.risk import learn_then_test, safe_threshold


def test_six_hundred_texts_are_the_fewest_that_show_a_risk_of_a_twentieth() -> None:
    assert learn_then_test(np.zeros((599, 1)), 0.05, 0.05) == 0
    assert learn_then_test(np.zeros((600, 1)), 0.05, 0.05) == 1


def test_learn_then_test_ends_at_the_first_failure() -> None:
    losses = np.zeros((1000, 4))
    losses[:100, 1] = 1
    assert learn_then_test(losses, 0.05, 0.05) == 1
    assert learn_then_test(losses[:, [0, 2, 3]], 0.05, 0.05) == 3


def population(delta: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw confidences (n, D) and losses (n, D) whose risk goes through delta."""
    rng = np.random.default_rng(0)
    n, depths = 40_000, 6
    ease = rng.normal(size=(n, 1))
    logits = ease + np.linspace(-1.5, 2.0, depths) + rng.normal(size=(n, depths))
    measured = 1 / (1 + np.exp(-logits))
    wrong = rng.random((n, depths)) < 2.2 * delta * (1 - measured) ** 0.5
    wrong[:, -1] = False
    return measured.astype(np.float32), wrong.astype(float)


def exits_at(measured: np.ndarray, candidate: float) -> np.ndarray:
    """The first depth of each text that reaches a threshold, else the last."""
    stops = measured >= np.float32(candidate)
    stops[:, -1] = True
    return stops.argmax(axis=1)


def at(losses: np.ndarray, exits: np.ndarray) -> np.ndarray:
    return losses[np.arange(len(exits)), exits]


@pytest.mark.parametrize(("delta", "n"), [(0.05, 1000), (0.3, 100)])
def test_calibration_keeps_its_promise_in_500_draws(delta: float, n: int) -> None:
    epsilon, draws = 0.05, 500
    measured, losses = population(delta)
    candidates = np.linspace(1, 0, 101)
    stops = [exits_at(measured, c) for c in candidates]
    lost = np.stack([at(losses, exits) for exits in stops])
    risks = lost.mean(axis=1)
    assert risks[0] < delta < risks[-1]
    rng = np.random.default_rng(1)
    missed = naive_missed = 0
    found = []
    for _ in range(draws):
        rows = rng.integers(0, len(measured), n)
        threshold = safe_threshold(
            measured[rows], losses[rows], candidates, delta=delta, epsilon=epsilon
        )
        number = np.flatnonzero(candidates == threshold)
        risk = risks[number[0]] if len(number) else 0.0
        found.append(risk)
        missed += risk > delta
        seen = lost[:, rows].mean(axis=1)
        naive_missed += risks[np.flatnonzero(seen <= delta).max()] > delta
    assert missed <= epsilon * draws
    assert np.median(found) > 0  # it is not safe by never stopping
    assert naive_missed > 0.2 * draws  # and the draws do tempt
