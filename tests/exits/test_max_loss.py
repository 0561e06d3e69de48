"""Exits that lose no more than they may, where what is true is known."""

from __future__ import annotations

import numpy as np
import pytest

from skraee.exits.curve import ExitCurve, threshold_curve
from skraee.exits.evidence import Evidence
from skraee.exits.max_loss import cheapest_without_loss, reference_exit
from skraee.exits.paired import Paired, fewest_texts
from skraee.exits.policies import first_confident
from tests.support.evidence import DEPTHS, STEPS, deepening


def chosen(known: Evidence, max_loss: float, min_exit: int = 0) -> tuple[float, int]:
    """Return the threshold and the depth at which every text stops."""
    max_exit = reference_exit(known, min_exit)
    curve = threshold_curve(known, min_exit, max_exit)
    place = cheapest_without_loss(max_loss, curve, curve.against_depth(max_exit))
    return float(curve.values[place]), max_exit


@pytest.mark.slow
@pytest.mark.parametrize(("n", "classes"), [(32, 4), (120, 2), (400, 3), (1_500, 2)])
def test_no_more_is_lost_than_allowed_in_95_of_100_draws(n: int, classes: int) -> None:
    """What n texts choose is judged on 10,000 others, 100 times."""
    others = deepening(10_000, 10_000, classes)
    confidence, right = others.proba.max(axis=2), others.right
    everyone = np.arange(10_000)
    missed, costs = 0, []
    for seed in range(100):
        threshold, max_exit = chosen(deepening(n, seed, classes), 0.01)
        exits = first_confident(confidence[:, : max_exit + 1], threshold, 0)
        loss = right[:, max_exit].mean() - right[everyone, exits].mean()
        missed += loss > 0.01
        costs.append(STEPS[exits].mean())
    assert missed <= 10  # 5 are expected at the most; more than 10 in 1 of 90 runs
    assert np.mean(costs) > 0.9 if n < 268 else np.mean(costs) < 0.95


def test_many_texts_save_more_than_few() -> None:
    costs = []
    for n in (200, 1_000, 5_000):
        known = deepening(n, 1)
        threshold, max_exit = chosen(known, 0.01)
        confidence = known.proba.max(axis=2)[:, : max_exit + 1]
        costs.append(STEPS[first_confident(confidence, threshold, 0)].mean())
    assert costs == sorted(costs, reverse=True)
    assert costs[0] == 1.0
    assert costs[-1] < 0.8


def test_the_reference_is_the_deepest_that_may_be_the_best() -> None:
    assert reference_exit(deepening(20, 0, best=3), 0) == DEPTHS - 1  # nothing is sure
    many = deepening(20_000, 0, best=3)
    accuracy = many.right.mean(axis=0)
    assert reference_exit(many, 0) == accuracy.argmax() == 3
    assert reference_exit(many, 5) == 5 + accuracy[5:].argmax()


def test_the_reference_is_the_best_of_the_texts_that_count() -> None:
    known = deepening(4_000, 0, best=3)
    known.proba[known.codes == 0, -1] = [1.0, 0.0]  # class 0 is known at the end alone,
    known.proba[:, 3] = [0.0, 1.0]  # class 1 before
    for heavy, expected in ((0, DEPTHS - 1), (1, 3)):
        known.weights[:] = np.where(known.codes == heavy, 1.99, 0.01)
        assert reference_exit(known, 0) == expected


def test_of_equal_depths_the_deepest_is_the_reference() -> None:
    known = deepening(5_000, 0)
    known.proba[:, 4:] = known.proba[:, -1:]
    assert reference_exit(known, 0) == DEPTHS - 1


def test_no_text_runs_deeper_than_the_reference_or_stops_too_early() -> None:
    known = deepening(5_000, 0, best=3)
    curve = threshold_curve(known, 2, 3)
    assert curve.mean_cost.min() == STEPS[2]
    assert curve.mean_cost.max() == pytest.approx(STEPS[3])


def test_the_walk_ends_at_the_first_threshold_that_fails() -> None:
    """One that would pass lies below one that fails, and is not reached."""

    class Bounds(Paired):
        def loss_bound(self) -> np.ndarray:
            return np.array([0.001, 0.02, 0.005, 0.01, 0.0])

    known = deepening(50, 0)
    values = np.array([0.1, 0.2, 0.3, 0.4, 2.0])
    confidence = known.proba.max(axis=2)
    curve = ExitCurve(known, values, lambda t: first_confident(confidence, t, 0))
    bounds = Bounds(np.zeros(5), np.zeros(5), 50)
    assert cheapest_without_loss(0.01, curve, bounds) == 2
    assert cheapest_without_loss(0.02, curve, bounds) == 0
    assert cheapest_without_loss(0.004, curve, bounds) == 4


def test_even_a_failing_reference_is_chosen_where_nothing_passes() -> None:
    known = deepening(fewest_texts(0.01) - 1, 0)
    threshold, _ = chosen(known, 0.01)
    assert threshold == 2.0
    threshold, _ = chosen(deepening(5_000, 0), 0.0)
    assert threshold == 2.0


def test_weights_decide_whose_loss_counts() -> None:
    known = deepening(4_000, 3)
    known.weights[:] = np.where(known.codes == 0, 1.99, 0.01)
    alone = Evidence(
        proba=known.proba[known.codes == 0],
        codes=known.codes[known.codes == 0],
        classes=known.classes,
        weights=np.ones((known.codes == 0).sum()),
        costs=STEPS,
    )
    paired = threshold_curve(known, 0).against_depth(6)
    other = ExitCurve(
        alone,
        threshold_curve(known, 0).values,
        lambda t: first_confident(alone.proba.max(axis=2), t, 0),
    ).against_depth(6)
    np.testing.assert_allclose(paired.loss, other.loss, atol=0.01)
    assert paired.n_texts == pytest.approx(other.n_texts, rel=0.02)
