"""Where texts stop: by confidence, for a price, within a budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from skraee.engine.cost import depth_costs
from skraee.exits.policies import (
    ByConfidence,
    ByGain,
    ByVotes,
    Evidence,
    best_for_price,
    best_within,
    expected_gains,
    first_confident,
    gains_left_out,
    of_right_class,
    price_within,
    threshold_within,
)
from skraee.exits.voting import exit_information, select_votes
from skraee.readout.calibration import sample_weights
from skraee.retrieval.database import Database
from tests.engine.test_engine import loaded
from tests.support.models import MODELS

BUDGETS = [0.15, 0.3, 0.5, 0.8, 1.0]
COSTS = np.array([0.0, 0.2, 0.5, 0.8, 1.0])


def known(
    n: int = 200, seed: int = 0, balanced: bool = False, **settings: Any
) -> Evidence:
    """Draw texts that are read better with depth, some earlier than others."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.arange(n) % 3)
    keys = rng.normal(size=(n, 4)).astype(np.float32)
    # The first key tells from which depth on a text is known.
    clear = np.arange(5) - 2.0 - 1.5 * keys[:, :1]
    logits = rng.normal(size=(n, 5, 3))
    logits[np.arange(n), :, codes] += np.clip(clear, -0.5, 3.0)
    proba = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    proba = proba.astype(np.float32)
    database = Database.build(keys, proba, codes, method="exact", **settings)
    weights = sample_weights(codes, np.arange(3), "balanced" if balanced else None)
    return Evidence(database, keys, proba, codes, np.arange(3), weights, COSTS)


def accuracy(known: Evidence, exits: np.ndarray) -> float:
    texts = np.arange(len(exits))
    right = known.proba[texts, exits].argmax(axis=1) == known.codes
    return float((right * known.weights).sum() / known.weights.sum())


def within(exits: np.ndarray, budget: float) -> bool:
    """Say whether the mean cost is within a budget by one standard error."""
    error = np.std(COSTS[exits]) / len(exits) ** 0.5
    return bool(COSTS[exits].mean() + error <= budget + 1e-9)


def exits_within(
    budget: float, by: str, known: Evidence, min_exit: int = 0
) -> np.ndarray:
    """Choose the price or threshold for a budget, and the exits that follow."""
    if by == "price":
        gains = gains_left_out(known, [10])[10]
        price = price_within(budget, known, gains, min_exit)
        return best_for_price(gains, COSTS, price, min_exit)
    threshold = threshold_within(budget, known, min_exit)
    return first_confident(known.proba.max(axis=2), threshold, min_exit)


# Rules


def test_first_confident_is_the_first_depth_that_reaches_the_threshold() -> None:
    confidence = np.array(
        [[0.5, 0.9, 0.95], [0.9, 0.5, 0.5], [0.5, 0.6, 0.7], [0.8, 0.9, 0.9]],
        dtype=np.float32,
    )
    assert first_confident(confidence, 0.9, 0).tolist() == [1, 0, 2, 1]
    assert first_confident(confidence, 0.9, 1).tolist() == [1, 2, 2, 1]
    assert first_confident(confidence, 0.0, 0).tolist() == [0, 0, 0, 0]
    assert first_confident(confidence, 0.0, 2).tolist() == [2, 2, 2, 2]
    assert first_confident(confidence, 2.0, 0).tolist() == [2, 2, 2, 2]


def test_by_confidence_reads_the_top_probability() -> None:
    proba = np.array([[[0.5, 0.5], [0.1, 0.9]], [[0.05, 0.95], [0.5, 0.5]]], np.float32)
    keys = np.zeros((2, 0), dtype=np.float32)
    assert ByConfidence(0.9).exits(keys, np.log(proba)).depths.tolist() == [1, 0]


@pytest.mark.parametrize("min_exit", [0, 1, 3])
@pytest.mark.parametrize("threshold", [0.0, 0.4, 0.6, 0.9, 2.0])
def test_exits_of_known_texts_are_the_first_that_are_accepted(
    threshold: float, min_exit: int
) -> None:
    evidence = known()
    scores = np.log(evidence.proba)
    policy = ByConfidence(threshold, min_exit)
    found = policy.exits(np.zeros((len(scores), 0), np.float32), scores)
    confidence = torch.softmax(torch.from_numpy(scores), 2).amax(2).numpy()
    expected = first_confident(confidence, threshold, min_exit)
    np.testing.assert_array_equal(found.depths, expected)
    assert not found.undecided.any()


def test_best_for_price_weighs_gain_against_cost() -> None:
    gains = np.array([[0.5, 0.7, 0.75], [0.9, 0.9, 0.9], [0.1, 0.2, 0.9]])
    costs = np.array([0.0, 0.3, 1.0])
    assert best_for_price(gains, costs, 0.0, 0).tolist() == [2, 0, 2]
    assert best_for_price(gains, costs, 0.5, 0).tolist() == [1, 0, 2]
    assert best_for_price(gains, costs, 9.0, 0).tolist() == [0, 0, 0]
    assert best_for_price(gains, costs, 9.0, 1).tolist() == [1, 1, 1]


