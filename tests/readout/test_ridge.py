"""The closed-form readout: what it reads, and what it makes of weak parts."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from skraee.engine.states import packed, room_for, unpacked
from skraee.exceptions import BackboneChangedError
from skraee.readout import ridge, sample
from skraee.readout.ridge import RidgeReadout, fit_ridge
from skraee.readout.ridge_regression import PENALTIES
from skraee.readout.weights import sample_weights
from skraee.sweep.layer_sweep import softmax
from tests.support.refits import refitted, targets_of

RNG = np.random.default_rng


def states_of(
    n: int, n_classes: int = 2, n_depths: int = 4, noise: float = 1.5, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Draw states (n, n_depths, 2, 5) that tell more with depth, and class codes."""
    rng = RNG(seed)
    codes = rng.permutation(np.arange(n) % n_classes)
    centers = rng.normal(size=(n_classes, 2, 5))
    clear = np.linspace(0.0, 1.0, n_depths)[:, None, None]
    states = clear * centers[codes][:, None] + noise * rng.normal(
        size=(n, n_depths, 2, 5)
    )
    return states.astype(np.float32), codes


def in_order(states: np.ndarray) -> np.ndarray:
    made = room_for(len(states), states.shape[1:], states.dtype)
    made[:] = states
    return made


def test_probabilities_of_the_fit_are_those_of_readouts_without_the_text() -> None:
    states, codes = states_of(100)
    weights = sample_weights(codes, np.arange(2), None)
    _, proba = fit_ridge(states, codes, 2, weights)
    # A text's own label must have no say in its own scores: turned round it must not
    # draw the probability to itself, but for what it changes in penalties and weights.
    drawn = []
    for text in range(20):
        turned = codes.copy()
        turned[text] = 1 - turned[text]
        _, other = fit_ridge(states, turned, 2, weights)
        drawn.append(other[text, :, turned[text]] - proba[text, :, turned[text]])
    assert np.mean(drawn, axis=0).max() < 0.05
    fitted = fit_ridge(states, codes, 2, weights)[0].scores(states)
    right = codes[:, None]
    by_fit = (fitted.argmax(axis=2) == right).mean()
    assert by_fit > (proba.argmax(axis=2) == right).mean() + 0.02


def test_random_labels_are_read_no_better_than_by_chance() -> None:
    states, _ = states_of(120, noise=1.0)
    codes = RNG(9).permutation(np.arange(120) % 2)
    _, proba = fit_ridge(states, codes, 2, np.ones(120))
    assert (proba.argmax(axis=2) == codes[:, None]).mean(axis=0).max() < 0.65
    surprise = -np.log(proba[np.arange(120), :, codes]).mean(axis=0)
    assert surprise.max() < np.log(2) + 0.1


def test_probabilities_are_of_full_precision_and_add_up() -> None:
    states, codes = states_of(30, n_classes=3)
    readout, proba = fit_ridge(states, codes, 3, np.ones(30))
    assert proba.shape == (30, 4, 3)
    assert proba.dtype == readout.coef.dtype == readout.intercept.dtype == np.float32
    np.testing.assert_allclose(proba.sum(axis=2), 1, atol=1e-6)
    assert readout.n_classes == 3
    assert readout.coef.shape == (4, 2, 5, 3)
    assert set(readout.penalty.flat) <= set(PENALTIES)
    assert np.isfinite(readout.inverse_temperature).all()
    assert (readout.weight >= 0).all()


def test_held_out_texts_are_read_as_well_as_left_out_ones() -> None:
    states, codes = states_of(2000, n_classes=3)
    readout, proba = fit_ridge(states[:1000], codes[:1000], 3, np.ones(1000))
    found = softmax(readout.scores(states[1000:]))
    left_out = (proba.argmax(axis=2) == codes[:1000, None]).mean(axis=0)
    held_out = (found.argmax(axis=2) == codes[1000:, None]).mean(axis=0)
    np.testing.assert_allclose(held_out, left_out, atol=0.07)
    assert held_out[-1] > held_out[0] + 0.2
    # ... and with calibrated probabilities: as confident as it is right.
    confidence = found[:, -1].max(axis=1).mean()
    assert confidence == pytest.approx(held_out[-1], abs=0.06)


