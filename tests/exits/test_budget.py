"""Prices and thresholds within a budget, held to all that could be chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from skraee.exits.budget import best_within, price_within, threshold_within
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
        price = price_within(budget, known, gains, min_exit)
        return best_for_price(gains, COSTS, price, min_exit)
    threshold = threshold_within(budget, known, min_exit)
    return first_confident(known.proba.max(axis=2), threshold, min_exit)


@pytest.mark.parametrize(
    ("budget", "min_exit"), [*((b, 0) for b in BUDGETS), *((b, 1) for b in BUDGETS[1:])]
)
@pytest.mark.parametrize("balanced", [False, True])
def test_threshold_is_the_best_of_all_that_stay_within_the_budget(
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
    best = max(accuracy(evidence, e) for e in every if within(e, budget))
    assert accuracy(evidence, exits) >= best - 0.011  # 400 thresholds are tried


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("balanced", [False, True])
def test_price_is_the_best_of_all_that_stay_within_the_budget(
    budget: float, balanced: bool
) -> None:
    evidence = known(balanced=balanced)
    gains = gains_left_out(evidence, [10])[10]
    exits = exits_within(budget, "price", evidence)
    assert within(exits, budget)
    every = [best_for_price(gains, COSTS, p, 0) for p in np.geomspace(1e-4, 1e2, 3000)]
    best = max(accuracy(evidence, e) for e in every if within(e, budget))
    assert accuracy(evidence, exits) >= best - 0.011


@pytest.mark.parametrize("by", ["price", "threshold"])
def test_more_budget_never_scores_less(by: str) -> None:
    evidence = known()
    budgets = np.linspace(0.05, 1.0, 12)
    scores = [accuracy(evidence, exits_within(b, by, evidence)) for b in budgets]
    assert scores == sorted(scores)
    assert scores[-1] > scores[0] + 0.1


@pytest.mark.parametrize("by", ["price", "threshold"])
def test_budgets_hold_for_other_texts(by: str) -> None:
    """What 200 texts chose is put to 5,000 of the same kind, 40 times."""
    others = known(5_000, seed=1_000)
    shares = []
    for seed in range(40):
        evidence = known(seed=seed)
        if by == "threshold":
            threshold = threshold_within(0.3, evidence, 0)
            exits = first_confident(others.proba.max(axis=2), threshold, 0)
        else:
            gains = gains_left_out(evidence, [10])[10]
            price = price_within(0.3, evidence, gains, 0)
            found = evidence.database.neighbors(others.keys, 10)
            gains = expected_gains(evidence.database, *found)
            exits = best_for_price(gains, COSTS, price, 0)
        shares.append(COSTS[exits].mean() / 0.3)
    assert max(shares) <= 1.1


@pytest.mark.parametrize("by", ["price", "threshold"])
def test_of_equal_scores_the_cheapest_is_chosen(by: str) -> None:
    evidence = known()
    evidence.proba[:] = evidence.proba[:, -1:]  # depth changes nothing
    assert exits_within(1.0, by, evidence).tolist() == [0] * 200


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("by", ["price", "threshold"])
def test_of_values_that_are_equally_right_none_is_cheaper(
    by: str, balanced: bool
) -> None:
    """Counted in whole numbers, on 64 draws."""
    for seed in range(64):
        evidence = known(60, seed, balanced)
        evidence.codes[:40] = 0  # so that weights differ
        weights = sample_weights(
            evidence.codes, np.arange(3), "balanced" if balanced else None
        )
        evidence = replace(evidence, weights=weights)
        tried, exits_for = values_and_exits(by, evidence)
        found = best_within(1.0, evidence, tried, exits_for)
        merits = {value: exact_merit(evidence, exits_for(value)) for value in tried}
        assert merits[found] == max(merits.values()), seed


def values_and_exits(
    by: str, evidence: NeighborEvidence
) -> tuple[np.ndarray, Callable[[float], np.ndarray]]:
    if by == "threshold":
        confidence = evidence.proba.max(axis=2)
        tried = np.append(np.unique(confidence), 2.0)
        return tried, lambda value: first_confident(confidence, value, 0)
    gains = gains_left_out(evidence, [10])[10]
    tried = np.append(0.0, np.geomspace(1e-3, 1e1, 200))
    return tried, lambda price: best_for_price(gains, COSTS, price, 0)


def exact_merit(
    evidence: NeighborEvidence, exits: np.ndarray
) -> tuple[Fraction, Fraction]:
    """Return the accuracy and what exits do not cost, without any rounding."""
    balanced = np.ptp(evidence.weights) > 0
    n_texts = np.bincount(evidence.codes).tolist()
    texts = np.arange(len(exits))
    right = evidence.proba[texts, exits].argmax(axis=1) == evidence.codes
    accuracy = sum(
        Fraction(1, n_texts[code] if balanced else 1)
        for code in evidence.codes[right].tolist()
    )
    costs = [Fraction(cost).limit_denominator(10) for cost in COSTS.tolist()]
    return Fraction(accuracy), -sum(map(costs.__getitem__, exits), Fraction(0))


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
        for budget in (0.3, 1.0):
            found, other = (
                best_within(budget, texts, *values_and_exits(by, texts))
                for texts in (evidence, turned)
            )
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
    threshold = threshold_within(layer, evidence, 1)
    exits = first_confident(evidence.proba.max(axis=2), threshold, 1)
    assert exits.tolist() == [1] * 200
