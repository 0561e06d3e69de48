"""What texts weigh, and shares by weight."""

from __future__ import annotations

import numpy as np
import pytest

from skraee.readout.weights import sample_weights, weighted_accuracy

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
