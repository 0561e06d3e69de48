"""How scores become log-probabilities, held to loops and to scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from skraee.readout.discriminant import ScoreMap, fit_score_map
from skraee.readout.ridge_regression import Solved, solve
from skraee.readout.sample import Sample
from tests.support.refits import targets_of

RNG = np.random.default_rng


def drawn(
    n: int,
    n_classes: int,
    noise: float = 0.7,
    seed: int = 0,
    n_groups: int = 4,
    n_features: int = 24,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw features whose classes lie close together in groups, and class codes."""
    rng = RNG(seed)
    codes = rng.permutation(np.arange(n) % n_classes)
    groups = rng.normal(size=(n_groups, n_features))
    centers = groups[np.arange(n_classes) % n_groups] + 0.6 * rng.normal(
        size=(n_classes, n_features)
    )
    return centers[codes] + noise * rng.normal(size=(n, n_features)), codes


def sample_of(
    codes: np.ndarray, n_classes: int, weights: np.ndarray | None = None
) -> Sample:
    weights = np.ones(len(codes)) if weights is None else weights
    return Sample.draw(codes, n_classes, weights, seed=0)


def fitted(
    features: np.ndarray, sample: Sample, n_classes: int
) -> tuple[Solved, ScoreMap]:
    solved = solve(features, targets_of(sample.codes, n_classes), sample.weights)
    return solved, fit_score_map(solved.left_out, solved.without_folds, sample)


def is_temperature(mapped: ScoreMap) -> bool:
    factor = mapped.matrix[0, 0]
    return bool((mapped.matrix == factor * np.eye(len(mapped.matrix))).all())


def read(solved: Solved, mapped: ScoreMap, features: np.ndarray) -> np.ndarray:
    return np.asarray(
        log_softmax(mapped(features @ solved.coef + solved.intercept), axis=1)
    )


def log_loss(logs: np.ndarray, codes: np.ndarray) -> float:
    return -float(logs[np.arange(len(codes)), codes].mean())


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_are_read_as_by_distances_to_the_class_means(weighted: bool) -> None:
    features, codes = drawn(400, 20)
    weights = RNG(1).choice([0.5, 1.0, 2.5], 400) if weighted else np.ones(400)
    sample = sample_of(codes, 20, weights)
    asked: list[Any] = []
    solved = solve(features, targets_of(codes, 20), weights)

    def without_folds(folds: np.ndarray) -> np.ndarray:
        asked.append(solved.without_folds(folds))
        return asked[-1]

    mapped = fit_score_map(solved.left_out, without_folds, sample)
    assert not is_temperature(mapped)
    (scores,) = asked
    share = weights / weights.sum()
    means = np.stack(
        [
            np.average(scores[codes == c], axis=0, weights=share[codes == c])
            for c in range(20)
        ]
    )
    apart = scores - means[codes]
    spread = sum(share[i] * np.outer(apart[i], apart[i]) for i in range(400))
    spread = spread + 0.1 * np.trace(spread) / 20 * np.eye(20)
    prior = np.bincount(codes, share)
    densities = np.empty((400, 20))
    for i, c in np.ndindex(400, 20):
        away = scores[i] - means[c]
        densities[i, c] = np.log(prior[c]) - away @ np.linalg.solve(spread, away) / 2
    # The map holds a temperature besides, and lacks what is the same for all classes.
    found = mapped(scores)
    found -= found.mean(axis=1, keepdims=True)
    densities -= densities.mean(axis=1, keepdims=True)
    factor = float((found * densities).sum() / (densities**2).sum())
    assert 0.2 < factor < 5
    np.testing.assert_allclose(found, factor * densities, atol=1e-8)


def test_shares_and_means_are_those_of_scikit_learn() -> None:
    features, codes = drawn(400, 20)
    solved, mapped = fitted(features, sample_of(codes, 20), 20)
    new, _ = drawn(300, 20, seed=5)
    scores = new @ solved.coef + solved.intercept
    # Shrinkage of a tenth is nearly none for so many texts.
    plain = LinearDiscriminantAnalysis().fit(
        solved.without_folds(np.arange(400) % 5), codes
    )
    same = plain.predict(scores) == mapped(scores).argmax(axis=1)
    assert same.mean() > 0.9