def test_a_depth_that_knows_nothing_does_not_spoil_those_behind_it() -> None:
    states, codes = states_of(200, n_depths=2)
    alone, _ = fit_ridge(states[:, 1:], codes, 2, np.ones(200))
    both, _ = fit_ridge(states, codes, 2, np.ones(200))
    new, right = states_of(200, n_depths=2, seed=0)
    first = (alone.scores(new[:, 1:])[:, 0].argmax(axis=1) == right).mean()
    last = (both.scores(new)[:, 1].argmax(axis=1) == right).mean()
    assert last >= first - 0.03


def test_layout_in_memory_does_not_matter() -> None:
    states, codes = states_of(30)
    expected, proba = fit_ridge(states, codes, 2, np.ones(30))
    found, again = fit_ridge(in_order(states), codes, 2, np.ones(30))
    np.testing.assert_array_equal(found.coef, expected.coef)
    np.testing.assert_array_equal(again, proba)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_states_are_read_as_their_values(dtype: torch.dtype) -> None:
    states, codes = states_of(30)
    half = packed(torch.from_numpy(states).to(dtype))
    assert half.dtype == (np.uint16 if dtype == torch.bfloat16 else np.float16)
    expected, proba = fit_ridge(unpacked(half), codes, 2, np.ones(30))
    found, again = fit_ridge(half, codes, 2, np.ones(30))
    np.testing.assert_array_equal(again, proba)
    np.testing.assert_array_equal(found.scores(half), expected.scores(unpacked(half)))


def test_one_depth_at_a_time_is_made_float(monkeypatch: pytest.MonkeyPatch) -> None:
    states, codes = states_of(30)
    half = packed(torch.from_numpy(states).to(torch.bfloat16))
    shapes = []

    def noting(part: np.ndarray) -> np.ndarray:
        shapes.append(part.shape)
        return unpacked(part)

    monkeypatch.setattr(ridge, "unpacked", noting)
    fit_ridge(half, codes, 2, np.ones(30))[0].scores(half)
    assert {np.prod(shape) for shape in shapes} == {30 * 2 * 5}


def test_states_of_more_than_the_limit_lie_in_a_file_that_goes_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    states, codes = states_of(20)
    monkeypatch.setattr("skraee.engine.states._IN_MEMORY", 100)
    large = in_order(states)
    assert isinstance(large, np.memmap)
    np.testing.assert_array_equal(large, states)
    assert large[:, 0].base is not None
    assert large[:, 0].T.flags.f_contiguous or large[:, 0].flags.c_contiguous
    _, expected = fit_ridge(states, codes, 2, np.ones(20))
    np.testing.assert_array_equal(fit_ridge(large, codes, 2, np.ones(20))[1], expected)


def test_balanced_weights_serve_the_rare_class() -> None:
    states, codes = states_of(300, noise=2.5)
    rare = np.concatenate([np.flatnonzero(codes == 0), np.flatnonzero(codes == 1)[:15]])
    states, codes = states[rare], codes[rare]
    recall = {}
    for how in (None, "balanced"):
        weights = sample_weights(codes, np.arange(2), how)
        proba = fit_ridge(states, codes, 2, weights)[1]
        recall[how] = (proba[codes == 1, -1].argmax(axis=1) == 1).mean()
    assert recall["balanced"] > recall[None] + 0.2


def test_eight_texts_of_a_class_and_more_features_than_texts_are_enough() -> None:
    rng = RNG(5)
    codes = np.arange(16) % 2
    states = rng.normal(size=(16, 3, 2, 100)).astype(np.float32)
    states[:, 1:] += 2.0 * rng.normal(size=(2, 1, 2, 100))[codes]
    readout, proba = fit_ridge(states, codes, 2, np.ones(16))
    assert np.isfinite(proba).all()
    assert (proba.argmax(axis=2) == codes[:, None]).mean(axis=0)[1:].min() > 0.9
    assert np.isfinite(readout.scores(states)).all()


def test_a_hundred_classes_are_read_at_every_depth() -> None:
    states, codes = states_of(500, n_classes=100, noise=0.3)
    readout, proba = fit_ridge(states, codes, 100, np.ones(500))
    accuracy = (proba.argmax(axis=2) == codes[:, None]).mean(axis=0)
    assert accuracy[0] < 0.05 < 0.3 < accuracy[-1]
    assert readout.scores(states).shape == (500, 4, 100)


