"""Calibration error and log-probabilities, against references and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss

from benchmarks.calibration import calibration_error, log_proba_of_class

CLASSES = np.array(["a", "b", "c"])


def drawn(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw probabilities, and classes by them."""
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet([0.4, 0.4, 0.4], size=n)
    codes = (rng.random((n, 1)) > proba.cumsum(axis=1)).sum(axis=1).clip(max=2)
    return proba, CLASSES[codes]


def test_mean_of_log_probabilities_is_the_log_loss_of_scikit_learn() -> None:
    proba, y = drawn(200)
    found = -log_proba_of_class(proba, CLASSES, y).mean()
    assert found == pytest.approx(log_loss(y, proba, labels=CLASSES))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probability_of_zero_counts_as_in_scikit_learn(dtype: type) -> None:
    proba = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], dtype)
    found = log_proba_of_class(proba, CLASSES, ["a", "a"])
    assert found[0] == pytest.approx(np.log(np.finfo(dtype).eps))
    assert found[1] == 0
    assert -found.mean() == pytest.approx(
        log_loss(["a", "a"], proba, labels=CLASSES), rel=1e-3
    )


def test_class_that_was_not_fitted_has_no_probability() -> None:
    proba = np.array([[0.5, 0.5]] * 3)
    found = log_proba_of_class(proba, ["b", "d"], ["d", "c", "z"])
    assert found[0] == pytest.approx(np.log(0.5))
    assert (found[1:] < -30).all()


def test_calibration_error_by_hand() -> None:
    proba = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])
    y = ["a", "b", "b", "b"]
    # Sorted by the top: 0.6 right, 0.7 right | 0.8 wrong, 0.9 right.
    assert calibration_error(proba, ["a", "b"], y, n_bins=2) == pytest.approx(
        (0.7 + 0.7) / 4
    )
    assert calibration_error(proba, ["a", "b"], y, n_bins=1) == pytest.approx(0.0)


def test_calibration_error_is_that_of_a_loop_over_bins() -> None:
    proba, y = drawn(100)
    top, right = proba.max(1), CLASSES[proba.argmax(1)] == y
    order = top.argsort()
    error, start = 0.0, 0
    for size in [7] * 10 + [6] * 5:  # the first bins have the texts that are over
        part = order[start : start + size]
        error += size / 100 * abs(top[part].mean() - right[part].mean())
        start += size
    assert calibration_error(proba, CLASSES, y) == pytest.approx(error)


def test_sharpened_probabilities_have_a_larger_error_than_calibrated_ones() -> None:
    proba, y = drawn(5_000)
    sharp = proba**3 / (proba**3).sum(axis=1, keepdims=True)
    assert calibration_error(proba, CLASSES, y) < 0.04
    assert calibration_error(sharp, CLASSES, y) > 0.1


def test_probability_of_one_that_is_always_right_has_no_error() -> None:
    proba = np.eye(3)[[0, 1, 2, 0]]
    assert calibration_error(proba, CLASSES, ["a", "b", "c", "a"]) == 0
    assert calibration_error(proba, CLASSES, ["b", "c", "a", "b"]) == 1


def test_fewer_texts_than_bins_are_a_bin_each() -> None:
    proba = np.array([[0.6, 0.4], [0.9, 0.1]])
    assert calibration_error(proba, ["a", "b"], ["a", "b"]) == pytest.approx(
        (0.4 + 0.9) / 2
    )
