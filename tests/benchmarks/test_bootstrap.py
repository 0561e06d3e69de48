"""The paired bootstrap: exact where nothing varies, and intervals that cover."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from benchmarks.bootstrap import (
    Difference,
    RightBySeed,
    drawn_means,
    paired_bootstrap,
)

RIGHT, WRONG = np.ones(50, bool), np.zeros(50, bool)


def by_seed(answers: np.ndarray) -> RightBySeed:
    return dict(enumerate(answers.astype(bool)))


def test_equal_answers_are_not_told_apart_and_their_interval_is_empty() -> None:
    answers = {"a": by_seed(np.random.default_rng(0).random((3, 50)) < 0.7)}
    assert paired_bootstrap(answers, answers) == Difference(0.0, 0.0, 0.0)
    assert paired_bootstrap(answers, answers).verdict == "not told apart"


def test_difference_that_nothing_varies_is_exact_and_has_a_sign() -> None:
    right, wrong = {"a": {0: RIGHT, 1: RIGHT}}, {"a": {0: WRONG, 1: WRONG}}
    assert paired_bootstrap(right, wrong) == Difference(100.0, 100.0, 100.0)
    assert paired_bootstrap(right, wrong).verdict == "above"
    assert paired_bootstrap(wrong, right).verdict == "below"


def test_mean_is_over_tasks_whatever_their_numbers_of_texts_and_seeds() -> None:
    first = {"a": {0: RIGHT, 1: RIGHT}, "b": {s: np.zeros(8, bool) for s in range(3)}}
    second = {"a": {0: WRONG, 1: WRONG}, "b": {s: np.zeros(8, bool) for s in range(3)}}
    assert paired_bootstrap(first, second).mean == pytest.approx(50.0)


def test_answers_are_paired_by_seed_and_others_are_not_read() -> None:
    first = {"a": {3: RIGHT, 1: WRONG, 2: RIGHT}}
    second = {"a": {1: WRONG, 2: RIGHT, 3: RIGHT, 0: WRONG}}
    assert paired_bootstrap(first, second) == Difference(0.0, 0.0, 0.0)


def test_pairs_tell_more_than_two_methods_by_themselves() -> None:
    rng = np.random.default_rng(0)
    hard = rng.random(400) < 0.4
    first = by_seed(np.tile(~hard, (3, 1)))
    second = by_seed(np.tile(~hard & (rng.random(400) < 0.97), (3, 1)))
    found = paired_bootstrap({"a": first}, {"a": second})
    assert found.verdict == "above"
    # Two independent means of 400 texts would have twice 1.96 sqrt(0.24 / 400) around.
    assert found.high - found.low < 5


def test_draws_are_those_of_texts_and_seeds_one_by_one() -> None:
    rng = np.random.default_rng(0)
    difference = rng.integers(-1, 2, size=(4, 30))
    fast = drawn_means(difference, 20_000, np.random.default_rng(1))
    slow = np.array([plain_draw(difference, rng) for _ in range(20_000)])
    for share in (0.05, 0.25, 0.5, 0.75, 0.95):
        assert np.quantile(fast, share) == pytest.approx(
            np.quantile(slow, share),
            abs=0.012,  # of means in steps of 1 / 90
        )
    assert fast.std() == pytest.approx(slow.std(), rel=0.03)


def plain_draw(difference: np.ndarray, rng: np.random.Generator) -> float:
    n_seeds, n_texts = difference.shape
    seeds = rng.integers(n_seeds, size=n_seeds - 1)
    texts = rng.integers(n_texts, size=n_texts)
    return float(difference[np.ix_(seeds, texts)].mean())


def test_same_random_state_gives_the_same_interval() -> None:
    rng = np.random.default_rng(0)
    first, second = ({"a": by_seed(rng.random((3, 60)) < p)} for p in (0.8, 0.7))
    one, other, another = (
        paired_bootstrap(first, second, n_draws=500, random_state=s) for s in (0, 0, 1)
    )
    assert one == other
    assert one != another


def test_higher_level_widens_the_interval() -> None:
    rng = np.random.default_rng(0)
    first, second = ({"a": by_seed(rng.random((3, 60)) < p)} for p in (0.8, 0.7))
    narrow, wide = (paired_bootstrap(first, second, level=x) for x in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize("of_seeds", [0.0, 0.1], ids=["texts vary", "seeds vary, too"])
def test_interval_covers_the_true_difference(of_seeds: float) -> None:
    rng = np.random.default_rng(0)
    found = [trial(rng, 0.15, of_seeds) for _ in range(300)]
    covered = np.mean([each.low <= true <= each.high for each, true in found])
    # 95 % in 300 trials is within 2.5 points of 95 in 95 of 100 runs; wider is safe.
    assert 0.925 <= covered <= 0.995
    assert np.mean([each.verdict == "above" for each, _ in found]) > 0.5
    assert not any(each.verdict == "below" for each, _ in found)


def test_methods_that_are_equal_are_told_apart_in_one_of_twenty_runs() -> None:
    rng = np.random.default_rng(1)
    found = [trial(rng, 0.0, 0.1) for _ in range(300)]
    assert np.mean([each.verdict != "not told apart" for each, _ in found]) < 0.075


def trial(
    rng: np.random.Generator, gain: float, of_seeds: float
) -> tuple[Difference, float]:
    """Compare two methods on four tasks of 200 texts, with five seeds.

    A text is answered rightly where its margin is above 0: what both methods have in
    common, what each has of its own, and what each run adds. Returned with the true
    difference over all texts and seeds, in points.
    """
    first, second = {}, {}
    for task in "abcd":
        shared = rng.normal(1.2, 1.5, 200)
        for method, better in ((first, gain), (second, 0.0)):
            margin = shared + better + rng.normal(0, 0.6, 200)
            run = rng.normal(0, of_seeds, (5, 1)) + rng.normal(0, 0.5, (5, 200))
            method[task] = by_seed(margin + run > 0)
    spread = np.sqrt(1.5**2 + 0.6**2 + 0.5**2 + of_seeds**2)
    true = 100 * float(np.subtract(*norm.cdf([(1.2 + gain) / spread, 1.2 / spread])))
    return paired_bootstrap(first, second, n_draws=400), true


Answers = dict[str, dict[int, np.ndarray]]
ERRORS: list[tuple[Answers, Answers, str]] = [
    ({}, {}, "the same tasks"),
    ({"a": {0: RIGHT, 1: RIGHT}}, {"b": {0: RIGHT, 1: RIGHT}}, r"\['a'\] and \['b'\]"),
    ({"a": {0: RIGHT, 1: RIGHT}}, {"a": {0: RIGHT, 2: RIGHT}}, "'a' has 1 seeds"),
    ({"a": {0: RIGHT, 1: RIGHT}}, {"a": {0: RIGHT, 1: RIGHT[:9]}}, r"\[9, 50\] texts"),
]


@pytest.mark.parametrize(("first", "second", "match"), ERRORS)
def test_answers_that_cannot_be_compared_are_refused(
    first: Answers, second: Answers, match: str
) -> None:
    with pytest.raises(ValueError, match=match):
        paired_bootstrap(first, second)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.1, 2, "above"), (0.0, 2, "not told apart"), (-2, -0.1, "below")],
)
def test_verdict_needs_an_interval_on_one_side_of_zero(
    low: float, high: float, verdict: str
) -> None:
    found = Difference((low + high) / 2, low, high)
    assert found.verdict == verdict
    assert str(found).endswith(f": {verdict}")