@pytest.mark.parametrize(
    "codes", [np.zeros(12, int), np.arange(12), np.repeat([0, 2], 6)]
)
def test_odd_classes_are_no_obstacle(codes: np.ndarray) -> None:
    """One class alone, each text a class of its own, a class without texts."""
    states, _ = states_of(12)
    n_classes = int(codes.max()) + 1
    weights = sample_weights(codes, np.arange(n_classes), "balanced")
    readout, proba = fit_ridge(states, codes, n_classes, weights)
    assert np.isfinite(proba).all()
    assert np.isfinite(readout.scores(states)).all()
    absent = np.setdiff1d(np.arange(n_classes), codes)
    assert not np.isin(softmax(readout.scores(states)).argmax(axis=2), absent).any()


def test_one_text_is_a_clear_error() -> None:
    with pytest.raises(ValueError, match=r"leaves one text out.*got n_samples=1; give"):
        fit_ridge(*one_text(), 1, np.ones(1))


def one_text() -> Any:
    states, codes = states_of(1)
    return states, codes


def test_above_the_sample_every_text_is_read_by_a_readout_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    states, codes = states_of(200)
    monkeypatch.setattr(sample, "READOUT_SAMPLES", 120)
    readout, proba = fit_ridge(states, codes, 2, np.ones(200), seed=3)
    assert np.isfinite(proba).all()
    np.testing.assert_allclose(proba.sum(axis=2), 1, atol=1e-5)
    by_fit = softmax(readout.scores(states))
    own = np.isclose(by_fit, proba, atol=1e-5).all(axis=(1, 2))
    assert own.sum() == 80  # those that are not in the sample; the others are left out
    monkeypatch.setattr(sample, "READOUT_SAMPLES", 200)
    alone, left_out = fit_ridge(states[~own], codes[~own], 2, np.ones(120))
    np.testing.assert_allclose(readout.coef, alone.coef, atol=1e-6)
    np.testing.assert_allclose(proba[~own], left_out, atol=1e-6)
    assert np.bincount(codes[~own]).tolist() == [60, 60]


def test_the_sample_is_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    states, codes = states_of(100)
    monkeypatch.setattr(sample, "READOUT_SAMPLES", 50)
    found = [fit_ridge(states, codes, 2, np.ones(100), seed=s)[1] for s in (0, 0, 1)]
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


