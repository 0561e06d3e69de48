"""Temperatures, held to a search by hand."""

from __future__ import annotations

import numpy as np
import pytest

from skraee.readout.calibration import Calibration, fit_inverse_temperature
from skraee.sweep.layer_sweep import softmax

RNG = np.random.default_rng


def test_inverse_temperature_is_that_of_the_least_log_loss() -> None:
    rng = RNG(0)
    scores = rng.normal(size=(400, 3))
    true = softmax(2.5 * scores)
    codes = np.array([rng.choice(3, p=row / row.sum()) for row in true.astype(float)])
    weights = rng.uniform(0.5, 2.0, 400)
    found = fit_inverse_temperature(scores, codes, weights)
    assert found == pytest.approx(2.5, rel=0.3)

    def loss(factor: float) -> float:
        right = softmax(factor * scores)[np.arange(400), codes]
        return float(-(weights * np.log(right.astype(float))).sum())

    tried = np.geomspace(0.05, 50, 400)
    assert loss(found) <= min(map(loss, tried)) + 1e-3
    # Scores of any size, from wherever they count.
    assert fit_inverse_temperature(1e3 * scores + 7.0, codes, weights) == pytest.approx(
        found / 1e3, rel=1e-2
    )


def test_inverse_temperature_never_turns_the_order_round() -> None:
    scores = np.array([[0.0, 1.0]] * 9 + [[1.0, 0.0]])
    wrong = np.zeros(10, int)
    wrong[-1] = 1
    found = fit_inverse_temperature(scores, wrong, np.ones(10))
    assert 0 < found < 0.01


def test_inverse_temperature_of_what_is_always_right_is_finite() -> None:
    scores = np.array([[0.0, 5.0], [5.0, 0.0]])
    found = fit_inverse_temperature(scores, np.array([1, 0]), np.ones(2))
    assert 1 < found < np.inf
    assert np.isfinite(softmax(scores * found)).all()


def test_a_pull_holds_what_texts_leave_open_near_one_and_loses_to_many() -> None:
    scores, codes = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([1, 0])
    free, held = (
        fit_inverse_temperature(scores, codes, np.ones(2), pull) for pull in (0.0, 1.0)
    )
    assert free > 30
    # Where the pull and the log-loss are in balance: ln b = 2 b / (1 + exp b).
    assert np.log(held) == pytest.approx(2 * held / (1 + np.exp(held)), abs=1e-4)
    rng = RNG(1)
    scores = rng.normal(size=(9000, 2))
    codes = (rng.random(9000) < softmax(5.0 * scores)[:, 1]).astype(int)
    many = fit_inverse_temperature(scores, codes, np.ones(9000), 1.0)
    assert many == pytest.approx(5.0, rel=0.1)


def test_logits_far_from_zero_are_divided_to_the_last_digit() -> None:
    logits = np.array([[[3000.0, 3000.25, 2999.5]]], dtype=np.float32)
    found = Calibration(np.array([7.0])).scores(logits)
    expected = (np.array([3000.0, 3000.25, 2999.5]) - 3000.25) / 7
    np.testing.assert_allclose(found[0, 0], expected, rtol=1e-6)
    assert found.dtype == np.float32
    at = Calibration(np.array([1.0, 7.0])).scores_at(logits[0], np.array([1]))
    np.testing.assert_array_equal(at, found[0])
