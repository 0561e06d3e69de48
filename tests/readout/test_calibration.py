"""Temperatures, held to a search by hand."""

from __future__ import annotations

import numpy as np
import pytest

from skraee.readout.calibration import fit_inverse_temperature
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
