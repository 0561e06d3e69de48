"""The ridge regression, held to refits without each text and to scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeClassifierCV

from skraee.readout.ridge_regression import PENALTIES, Centered, solve
from tests.support.refits import predicted, refitted, standardized, targets_of

RNG = np.random.default_rng


def problem(
    n: int = 30, n_features: int = 7, n_classes: int = 3, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw features of very different size, targets and class codes."""
    rng = RNG(seed)
    codes = np.arange(n) % n_classes
    centers = rng.normal(size=(n_classes, n_features))
    features = centers[codes] + rng.normal(size=(n, n_features))
    features = features * 10.0 ** rng.integers(-2, 3, n_features) + 5.0
    return features, targets_of(codes, n_classes), codes


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_features", [1, 7, 29, 30, 31, 80])
def test_left_out_predictions_are_those_of_refits_without_each_text(
    n_features: int, weighted: bool
) -> None:
    features, targets, _ = problem(n_features=n_features)
    weights = RNG(1).uniform(0.2, 3.0, 30) if weighted else np.ones(30)
    left_out, penalty = refitted(features, targets, weights)
    solved = solve(features, targets, weights)
    assert solved.penalty == penalty
    np.testing.assert_allclose(solved.left_out, left_out, atol=1e-8)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_features", [7, 80])
@pytest.mark.parametrize("n_folds", [2, 5, 30])
def test_predictions_without_a_fold_are_those_of_a_refit_without_it(
    n_folds: int, n_features: int, weighted: bool
) -> None:
    features, targets, _ = problem(n_features=n_features)
    weights = RNG(1).uniform(0.2, 3.0, 30) if weighted else np.ones(30)
    solved = solve(features, targets, weights)
    folds = RNG(2).permutation(30) % n_folds
    z, scaled = standardized(features), weights / weights.mean()
    expected = np.empty_like(targets)
    for i in range(30):
        others = folds != folds[i]
        expected[i] = predicted(
            z[others], targets[others], scaled[others], solved.penalty, z[i]
        )
    found = solved.without_folds(folds)
    np.testing.assert_allclose(found, expected, atol=1e-8)
    if n_folds == 30:
        np.testing.assert_allclose(found, solved.left_out, atol=1e-8)


def test_a_fold_of_all_texts_is_no_obstacle() -> None:
    features, targets, _ = problem()
    solved = solve(features, targets, np.ones(30))
    assert np.isfinite(solved.without_folds(np.zeros(30, int))).all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_features", [7, 80])
@pytest.mark.parametrize("penalty", [10.0, 1000.0])
def test_coefficients_are_those_of_scikit_learn_for_one_penalty(
    n_features: int, weighted: bool, penalty: float
) -> None:
    features, targets, _ = problem(n_features=n_features)
    weights = RNG(1).uniform(0.2, 3.0, 30) if weighted else np.ones(30)
    solved = solve(features, targets, weights, np.array([penalty]))
    z = standardized(features)
    model = Ridge(alpha=penalty).fit(z, targets, weights / weights.mean())
    found = features @ solved.coef + solved.intercept
    np.testing.assert_allclose(found, model.predict(z), atol=1e-8)
    scale = features.std(axis=0)[:, None]
    np.testing.assert_allclose(solved.coef * scale, model.coef_.T, atol=1e-8)


@pytest.mark.parametrize("n_features", [7, 80])
@pytest.mark.parametrize("seed", range(4))
def test_penalty_and_classes_are_those_of_ridge_classifier_cv(
    n_features: int, seed: int
) -> None:
    features, targets, codes = problem(n_features=n_features, seed=seed)
    solved = solve(features, targets, np.ones(30))
    z = standardized(features)
    model = RidgeClassifierCV(alphas=PENALTIES).fit(z, codes)
    assert solved.penalty == model.alpha_
    found = features @ solved.coef + solved.intercept
    np.testing.assert_allclose(found, model.decision_function(z), atol=1e-8)
    np.testing.assert_array_equal(found.argmax(axis=1), model.predict(z))


def test_both_decompositions_give_the_same() -> None:
    features, targets, _ = problem(n=40, n_features=40)
    weights = RNG(2).uniform(0.5, 2.0, 41)
    features = np.concatenate([features, features[:1] + 1.0])
    targets = np.concatenate([targets, targets[:1]])
    by_features = solve(features, targets, weights)  # 41 > 40
    # A feature that says nothing turns the choice round: 41 < 42.
    wider = np.concatenate([features, np.zeros((41, 2))], axis=1)
    by_texts = solve(wider, targets, weights)
    assert by_features.penalty == by_texts.penalty
    np.testing.assert_allclose(by_texts.left_out, by_features.left_out, atol=1e-8)
    np.testing.assert_allclose(by_texts.coef[:40], by_features.coef, atol=1e-8)
    assert not by_texts.coef[40:].any()


@pytest.mark.parametrize("n", [12, 60])
def test_constant_features_say_nothing(n: int) -> None:
    features, targets, _ = problem(n=n, n_features=20)
    constant = np.full((n, 2), [1e5, 0.1], dtype=np.float32).astype(np.float64)
    constant[0, 0] += 1e-3  # a constant but for rounding
    both = solve(np.concatenate([features, constant], 1), targets, np.ones(n))
    alone = solve(features, targets, np.ones(n))
    np.testing.assert_allclose(both.left_out, alone.left_out, atol=1e-8)
    assert not both.coef[20:].any()
    nothing = solve(constant, targets, np.ones(n))
    shares = targets.mean(axis=0)
    np.testing.assert_allclose(nothing.intercept, shares, atol=1e-8)
    assert not nothing.coef.any()