def test_close_classes_are_told_apart_better() -> None:
    features, codes = drawn(1_600, 20)
    fit, held = slice(800), slice(800, None)
    sample = sample_of(codes[fit], 20)
    solved, mapped = fitted(features[fit], sample, 20)
    plain = fit_temperature(solved, sample)
    by_plain = read(solved, plain, features[held])
    by_discriminant = read(solved, mapped, features[held])
    right = codes[held]
    gained = (by_discriminant.argmax(axis=1) == right).mean() - (
        by_plain.argmax(axis=1) == right
    ).mean()
    assert gained > 0.01
    assert log_loss(by_discriminant, right) < log_loss(by_plain, right) - 0.05
    # ... and what is said of the texts of fit holds for new ones.
    assert log_loss(mapped.logs, codes[fit]) == pytest.approx(
        log_loss(by_discriminant, right), abs=0.1
    )


def fit_temperature(solved: Solved, sample: Sample) -> ScoreMap:
    """Read by a temperature alone: a discriminant of nothing is never better."""
    nothing = np.zeros_like(solved.left_out)
    return fit_score_map(solved.left_out, lambda folds: nothing, sample)


@pytest.mark.parametrize("n", [40, 200, 1_000])
@pytest.mark.parametrize("n_classes", [3, 6, 20])
def test_features_that_are_noise_stay_noise(n: int, n_classes: int) -> None:
    """Scores of texts left out one by one would tell the class of each."""
    rng = RNG(n)
    codes = rng.permutation(np.arange(n) % n_classes)
    features = rng.normal(size=(n, 30))
    _, mapped = fitted(features, sample_of(codes, n_classes), n_classes)
    accuracy = (mapped.logs.argmax(axis=1) == codes).mean()
    assert accuracy < 1 / n_classes + 4 * np.sqrt(1 / n_classes / n)
    assert log_loss(mapped.logs, codes) > np.log(n_classes) - 0.1


def test_of_two_classes_the_scores_keep_their_temperature() -> None:
    features, codes = drawn(200, 2)

    def without_folds(folds: np.ndarray) -> np.ndarray:
        raise AssertionError("two classes need no discriminant")

    solved = solve(features, targets_of(codes, 2), np.ones(200))
    mapped = fit_score_map(solved.left_out, without_folds, sample_of(codes, 2))
    assert is_temperature(mapped)
    assert not mapped.offset.any()


def test_scores_that_are_logarithms_already_keep_their_temperature() -> None:
    rng = RNG(3)
    logs = log_softmax(2 * rng.normal(size=(2_000, 4)), axis=1)
    codes = (logs + rng.gumbel(size=logs.shape)).argmax(axis=1)
    mapped = fit_score_map(logs, lambda folds: logs, sample_of(codes, 4))
    assert is_temperature(mapped)
    assert mapped.matrix[0, 0] == pytest.approx(1, abs=0.1)


def test_the_order_of_the_texts_has_no_say() -> None:
    features, codes = drawn(300, 10)
    order = RNG(2).permutation(300)
    _, mapped = fitted(features, sample_of(codes, 10), 10)
    _, other = fitted(features[order], sample_of(codes[order], 10), 10)
    assert not is_temperature(mapped)
    np.testing.assert_allclose(other.matrix, mapped.matrix, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(other.offset, mapped.offset, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(other.logs, mapped.logs[order], atol=1e-7)


@pytest.mark.parametrize(
    "codes",
    [np.zeros(12, int), np.arange(12), np.repeat([0, 3], 6), np.array([0, 4])],
    ids=["one", "each its own", "some without texts", "two texts"],
)
def test_odd_classes_are_no_obstacle(codes: np.ndarray) -> None:
    n_classes = max(int(codes.max()) + 1, 3)
    features, _ = drawn(len(codes), 2)
    _, mapped = fitted(features, sample_of(codes, n_classes), n_classes)
    assert np.isfinite(mapped.matrix).all()
    assert np.isfinite(mapped.offset).all()
    assert np.isfinite(mapped.logs).all()


def test_folds_hold_at_most_four_hundred_texts_of_every_class_alike() -> None:
    features, codes = drawn(2_100, 3)
    seen: list[np.ndarray] = []
    solved = solve(features, targets_of(codes, 3), np.ones(2_100))

    def without_folds(folds: np.ndarray) -> np.ndarray:
        seen.append(folds)
        return solved.without_folds(folds)

    fit_score_map(solved.left_out, without_folds, sample_of(codes, 3))
    (folds,) = seen
    assert np.bincount(folds).tolist() == [350] * 6
    for c in range(3):
        counts = np.bincount(folds[codes == c], minlength=6)
        assert counts.max() - counts.min() <= 1
