"""Ctrl-C while fit takes over what it found: the earlier fit or the new one, whole."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from skraee import toy
from skraee.estimator.contract import TextClassifierMixin
from tests.support.classifiers import early_exit, raee

X, Y = toy.reviews(40)
OTHERS = np.where(Y == "positive", "yes", "no")


class InterruptedAt:
    """Presses Ctrl-C at the n-th step of `_keep`, as Python counts steps."""

    def __init__(self, number: int) -> None:
        self.n_left = number

    def __enter__(self) -> InterruptedAt:
        self.before = sys.gettrace()
        sys.settrace(self.trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self.before)

    def trace(self, frame: Any, event: str, _: Any) -> Any:
        if frame.f_code is not TextClassifierMixin._keep.__code__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            self.n_left -= 1
            if self.n_left == 0:
                raise KeyboardInterrupt
        return self.trace


def test_fit_is_taken_over_in_one_step() -> None:
    clf = early_exit(threshold=0.8, memory="process").fit(X, Y)
    n_before = 0
    for number in range(1, 1_000):
        was, labels = dict(vars(clf)), OTHERS if clf.classes_[0] == "negative" else Y
        with InterruptedAt(number) as counting:
            try:
                clf.fit(X, labels)
            except KeyboardInterrupt:
                n_before += clf._fitted is was["_fitted"]
        if clf._fitted is was["_fitted"]:
            assert vars(clf).keys() == was.keys()
            assert all(vars(clf)[name] is value for name, value in was.items())
        else:
            assert clf.classes_.tolist() == sorted(set(labels))
        assert set(clf.predict(X[:4])) <= set(clf.classes_)
        if counting.n_left > 0:  # fit has come to its end
            break
    assert n_before > 20


def test_nothing_of_the_earlier_fit_stays() -> None:
    clf = raee(budget=0.5).fit(X, Y)
    assert hasattr(clf, "lambda_")
    clf.set_params(budget=None).fit(X, Y)
    assert not hasattr(clf, "lambda_")


@pytest.mark.parametrize("name", ["threshold", "verbose"])
def test_parameters_stay(name: str) -> None:
    clf = early_exit(threshold=0.8, verbose=0)
    expected = clf.get_params()[name]
    assert clf.fit(X, Y).get_params()[name] == expected
