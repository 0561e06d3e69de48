"""What texts weigh, and shares by weight."""

from __future__ import annotations

import numpy as np
import pytest

from skraee.readout.weights import (
    is_surely_above,
    sample_weights,
    weighted_accuracy,
)

RNG = np.random.default_rng


def test_balanced_weights_add_up_to_the_number_of_texts() -> None:
    codes = np.array([0, 0, 0, 2])
    weights = sample_weights(codes, np.arange(4), "balanced")
    np.testing.assert_allclose(weights, [2 / 3, 2 / 3, 2 / 3, 2])
    np.testing.assert_array_equal(sample_weights(codes, np.arange(4), None), np.ones(4))


def test_weighted_accuracy_is_the_weighted_share_of_right_answers() -> None:
    scores = np.array([[[1, 0], [0, 1]], [[1, 0], [1, 0]], [[0, 1], [1, 0]]])
    found = weighted_accuracy(scores, np.array([0, 1, 1]), np.array([1.0, 2.0, 1.0]))
    np.testing.assert_allclose(found, [0.5, 0.0])


@pytest.mark.parametrize("seed", range(20))
def test_weighted_accuracy_is_the_same_to_the_bit_for_as_many_right(seed: int) -> None:
    rng = RNG(seed)
    codes = rng.integers(0, 3, 70)
    weights = sample_weights(codes, np.arange(3), "balanced")
    found = set()
    for _ in range(10):
        answers = codes.copy()
        for code in range(3):  # another three of each class are wrong
            wrong = rng.choice(np.flatnonzero(codes == code), 3, replace=False)
            answers[wrong] = (code + 1) % 3
        order = rng.permutation(70)
        scores = np.eye(3)[answers[order]]
        found.add(float(weighted_accuracy(scores, codes[order], weights[order])))
    assert len(found) == 1


def test_a_mean_is_surely_above_what_lies_two_errors_below_it() -> None:
    values = np.array([1.0, 3.0] * 50)  # mean 2, its standard error 0.1
    assert is_surely_above(values, np.ones(100), 1.80)
    assert not is_surely_above(values, np.ones(100), 1.87)
    # A text of the weight 2 is less than two texts.
    weights = np.array([1.0, 1.0, 2.0, 2.0] * 25)
    assert not is_surely_above(values, weights, 1.83)
    assert is_surely_above(values, np.ones(100), 1.83)
    assert not is_surely_above(np.zeros(5), np.ones(5))
