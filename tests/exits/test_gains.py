"""What depths gain, and what that is worth for a price."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skraee.exits.gains import (
    best_for_price,
    expected_gains,
    gains_left_out,
    of_right_class,
)
from skraee.exits.policies import ByGain
from skraee.retrieval.database import Database
from tests.support.evidence import COSTS, known


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
    np.testing.assert_array_equal(choice.depths, expected_exits)
    np.testing.assert_array_equal(choice.rows, rows)
    assert not choice.undecided.any()
    np.testing.assert_array_equal(policy.votes(), of_right_class(evidence.database))


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
