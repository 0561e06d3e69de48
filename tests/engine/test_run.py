"""What came of prompts, put together and taken apart."""

from __future__ import annotations

import numpy as np

from skraee.engine.run import Run


def run_of(exits: list[int], undecided: list[bool]) -> Run:
    scores = np.array([[i, -i] for i in exits], dtype=np.float32)
    return Run(scores, np.array(exits), np.array(undecided))


def assert_equal(found: Run, expected: Run) -> None:
    for name, value in vars(expected).items():
        np.testing.assert_array_equal(getattr(found, name), value)


def test_prompts_are_taken_as_often_as_they_are_named() -> None:
    run = run_of([3, 0, 5], [False, True, False])
    found = run.take(np.array([1, 2, 1, 0]))
    assert_equal(found, run_of([0, 5, 0, 3], [True, False, True, False]))


def test_runs_are_put_where_their_prompts_stand() -> None:
    whole = Run.empty(3, 2)
    whole.put(np.array([2, 0]), run_of([4, 1], [True, False]))
    whole.put(np.array([1]), run_of([2], [True]))
    assert_equal(whole, run_of([1, 2, 4], [False, True, True]))
