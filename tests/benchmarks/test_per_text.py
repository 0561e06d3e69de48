"""Answers to single texts: kept in little room, and read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.bootstrap import Difference, paired_bootstrap
from benchmarks.per_text import (
    LEAST,
    MOST,
    N_STEPS,
    TextAnswers,
    TextLines,
    log_proba_of,
    packed,
    steps_of,
    unpacked,
)

NAME = {"backbone": "toy", "task": "sst2", "test": "sst2", "seed": 0, "method": "ours"}


def drawn(n: int, seed: int = 0) -> TextAnswers:
    rng = np.random.default_rng(seed)
    log_proba = -(rng.exponential(size=n) ** 2).clip(max=36)
    return TextAnswers(log_proba > -0.7, log_proba.astype(np.float32))


@pytest.mark.parametrize("n", [1, 7, 8, 1_001])
def test_right_and_wrong_are_read_as_they_were_written(n: int) -> None:
    answers = drawn(n)
    assert np.array_equal(unpacked(packed(answers)).right, answers.right)


def test_log_probabilities_are_kept_to_a_twentieth_their_mean_better() -> None:
    answers = drawn(2_000)
    assert answers.log_proba is not None
    found = unpacked(packed(answers)).log_proba
    assert found is not None
    assert found.dtype == np.float32
    kept = -answers.log_proba > LEAST
    np.testing.assert_allclose(found[kept], answers.log_proba[kept], rtol=0.045)
    assert (found[~kept] == 0).all()
    assert found.mean() == pytest.approx(answers.log_proba.mean(), rel=0.01)


def test_every_step_stands_for_its_own_value() -> None:
    steps = np.arange(N_STEPS, dtype=np.uint8)
    assert np.array_equal(steps_of(log_proba_of(steps)), steps)
    assert log_proba_of(steps)[[0, -1]].tolist() == [0, -MOST]


def test_probability_of_zero_is_the_last_step() -> None:
    assert steps_of([-np.inf, -1e9, 0.0]).tolist() == [N_STEPS - 1, N_STEPS - 1, 0]


def test_method_without_probabilities_has_none() -> None:
    answers = TextAnswers(np.array([True, False]))
    assert unpacked(packed(answers)).log_proba is None


def test_answers_are_judged_by_the_labels() -> None:
    proba = [[0.75, 0.25], [0.5, 0.5]]
    found = TextAnswers.of(["a", "b"], ["a", "a"], proba, ["a", "b"])
    assert found.right.tolist() == [True, False]
    assert found.log_proba == pytest.approx(np.log([0.75, 0.5]))
    assert TextAnswers.of(["a"], ["a"]).log_proba is None


def test_lines_of_all_methods_seeds_and_tasks_take_a_few_megabytes() -> None:
    size = np.mean([len(str(packed(drawn(2_000, seed)))) for seed in range(20)])
    assert 30 * 10 * 5 * size < 4e6


def test_lines_are_read_with_their_names(tmp_path: Path) -> None:
    lines = TextLines(tmp_path / "texts" / "toy.jsonl")
    assert list(lines) == []
    lines.add(NAME, drawn(9))
    lines.add({**NAME, "seed": 1}, drawn(9, seed=1))
    (first, answers), (second, _) = lines
    assert first == NAME
    assert second["seed"] == 1
    assert np.array_equal(answers.right, drawn(9).right)


def test_answers_of_a_method_are_by_task_and_seed_and_later_ones_count(
    tmp_path: Path,
) -> None:
    lines = TextLines(tmp_path / "toy.jsonl")
    lines.add(NAME, drawn(9))
    lines.add({**NAME, "seed": 1}, drawn(9, seed=1))
    lines.add({**NAME, "test": "mpqa"}, drawn(5, seed=2))
    lines.add({**NAME, "method": "theirs"}, drawn(9, seed=3))
    lines.add(NAME, drawn(9, seed=4))
    found = lines.right_of(method="ours")
    assert {key: sorted(runs) for key, runs in found.items()} == {
        ("sst2", "sst2"): [0, 1],
        ("sst2", "mpqa"): [0],
    }
    assert np.array_equal(found["sst2", "sst2"][0], drawn(9, seed=4).right)


def test_name_without_a_test_is_tested_on_its_task(tmp_path: Path) -> None:
    lines = TextLines(tmp_path / "toy.jsonl")
    lines.add({"task": "cr", "seed": 0, "method": "ours"}, drawn(4))
    assert list(lines.right_of(method="ours")) == [("cr", "cr")]


def test_fields_that_several_methods_have_are_refused(tmp_path: Path) -> None:
    lines = TextLines(tmp_path / "toy.jsonl")
    for budget in (0.1, 0.2):
        lines.add({**NAME, "budget": budget}, drawn(4))
    with pytest.raises(ValueError, match=r"2 methods; name more fields.*0\.1.*0\.2"):
        lines.right_of(method="ours")
    assert lines.right_of(method="ours", budget=0.2)


def test_what_is_read_is_what_the_bootstrap_takes(tmp_path: Path) -> None:
    lines = TextLines(tmp_path / "toy.jsonl")
    for seed in (0, 1, 2):
        right = TextAnswers(np.ones(20, bool))
        lines.add({**NAME, "seed": seed}, right)
        wrong = TextAnswers(np.zeros(20, bool))
        lines.add({**NAME, "seed": seed, "method": "theirs"}, wrong)
    ours, theirs = (lines.right_of(method=m) for m in ("ours", "theirs"))
    assert paired_bootstrap(ours, theirs) == Difference(100.0, 100.0, 100.0)