@pytest.mark.parametrize("n", [12, 60])
def test_features_of_units_that_are_put_out_say_nothing(n: int) -> None:
    features, targets, _ = problem(n=n, n_features=20)
    out = RNG(3).normal(size=(n, 2)) * 1e-32
    both = solve(np.concatenate([features, out], 1), targets, np.ones(n))
    alone = solve(features, targets, np.ones(n))
    np.testing.assert_allclose(both.left_out, alone.left_out, atol=1e-8)
    assert not both.coef[20:].any()
    small = solve(features * 1e-9, targets, np.ones(n))  # as small as all others are
    np.testing.assert_allclose(small.left_out, alone.left_out, atol=1e-8)


@pytest.mark.parametrize("n", [12, 60])
def test_features_that_stand_twice_share_their_coefficients(n: int) -> None:
    features, targets, _ = problem(n=n, n_features=20)
    twice = np.concatenate([features, features], axis=1)
    left_out, penalty = refitted(twice, targets, np.ones(n))
    solved = solve(twice, targets, np.ones(n))
    assert solved.penalty == penalty
    np.testing.assert_allclose(solved.left_out, left_out, atol=1e-8)
    np.testing.assert_allclose(solved.coef[:20], solved.coef[20:], atol=1e-8)


def test_texts_that_stand_twice_are_left_out_one_by_one() -> None:
    features, targets, _ = problem(n=10, n_features=20)
    twice, wanted = np.tile(features, (2, 1)), np.tile(targets, (2, 1))
    left_out, penalty = refitted(twice, wanted, np.ones(20))
    solved = solve(twice, wanted, np.ones(20))
    assert solved.penalty == penalty
    np.testing.assert_allclose(solved.left_out, left_out, atol=1e-8)


def test_a_weight_of_two_is_a_text_that_stands_twice() -> None:
    features, targets, _ = problem()
    features -= features.mean(axis=0)
    counts = np.tile([1, 2, 1], 10)
    z = standardized(features)
    again = np.repeat(np.arange(30), counts)
    by_weight = solve(z, targets, counts.astype(float), np.array([30.0]))
    by_copies = Ridge(alpha=40.0).fit(z[again], targets[again])
    found = z @ by_weight.coef + by_weight.intercept
    # weights are scaled to the number of texts: 30 for 40 copies
    np.testing.assert_allclose(found, by_copies.predict(z), atol=1e-8)


@pytest.mark.parametrize("n_features", [7, 80])
def test_float32_features_give_what_their_float64_copies_give(n_features: int) -> None:
    features = problem(n_features=n_features)[0].astype(np.float32)
    targets = problem()[1]
    single = solve(features, targets, np.ones(30))
    double = solve(features.astype(np.float64), targets, np.ones(30))
    assert single.left_out.dtype == single.coef.dtype == np.float64
    assert single.penalty == double.penalty
    np.testing.assert_allclose(single.left_out, double.left_out, atol=1e-8)


def test_features_far_from_zero_lose_nothing_in_float32() -> None:
    features, targets, _ = problem(n_features=40)
    z = standardized(features)
    far = (z + 3000.0).astype(np.float32)
    near = far.astype(np.float64) - 3000.0
    found, expected = (solve(f, targets, np.ones(30)) for f in (far, near))
    np.testing.assert_allclose(found.left_out, expected.left_out, atol=1e-8)


def test_a_hundred_classes_of_three_texts_are_solved_like_each_alone() -> None:
    rng = RNG(3)
    codes = np.repeat(np.arange(100), 3)
    features = rng.normal(size=(100, 20))[codes] + 0.1 * rng.normal(size=(300, 20))
    targets = targets_of(codes, 100)
    solved = solve(features, targets, np.ones(300))
    one = np.array([solved.penalty])
    for code in (0, 42, 99):
        alone = solve(features, targets[:, [code]], np.ones(300), one)
        np.testing.assert_allclose(
            solved.left_out[:, code], alone.left_out[:, 0], atol=1e-8
        )
    assert (solved.left_out.argmax(axis=1) == codes).mean() > 0.6


def test_of_equal_errors_the_largest_penalty_is_chosen() -> None:
    targets = targets_of(np.arange(20) % 2, 2)
    solved = solve(np.ones((20, 3)), targets, np.ones(20))
    assert solved.penalty == PENALTIES[-1]


@pytest.mark.parametrize("n_features", [7, 80])
def test_errors_that_only_rounding_tells_apart_are_equal(n_features: int) -> None:
    features, targets, _ = problem(n_features=n_features)
    penalties = 1e4 * (1 + np.array([0, 1e-12, 1e-1]))  # less would be better
    solved = solve(features, targets, np.ones(len(features)), penalties)
    assert solved.penalty == penalties[1]


def test_size_of_targets_knows_their_weights_and_not_the_scale_of_these() -> None:
    targets = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 1.0]])
    assert Centered.of(targets, np.ones(3)).size == pytest.approx(1 + 4 + 10)
    for scale in (1.0, 0.5, 7.0):
        found = Centered.of(targets, scale * np.array([1.0, 2.0, 3.0])).size
        assert found == pytest.approx((1 + 2 * 4 + 3 * 10) * 3 / 6)
