"""Comparisons in which rounding decides nothing."""

from __future__ import annotations

import numpy as np
import pytest

from skraee.readout.ties import best_of, first_largest, ranks, tied

THIRD = 0.1 + 0.2  # is larger than 0.3


def test_tied_is_what_only_rounding_tells_from_the_largest() -> None:
    values = np.array([[0.3, THIRD, 0.3 - 1e-8], [1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(
        tied(values), [[True, True, False], [False, False, True]]
    )


def test_tied_counts_rounding_by_the_size_of_the_values() -> None:
    tiny = np.array([1e-20, 0.9e-20, 0.0])
    assert tied(tiny).tolist() == [True, False, False]
    large = np.array([1e20, 1e20 + 1e5, 0.9e20])
    assert tied(large).tolist() == [True, True, False]


def test_tied_with_a_size_knows_what_cancelling_terms_leave() -> None:
    left = np.array([THIRD - 0.3, 0.0, -1e-3])  # 5e-17 of terms of size 1
    assert tied(left).tolist() == [True, False, False]
    assert tied(left, 1.0).tolist() == [True, True, False]


def test_tied_takes_infinite_values() -> None:
    never = np.array([-np.inf, -np.inf])
    assert tied(never).tolist() == [True, True]
    assert tied(np.array([-np.inf, -0.5, np.inf])).tolist() == [False, False, True]


def test_first_largest_is_the_first_of_equals_in_every_row() -> None:
    values = np.array([[0.3, THIRD, 0.1], [0.1, 0.2, 0.2], [0.0, 0.0, 0.0]])
    assert first_largest(values).tolist() == [0, 1, 0]
    assert first_largest(values).dtype == np.int64


@pytest.mark.parametrize("seed", range(20))
def test_first_largest_does_not_follow_the_order_of_summation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    terms = np.tile(rng.random(30), (4, 1))
    sums = np.array([np.add.accumulate(rng.permutation(row))[-1] for row in terms])
    assert first_largest(sums) == 0


def test_best_of_asks_the_next_criterion_on_a_tie() -> None:
    accuracy = np.array([0.3, THIRD, 0.3, 0.1])
    cost = np.array([0.9, 0.5, 0.5, 0.1])
    assert best_of(accuracy) == 0
    assert best_of(accuracy, -cost) == 1
    assert best_of(accuracy, -cost, np.array([0, 1, 2, 3])) == 2


def test_ranks_of_equals_are_equal() -> None:
    merit = np.array([0.3, -np.inf, THIRD, 0.5, -np.inf])
    assert ranks(merit).tolist() == [2, 4, 2, 1, 4]
    assert ranks(merit).dtype == np.int32
