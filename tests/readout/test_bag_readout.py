"""The readout of bags of tokens, and its place before the first depth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax

from skraee.readout import bag_readout
from skraee.readout.bag_readout import BAG_PENALTIES, fit_bags
from skraee.readout.ridge import POWER, fit_ridge
from skraee.readout.sample import Sample
from skraee.sweep.layer_sweep import softmax
from skraee.text.prompt import Prompt
from skraee.text.token_bags import TokenBags
from tests.support.refits import predicted, targets_of

RNG = np.random.default_rng


def bags_of(
    n: int, n_classes: int = 2, said: float = 0.5, seed: int = 0
) -> tuple[TokenBags, np.ndarray]:
    """Draw bags of which a part says the class by a word of its own, and codes."""
    rng = RNG(seed)
    codes = rng.permutation(np.arange(n) % n_classes)
    ids = rng.integers(100, 130, (n, 8))
    tells = rng.random(n) < said
    ids[tells, 3] = codes[tells]
    prompts = [Prompt(tuple(row), 0, ((0, 8),)) for row in ids.tolist()]
    return TokenBags.of(prompts), codes


def sample_of(codes: np.ndarray, weights: np.ndarray | None = None) -> Sample:
    weights = np.ones(len(codes)) if weights is None else weights
    return Sample.draw(codes, int(codes.max()) + 1, weights, 0)


def left_out_plainly(
    bags: TokenBags, codes: np.ndarray, weights: np.ndarray, penalty: float
) -> np.ndarray:
    """Solve by normal equations without each text."""
    z = bags.matrix().toarray()
    z = z[:, z.any(axis=0)]
    targets = targets_of(codes, int(codes.max()) + 1)
    weights = weights * len(weights) / weights.sum()
    found = np.empty_like(targets)
    for i in range(len(z)):
        others = np.arange(len(z)) != i
        found[i] = predicted(z[others], targets[others], weights[others], penalty, z[i])
    return found


@pytest.mark.parametrize("weighted", [False, True])
def test_left_out_answers_are_those_of_regressions_without_the_text(
    weighted: bool,
) -> None:
    bags, codes = bags_of(24, n_classes=3)
    weights = RNG(1).uniform(0.5, 2.0, 24) if weighted else np.ones(24)
    readout, logs = fit_bags(bags, sample_of(codes, weights), POWER)
    errors = {}
    for penalty in BAG_PENALTIES:
        found = left_out_plainly(bags, codes, weights, penalty)
        errors[penalty] = (weights[:, None] * (found - targets_of(codes, 3)) ** 2).sum()
    assert readout.penalty == min(errors, key=errors.__getitem__)
    expected = left_out_plainly(bags, codes, weights, readout.penalty)
    # ... but for the temperature.
    ratio = (logs - logs[:, :1])[:, 1:] / (expected - expected[:, :1])[:, 1:]
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-6)
    assert ratio[0, 0] > 0


def test_new_texts_are_read_by_the_regression_on_all() -> None:
    bags, codes = bags_of(40)
    weights = RNG(1).uniform(0.5, 2.0, 40)
    readout, logs = fit_bags(bags, sample_of(codes, weights), POWER)
    new, _ = bags_of(15, seed=5)
    z, z_new = bags.matrix().toarray(), new.matrix().toarray()
    used = z.any(axis=0)
    weights = weights * len(weights) / weights.sum()
    plain = np.array(
        [
            predicted(z[:, used], targets_of(codes, 2), weights, readout.penalty, row)
            for row in z_new[:, used]
        ]
    )
    found = readout.logs(new)
    ratio = (found[:, 1] - found[:, 0]) / (plain[:, 1] - plain[:, 0])
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(readout.buckets, np.flatnonzero(used))
    assert readout.buckets.dtype == np.uint16
    assert readout.coef.dtype == readout.intercept.dtype == np.float32
    assert logs.shape == (40, 2)


def test_a_bag_of_nothing_known_gets_the_intercept() -> None:
    bags, codes = bags_of(40)
    readout, _ = fit_bags(bags, sample_of(codes), POWER)
    empty = Prompt((1, 2), 0, ((1, 1),))
    strange = Prompt((9_001, 9_002), 0, ((0, 2),))
    found = readout.logs(TokenBags.of([empty, strange]))
    np.testing.assert_allclose(found, np.tile(log_softmax(readout.intercept), (2, 1)))


def test_texts_without_tokens_are_no_obstacle() -> None:
    """Of one class, so that nothing speaks against the readout."""
    bags = TokenBags.of([Prompt((1, 2), 0, ((1, 1),))] * 4)
    sample = Sample.draw(np.zeros(4, int), 1, np.ones(4), 0)
    readout, logs = fit_bags(bags, sample, POWER)
    assert len(readout.buckets) == 0
    np.testing.assert_array_equal(logs, np.zeros((4, 1)))
    np.testing.assert_array_equal(readout.logs(bags), np.zeros((4, 1)))


def test_weight_is_the_power_of_the_gain_over_chance() -> None:
    bags, codes = bags_of(200)
    readout, logs = fit_bags(bags, sample_of(codes), POWER)
    accuracy = (logs.argmax(axis=1) == codes).mean()
    assert readout.weight == pytest.approx((2 * accuracy - 1) ** 6)
    assert 0.6 < accuracy < 0.9
    alone, wrong = fit_bags(bags, sample_of(RNG(3).permutation(codes)), POWER)
    assert alone.weight < 1e-3
    assert (wrong.argmax(axis=1) == codes).mean() < 0.65


def test_of_many_texts_a_sample_is_solved_for_and_the_others_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bags, codes = bags_of(150)
    some = Sample.draw(codes, 2, np.ones(150), 0, 60)
    readout, logs = fit_bags(bags, some, POWER)
    assert len(some.rows) == 60
    np.testing.assert_allclose(
        logs[some.rest], readout.logs(bags)[some.rest], rtol=1e-5
    )
    alone, left_out = fit_bags(bags.take(some.rows), sample_of(codes[some.rows]), POWER)
    np.testing.assert_allclose(alone.coef, readout.coef, rtol=1e-5)
    np.testing.assert_allclose(left_out, logs[some.rows], rtol=1e-6)

    seen = []
    monkeypatch.setattr(bag_readout, "BAG_SAMPLES", 1)  # bound where it is used
    monkeypatch.setattr("skraee.readout.ridge.BAG_SAMPLES", 60)
    monkeypatch.setattr(
        "skraee.readout.ridge.fit_bags",
        lambda *args: seen.append(args[1]) or fit_bags(*args),
    )
    states = RNG(0).normal(size=(150, 2, 1, 4)).astype(np.float32)
    fit_ridge(states, codes, 2, np.ones(150), bags=bags)
    np.testing.assert_array_equal(seen[0].rows, some.rows)


def test_the_bag_is_the_first_in_the_average_over_the_depths() -> None:
    bags, codes = bags_of(120)
    rng = RNG(2)
    states = rng.normal(size=(120, 3, 2, 5)).astype(np.float32)
    states[:, 1:, 0, 0] += 1.5 * codes[:, None]
    readout, proba = fit_ridge(states, codes, 2, np.ones(120), bags=bags)
    assert readout.bag is not None
    total = readout.bag.weight * readout.bag.logs(bags)
    weight = readout.bag.weight
    found = readout.scores(states, bags)
    for depth in range(3):
        for part in range(2):
            linear = states[:, depth, part] @ readout.coef[depth, part]
            logs = log_softmax(linear + readout.intercept[depth, part], axis=1)
            total = total + readout.weight[depth, part] * logs
            weight += readout.weight[depth, part]
        expected = total / weight * readout.inverse_temperature[depth]
        np.testing.assert_allclose(
            softmax(found[:, depth]), softmax(expected), atol=1e-5
        )
    # Left out it is better than the depths alone, and than the bag alone.
    alone = fit_ridge(states, codes, 2, np.ones(120))[1]
    right = codes[:, None]
    by_both, by_states = (
        (p.argmax(axis=2) == right).mean(axis=0) for p in (proba, alone)
    )
    assert by_both[0] > by_states[0] + 0.1
    assert by_both[-1] >= by_states[-1]


def test_a_bag_that_tells_nothing_is_not_kept() -> None:
    bags, codes = bags_of(60, said=0.0, seed=3)
    readout, _ = fit_bags(bags, sample_of(codes), POWER)
    assert readout.weight == 0.0
    states = RNG(0).normal(size=(60, 2, 1, 4)).astype(np.float32)
    states[:, :, 0, 0] += 2 * codes[:, None]
    both, proba = fit_ridge(states, codes, 2, np.ones(60), bags=bags)
    assert both.bag is None
    alone, expected = fit_ridge(states, codes, 2, np.ones(60))
    np.testing.assert_array_equal(proba, expected)
    np.testing.assert_array_equal(both.scores(states), alone.scores(states))


def test_states_without_the_bags_that_are_read_are_refused() -> None:
    bags, codes = bags_of(60)
    states = RNG(0).normal(size=(60, 2, 1, 4)).astype(np.float32)
    readout, _ = fit_ridge(states, codes, 2, np.ones(60), bags=bags)
    assert readout.bag is not None
    with pytest.raises(ValueError, match=r"bags=None has none; give the bags of"):
        readout.scores(states)
