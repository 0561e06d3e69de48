"""Bounds on what is lost, held to their definition and to what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import norm

from skraee.exits.paired import CONFIDENCE, Paired, fewest_texts

Z = norm.ppf(CONFIDENCE)


def score(lost: int, gained: int, n: int, loss: float) -> float:
    """Return the score statistic, its gains found by maximising the likelihood."""

    def negative(gains: float) -> float:
        parts = [gains + loss, gains, 1 - loss - 2 * gains]
        counts = [lost, gained, n - lost - gained]
        return -sum(
            c * np.log(max(p, 1e-300)) for c, p in zip(counts, parts, strict=True) if c
        )

    limits = max(0.0, -loss), (1 - loss) / 2
    found = minimize_scalar(
        negative, bounds=limits, method="bounded", options={"xatol": 1e-12}
    )
    gains = min([found.x, *limits], key=negative)
    return float((lost - gained - n * loss) / np.sqrt(n * (2 * gains + loss - loss**2)))


@pytest.mark.parametrize(
    ("lost", "gained", "n"),
    [(20, 20, 1000), (5, 0, 1000), (0, 0, 300), (10, 2, 50), (0, 4, 90), (3, 9, 40)],
)
def test_the_bound_is_where_the_score_test_just_rules_out_more(
    lost: int, gained: int, n: int
) -> None:
    paired = Paired(np.array([lost / n]), np.array([gained / n]), n)
    expected = brentq(
        lambda loss: score(lost, gained, n, loss) + Z,
        (lost - gained) / n + 1e-9,
        0.99,
    )
    assert paired.loss_bound()[0] == pytest.approx(expected, abs=2e-5)


def test_bounds_hold_as_often_as_they_promise() -> None:
    """4,000 draws of 200 texts; the true loss is 2 or 5 of 100."""
    rng = np.random.default_rng(0)
    for parts in ([0.05, 0.03, 0.92], [0.06, 0.01, 0.93]):
        counts = rng.multinomial(200, parts, size=4_000) / 200
        bound = Paired(counts[:, 0], counts[:, 1], 200).loss_bound()
        held = (bound >= parts[0] - parts[1]).mean()
        assert 0.93 <= held <= 0.985


def test_what_is_surely_worse_is_told_by_the_sign_of_what_differs() -> None:
    lost, gained = np.array([9, 2, 30, 0]), np.array([1, 1, 25, 0])
    paired = Paired(lost / 100, gained / 100, 100)
    z = np.array([8 / np.sqrt(10), 1 / np.sqrt(3), 5 / np.sqrt(55), 0])
    assert paired.is_surely_worse().tolist() == (z >= Z).tolist()


def test_weights_count_as_so_many_texts() -> None:
    rng = np.random.default_rng(1)
    right, reference = rng.random((2, 60)) < 0.8
    twice = np.concatenate([right, right[:30]]), np.concatenate([reference] * 2)[:90]
    weighted = Paired.of(right[None], reference, np.repeat([2.0, 1.0], 30))
    counted = Paired.of(twice[0][None], twice[1], np.ones(90))
    assert weighted.lost == counted.lost
    assert weighted.gained == counted.gained
    assert weighted.n_texts == pytest.approx(90**2 / (30 * 4 + 30))
    heavy = Paired.of(right[None], reference, np.eye(60)[3] + 1e-9)
    assert heavy.n_texts == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("max_loss", [0.01, 0.02, 0.1])
def test_fewest_texts_are_just_enough(max_loss: float) -> None:
    least = fewest_texts(max_loss)
    nothing = np.zeros(1)
    assert Paired(nothing, nothing, least).loss_bound()[0] <= max_loss
    assert Paired(nothing, nothing, least - 1).loss_bound()[0] > max_loss
