"""Progress: the bar of `verbose`; test_callbacks.py has scikit-learn's callbacks."""

from __future__ import annotations

import importlib.util
import re
import sys
from typing import Any

import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from skraee import toy
from skraee.estimator import progress
from tests.support.classifiers import raee

X, Y = toy.reviews(60)
X_NEW, _ = toy.reviews(20, seed=1)


def test_verbose_shows_a_bar_that_ends_full(capsys: pytest.CaptureFixture[str]) -> None:
    clf = raee(verbose=1).fit(X, Y)
    assert re.search(r"sweep: 100%\|.*60/60", capsys.readouterr().err)
    clf.predict(X_NEW)
    assert re.search(r"predict: 100%\|.*20/20", capsys.readouterr().err)
    clf.layer_proba(X_NEW)
    assert re.search(r"sweep: 100%\|.*20/20", capsys.readouterr().err)


def test_verbose_0_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    raee().fit(X, Y).predict(X_NEW)
    assert capsys.readouterr() == ("", "")


def test_joint_progress_shows_one_bar_for_several_calls(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clf = raee().fit(X, Y)
    with progress.joint_progress("all", 40, verbose=1):
        clf.predict(X_NEW)
        clf.predict(X_NEW)
    told = capsys.readouterr().err
    assert re.search(r"all: 100%\|.*40/40", told)
    assert "predict" not in told
    # Behind it, and where it failed, each call has its own again.
    with (
        pytest.raises(KeyError, match="failed"),
        progress.joint_progress("all", 40, verbose=1),
    ):
        raise KeyError("failed")
    capsys.readouterr()
    clf.set_params(verbose=1).predict(X_NEW)
    assert re.search(r"predict: 100%\|.*20/20", capsys.readouterr().err)


def test_progress_does_without_the_callbacks_of_scikit_learn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    spec = importlib.util.spec_from_file_location("without", progress.__file__)
    without = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(without)

    class Older(ClassifierMixin, without.CallbackSupportMixin, BaseEstimator):
        verbose = 0

        @without.with_callbacks
        def fit(self, X: Any, y: Any) -> Any:
            with without.fit_progress(self, X, y, len(X)) as on_progress:
                on_progress(len(X))
                return self

    assert Older().fit(X, Y)
    assert not hasattr(Older, "set_callbacks")
