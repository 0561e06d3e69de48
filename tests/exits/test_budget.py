"""Prices and thresholds within a budget, held to all that could be chosen."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from scipy.stats import norm

from skraee.exits.budget import within_budget
from skraee.exits.curve import ExitCurve, price_curve, threshold_curve
from skraee.exits.evidence import NeighborEvidence
from skraee.exits.gains import best_for_price, expected_gains, gains_left_out
from skraee.exits.policies import first_confident
from skraee.readout.weights import sample_weights
from skraee.retrieval.database import Database
from tests.support.evidence import COSTS, known

BUDGETS = [0.15, 0.3, 0.5, 0.8, 1.0]


def accuracy(known: NeighborEvidence, exits: np.ndarray) -> float:
    texts = np.arange(len(exits))
    right = known.proba[texts, exits].argmax(axis=1) == known.codes
    return float((right * known.weights).sum() / known.weights.sum())


def within(exits: np.ndarray, budget: float) -> bool:
    """Say whether the mean cost is within a budget by one standard error."""
    error = np.std(COSTS[exits]) / len(exits) ** 0.5
    return bool(COSTS[exits].mean() + error <= budget + 1e-9)


def exits_within(
    budget: float, by: str, known: NeighborEvidence, min_exit: int = 0
) -> np.ndarray:
    """Choose the price or threshold for a budget, and the exits that follow."""
    if by == "price":
        gains = gains_left_out(known, [10])[10]
        curve = price_curve(known, gains, min_exit)
        price = curve.values[within_budget(budget, curve)]
        return best_for_price(gains, COSTS, price, min_exit)
    threshold = chosen_threshold(budget, known, min_exit)
    return first_confident(known.proba.max(axis=2), threshold, min_exit)


def chosen_threshold(budget: float, known: NeighborEvidence, min_exit: int) -> float:
    curve = threshold_curve(known, min_exit)
    return float(curve.values[within_budget(budget, curve)])


def may_be_best(
    known: NeighborEvidence, exits: np.ndarray, every: list[np.ndarray], budget: float
) -> bool:
    """Say whether a paired test leaves it open that exits are the most accurate.

    They are compared with the best of all that are within the budget.
    """
    best = max((e for e in every if within(e, budget)), key=partial(accuracy, known))
    texts = np.arange(len(exits))
    first, other = (known.right[texts, e] for e in (best, exits))
    differ = (first != other) * known.weights
    lost = (first.astype(float) - other) @ known.weights
    n = known.weights.sum() ** 2 / (known.weights**2).sum()
    # 1.645 standard errors, and a step between the 400 values that are tried
    limit = 1.645 * np.sqrt(differ.sum() * known.weights.sum() / n)
    return bool(lost <= limit + 0.011 * known.weights.sum())


@pytest.mark.parametrize(
    ("budget", "min_exit"), [*((b, 0) for b in BUDGETS), *((b, 1) for b in BUDGETS[1:])]
)
@pytest.mark.parametrize("balanced", [False, True])
def test_threshold_may_be_the_best_of_all_that_stay_within_the_budget(
    budget: float, min_exit: int, balanced: bool
) -> None:
    evidence = known(balanced=balanced)
    confidence = evidence.proba.max(axis=2)
    exits = exits_within(budget, "threshold", evidence, min_exit)
    assert within(exits, budget)
    every = [
        first_confident(confidence, value, min_exit)
        for value in np.append(np.unique(confidence), 2.0)
    ]
    assert may_be_best(evidence, exits, every, budget)


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("balanced", [False, True])
def test_price_may_be_the_best_of_all_that_stay_within_the_budget(
    budget: float, balanced: bool
) -> None:
    evidence = known(balanced=balanced)
    gains = gains_left_out(evidence, [10])[10]
    exits = exits_within(budget, "price", evidence)
    assert within(exits, budget)
    every = [best_for_price(gains, COSTS, p, 0) for p in np.geomspace(1e-4, 1e2, 3000)]
    assert may_be_best(evidence, exits, every, budget)


@pytest.mark.parametrize("by", ["price", "threshold"])
def test_more_budget_is_used_and_scores_more(by: str) -> None:
    evidence = known()
    budgets = np.linspace(0.05, 1.0, 12)
    exits = [exits_within(b, by, evidence) for b in budgets]
    costs = [COSTS[e].mean() for e in exits]
    assert costs == sorted(costs)
    assert costs[-1] > 0.9
    assert accuracy(evidence, exits[-1]) > accuracy(evidence, exits[0]) + 0.1


@pytest.mark.slow
@pytest.mark.parametrize("by", ["price", "threshold"])
def test_budgets_hold_for_other_texts(by: str) -> None:
    """What 200 texts chose is put to 5,000 of the same kind, 40 times."""
    others = known(5_000, seed=1_000)
    shares = []
    for seed in range(40):
        evidence = known(seed=seed)
        if by == "threshold":
            threshold = chosen_threshold(0.3, evidence, 0)
            exits = first_confident(others.proba.max(axis=2), threshold, 0)
        else:
            gains = gains_left_out(evidence, [10])[10]
            curve = price_curve(evidence, gains, 0)
            price = float(curve.values[within_budget(0.3, curve)])
            found = evidence.database.neighbors(others.keys, 10)
            gains = expected_gains(evidence.database, *found)
            exits = best_for_price(gains, COSTS, price, 0)
        shares.append(COSTS[exits].mean() / 0.3)
    assert max(shares) <= 1.1


@pytest.mark.parametrize("by", ["price", "threshold"])
def test_of_equal_scores_the_deepest_is_chosen(by: str) -> None:
    evidence = known()
    evidence.proba[:] = evidence.proba[:, -1:]  # depth changes nothing
    exits = exits_within(0.5, by, evidence)
    assert within(exits, 0.5)
    if by == "threshold":  # of one text all depths are equally sure
        evidence.proba[:, 2:] += (
            1e-3 * np.eye(3, dtype=np.float32)[evidence.codes[:, None]]
        )
        exits = exits_within(0.5, by, evidence)
        assert COSTS[exits].mean() > 0.3


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("by", ["price", "threshold"])
def test_what_is_chosen_is_the_deepest_of_what_may_be_best(
    by: str, balanced: bool
) -> None:
    """Held to a loop in whole numbers, on 12 draws."""
    for seed in range(12):
        evidence = known(60, seed, balanced)
        evidence.codes[:40] = 0  # so that weights differ
        weights = sample_weights(
            evidence.codes, np.arange(3), "balanced" if balanced else None
        )
        evidence = replace(evidence, weights=weights)
        curve = curve_of(by, evidence)
        every = exits_of_all(by, evidence, curve)
        # Many values lead to the same exits, which are judged once.
        distinct, place = np.unique(every, axis=0, return_inverse=True)
        fits = [i for i, e in enumerate(distinct) if within(e, 0.6)]
        merits = [exact_merit(evidence, e) for e in distinct]
        best = distinct[max(fits, key=lambda i: merits[i])]
        open_ = [i for i in fits if not surely_worse(evidence, best, distinct[i])]
        deepest = max(merits[i][1] for i in open_)
        found = place.ravel()[within_budget(0.6, curve)]
        assert merits[found][1] == deepest, seed
        assert found in open_


def curve_of(by: str, evidence: NeighborEvidence) -> ExitCurve:
    if by == "threshold":
        return threshold_curve(evidence, 0)
    return price_curve(evidence, gains_left_out(evidence, [10])[10], 0)


def exits_of_all(by: str, evidence: NeighborEvidence, curve: ExitCurve) -> np.ndarray:
    """Return the exits (L, n) that the values of a curve lead to."""
    if by == "threshold":
        confidence = evidence.proba.max(axis=2)
        return np.stack([first_confident(confidence, v, 0) for v in curve.values])
    gains = gains_left_out(evidence, [10])[10]
    return np.stack([best_for_price(gains, COSTS, v, 0) for v in curve.values])


def surely_worse(
    evidence: NeighborEvidence, best: np.ndarray, exits: np.ndarray
) -> bool:
    """Count in whole numbers, and compare squares, so that nothing is rounded."""
    texts = np.arange(len(exits))
    first, other = (evidence.right[texts, e] for e in (best, exits))
    balanced = np.ptp(evidence.weights) > 0
    n_texts = np.bincount(evidence.codes).tolist()
    weights = [Fraction(1, n_texts[c] if balanced else 1) for c in evidence.codes]
    lost = sum(w for w, a, b in zip(weights, first, other, strict=True) if a > b)
    gained = sum(w for w, a, b in zip(weights, first, other, strict=True) if b > a)
    total, squares = sum(weights), sum(w * w for w in weights)
    # (lost - gained)^2 / (lost + gained) in shares, times the texts it counts for
    z = Fraction(norm.ppf(0.95))
    return (
        lost > gained
        and (lost - gained) ** 2 * total >= z * z * (lost + gained) * squares
    )


def exact_merit(
    evidence: NeighborEvidence, exits: np.ndarray
) -> tuple[Fraction, Fraction]:
    """Return the accuracy and the cost of exits, without any rounding."""
    balanced = np.ptp(evidence.weights) > 0
    n_texts = np.bincount(evidence.codes).tolist()
    right = evidence.right[np.arange(len(exits)), exits]
    accuracy = sum(
        Fraction(1, n_texts[code] if balanced else 1)
        for code in evidence.codes[right].tolist()
    )
    costs = [Fraction(cost).limit_denominator(10) for cost in COSTS.tolist()]
    return Fraction(accuracy), sum(map(costs.__getitem__, exits), Fraction(0))


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("by", ["price", "threshold"])
def test_the_order_of_the_texts_does_not_change_the_choice(
    by: str, balanced: bool
) -> None:
    for seed in range(20):
        evidence = known(60, seed, balanced)
        order = np.random.default_rng(seed).permutation(60)
        turned = replace(
            evidence,
            database=Database.build(
                evidence.keys[order],
                evidence.proba[order],
                evidence.codes[order],
                method="exact",
            ),
            keys=evidence.keys[order],
            proba=evidence.proba[order],
            codes=evidence.codes[order],
            weights=evidence.weights[order],
        )
        curves = [curve_of(by, texts) for texts in (evidence, turned)]
        for budget in (0.3, 1.0):
            found, other = (within_budget(budget, curve) for curve in curves)
            assert found == other, (seed, budget)


@pytest.mark.parametrize("by", ["price", "threshold"])
def test_a_budget_that_no_exit_keeps_is_a_clear_error(by: str) -> None:
    message = r"budget=0.15 is less than the earliest exits cost, 0.2 of a full pass;"
    with pytest.raises(ValueError, match=message):
        exits_within(0.15, by, known(), min_exit=1)


@pytest.mark.parametrize("by", ["price", "threshold"])
def test_the_cheapest_exits_are_within_reach_where_just_these_fit(by: str) -> None:
    assert exits_within(0.2, by, known(), min_exit=1).tolist() == [1] * 200


def test_a_budget_of_one_layer_is_not_lost_to_rounding() -> None:
    layer = 1 / 18  # of 200 such costs the mean is larger by 2e-17
    evidence = replace(known(), costs=np.array([0, layer, 0.5, 0.8, 1.0]))
    threshold = chosen_threshold(layer, evidence, 1)
    exits = first_confident(evidence.proba.max(axis=2), threshold, 1)
    assert exits.tolist() == [1] * 200