@pytest.mark.parametrize("n", [51, 53, 70])
def test_a_sample_of_nearly_all_texts_of_many_classes_can_be_drawn(
    n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    states, codes = states_of(n, n_classes=10)
    monkeypatch.setattr(sample, "READOUT_SAMPLES", 50)
    _, proba = fit_ridge(states, codes, 10, np.ones(n))
    assert np.isfinite(proba).all()


def test_every_class_is_in_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = np.repeat(np.arange(6), [380, 10, 4, 3, 2, 1])
    monkeypatch.setattr(sample, "READOUT_SAMPLES", 40)
    for seed in range(5):
        chosen = sample.Sample.draw(codes, 6, np.ones(400), seed).rows
        assert len(chosen) == 40
        assert len(np.unique(chosen)) == 40
        assert set(codes[chosen]) == set(range(6))


def test_scores_are_computed_from_features_as_they_come() -> None:
    """The attributes are what their docstrings say."""
    states, codes = states_of(30, noise=0.5)
    states = states[:, 1:]  # the first knows nothing
    readout, _ = fit_ridge(states, codes, 2, np.ones(30))
    assert isinstance(readout, RidgeReadout)
    found = softmax(readout.scores(states))
    for text, depth in itertools.product(range(30), range(3)):
        total, weight = np.zeros(2), 0.0
        for passed, part in itertools.product(range(depth + 1), range(2)):
            state = states[text, passed, part]
            linear = state @ readout.coef[passed, part]
            logs = log_softmax(linear + readout.intercept[passed, part])
            total += readout.weight[passed, part] * logs
            weight += readout.weight[passed, part]
        expected = softmax(total / weight * readout.inverse_temperature[depth])
        np.testing.assert_allclose(found[text, depth], expected, atol=1e-5)


def test_parts_count_by_the_sixth_power_of_their_gain_over_chance() -> None:
    states, codes = states_of(60, n_classes=3, n_depths=2)
    weights = RNG(4).uniform(0.5, 2.0, 60)
    readout, _ = fit_ridge(states, codes, 3, weights)
    chance = np.bincount(codes, weights).max() / weights.sum()
    for depth, part in itertools.product(range(2), range(2)):
        left_out = refitted(states[:, depth, part], targets_of(codes, 3), weights)[0]
        right = left_out.argmax(axis=1) == codes
        gain = max(0.0, (right @ weights / weights.sum() - chance) / (1 - chance))
        assert readout.weight[depth, part] == pytest.approx(gain**6, abs=1e-9)


def test_a_part_that_knows_nothing_does_not_spoil_the_others() -> None:
    states, codes = states_of(400, noise=1.0)
    states[:, :, 1] = RNG(5).normal(size=(400, 4, 5))
    fit, new = slice(0, 200), slice(200, None)
    both, _ = fit_ridge(states[fit], codes[fit], 2, np.ones(200))
    alone, _ = fit_ridge(states[fit, :, :1], codes[fit], 2, np.ones(200))
    by_both = softmax(both.scores(states[new]))
    by_one = softmax(alone.scores(states[new][:, :, :1]))
    right = codes[new, None]
    accuracy = [(p.argmax(axis=2) == right)[:, -1].mean() for p in (by_both, by_one)]
    assert accuracy[0] >= accuracy[1] - 0.02


@pytest.mark.parametrize("n_rare", [3, 7, 13])
def test_a_gain_that_is_rounding_counts_nothing(n_rare: int) -> None:
    """Readouts that always say the largest class are as good as chance, not better."""
    codes = np.zeros(61, dtype=int)
    codes[:n_rare] = 1
    states = 1e-3 * RNG(7).normal(size=(61, 3, 2, 5)).astype(np.float32)
    weights = RNG(8).uniform(0.5, 2.0, 61)
    readout, proba = fit_ridge(states, codes, 2, weights)
    assert (proba.argmax(axis=2) == 0).all()
    assert not readout.weight.any()


def test_where_no_part_has_any_gain_the_plain_mean_is_read() -> None:
    states = np.zeros((20, 2, 2, 5), np.float32)
    codes = np.arange(20) % 2
    readout, proba = fit_ridge(states, codes, 2, np.ones(20))
    assert not readout.weight.any()
    assert np.isfinite(proba).all()
    np.testing.assert_allclose(softmax(readout.scores(states)), 0.5, atol=1e-6)


def drawn_states(n: int, informative: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return states of two parts, of which the second holds the class, or noise."""
    rng = np.random.default_rng(0)
    codes = np.arange(n) % 2
    states = rng.normal(size=(n, 2, 2, 4)).astype(np.float32)
    states[:, :, 0, 0] += codes[:, None]
    if informative:
        states[:, :, 1, 0] += 2 * codes[:, None]
    return states, codes


@pytest.mark.parametrize("informative", [True, False])
def test_part_on_trial_is_read_where_it_helps(informative: bool) -> None:
    states, codes = drawn_states(200, informative)
    weights = np.where(codes, 1.5, 0.5)
    found, proba = fit_ridge(states, codes, 2, weights, n_on_trial=1)
    n_read = 2 if informative else 1
    assert found.parts is not None
    assert found.parts.tolist() == [0, 1][:n_read]
    alone, expected = fit_ridge(states[:, :, :n_read], codes, 2, weights)
    np.testing.assert_array_equal(proba, expected)
    np.testing.assert_array_equal(found.scores(states), alone.scores(states))
    assert found.kinds_read(["text", "cls"]) == ["text", "cls"][:n_read]


def test_each_of_two_parts_on_trial_is_judged_apart() -> None:
    states, codes = drawn_states(200, informative=True)
    noise = np.random.default_rng(1).normal(size=(200, 2, 1, 4))
    sure, helpful = states[:, :, :1], states[:, :, 1:]
    tried = np.concatenate([sure, noise, helpful], axis=2).astype(np.float32)
    found, _ = fit_ridge(tried, codes, 2, np.ones(200), n_on_trial=2)
    assert found.parts is not None
    assert found.parts.tolist() == [0, 2]
    with pytest.raises(BackboneChangedError, match=r"reads part 3 of each .* gives 2"):
        found.scores(states)


def test_the_same_part_again_gains_nothing() -> None:
    states, codes = drawn_states(60, informative=False)
    twice = np.repeat(states[:, :, :1], 2, axis=2)
    found, _ = fit_ridge(twice, codes, 2, np.ones(60), n_on_trial=1)
    assert found.parts is not None
    assert found.parts.tolist() == [0]