def test_best_for_price_takes_the_smallest_depth_where_only_rounding_differs() -> None:
    costs = np.array([0.2, 0.3, 0.9])  # 0.4 - 0.3 is more than 0.3 - 0.2
    gains = np.array([[0.3, 0.4, 0.4], [0.0, 0.1, 0.7]])
    assert best_for_price(gains, costs, 1.0, 0).tolist() == [0, 0]
    assert best_for_price(gains, costs, 1.0, 1).tolist() == [1, 1]


def test_expected_gains_are_the_neighbours_probabilities_of_their_class() -> None:
    evidence = known()
    keys = np.random.default_rng(5).normal(size=(20, 4)).astype(np.float32)
    keys[0] = evidence.keys[7]  # at distance 0 one neighbour says all
    distances, rows = evidence.database.neighbors(keys, 6)
    gains = expected_gains(evidence.database, distances, rows)
    for i in range(20):
        weights = (
            (distances[i] == 0).astype(float)
            if distances[i].min() == 0
            else distances[i].min() / distances[i]
        )
        right = [evidence.proba[row, :, evidence.codes[row]] for row in rows[i]]
        expected = np.average(right, axis=0, weights=weights)
        np.testing.assert_allclose(gains[i], expected, atol=1e-6)
    policy = ByGain(database=evidence.database, k=6, price=0.3, costs=COSTS, min_exit=1)
    choice = policy.choice(keys)
    expected_exits = 1 + (gains - 0.3 * COSTS)[:, 1:].argmax(axis=1)
    np.testing.assert_array_equal(choice.exits, expected_exits)
    np.testing.assert_array_equal(choice.rows, rows)
    assert not choice.undecided.any()
    np.testing.assert_array_equal(policy.votes(), of_right_class(evidence.database))


def test_by_votes_is_the_rule_of_the_paper() -> None:
    evidence = known()
    database = evidence.database
    policy = ByVotes(database=database, k=5, tau=0.8, min_exit=1)
    keys = evidence.keys[:9] + 0.01
    found = policy.choice(keys)
    distances, rows = database.neighbors(keys, 5)
    information = exit_information(evidence.proba, evidence.codes)
    votes = select_votes(information, tau=0.8, min_exit=1)
    for i in range(9):
        weights = distances[i].min() / distances[i]
        expected = (weights[:, None] * votes[rows[i]]).sum(axis=0)
        np.testing.assert_allclose(found.scores[i], expected)
        assert found.exits[i] == expected.argmax()
    planned = policy.depths(keys, 4)
    np.testing.assert_array_equal(planned.depths, found.exits)


@pytest.mark.parametrize("keep", ["all", "correct"])
def test_gains_left_out_are_those_of_a_database_without_the_text(keep: Any) -> None:
    evidence = known(60, keep=keep)
    found = gains_left_out(evidence, [3, 8])
    for text in (0, 1, 17, 59):
        stored = evidence.database.positions[evidence.database.positions != text]
        others = Database.build(
            evidence.keys[stored],
            evidence.proba[stored],
            np.append(evidence.codes, [0, 1, 2])[stored],
            method="exact",
        )
        for k, gains in found.items():
            distances, rows = others.neighbors(evidence.keys[[text]], k)
            expected = expected_gains(others, distances, rows)[0]
            np.testing.assert_allclose(gains[text], expected, atol=1e-6)


# Budgets


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
    by: str, evidence: Evidence
) -> tuple[np.ndarray, Callable[[float], np.ndarray]]:
    if by == "threshold":
        confidence = evidence.proba.max(axis=2)
        tried = np.append(np.unique(confidence), 2.0)
        return tried, lambda value: first_confident(confidence, value, 0)
    gains = gains_left_out(evidence, [10])[10]
    tried = np.append(0.0, np.geomspace(1e-3, 1e1, 200))
    return tried, lambda price: best_for_price(gains, COSTS, price, 0)


def exact_merit(evidence: Evidence, exits: np.ndarray) -> tuple[Fraction, Fraction]:
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


# Costs


@pytest.mark.parametrize("name", MODELS)
def test_costs_rise_from_nothing_to_one(name: str) -> None:
    costs = depth_costs(loaded(name))
    assert costs[0] == 0.0
    assert costs[-1] == 1.0
    assert (np.diff(costs) > 0).all()
    assert costs.dtype == np.float64


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "albert", "deberta-v3"])
def test_layers_that_are_alike_cost_alike(name: str) -> None:
    costs = depth_costs(loaded(name))
    np.testing.assert_allclose(costs, np.arange(4) / 3, atol=1e-9)


def test_the_decoder_of_t5_reads_one_position_and_costs_less() -> None:
    costs = depth_costs(loaded("t5"))
    steps = np.diff(costs)
    np.testing.assert_allclose(steps[:3], steps[0])
    np.testing.assert_allclose(steps[3:], steps[3])
    # Of 32 positions it computes one, but it looks at all of the encoder's.
    assert 0.02 * steps[0] < steps[3] < 0.6 * steps[0]
    assert steps.sum() == pytest.approx(1.0)


def test_costs_are_counted_once_for_a_loaded_backbone(monkeypatch: Any) -> None:
    backbone = loaded("bert")
    first = depth_costs(backbone)
    monkeypatch.setattr("skraee.engine.cost.Engine", None)
    assert depth_costs(backbone) is first


def test_counting_costs_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    depth_costs(loaded("bert"))
    after = torch.get_rng_state()
    assert torch.equal(before, after)
