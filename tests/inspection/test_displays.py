"""The plots hold what they show."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from skraee import toy
from skraee.inspection import ExitLayerDisplay
from tests.support.classifiers import raee

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")


def test_exit_layer_display_shows_exits_and_scores_of_the_estimator() -> None:
    X, y = toy.reviews(40)
    clf = raee().fit(X, y)
    shown = ExitLayerDisplay.from_estimator(clf, X, y)
    heights = [bar.get_height() for bar in shown.ax_.patches]
    expected = np.bincount(clf.exit_layers(X), minlength=5) / 40
    np.testing.assert_allclose(heights, expected)
    np.testing.assert_allclose(shown.line_.get_ydata(), clf.layer_scores_)
    assert shown.score == clf.score(X, y)
    matplotlib.pyplot.close(shown.figure_)


def test_exit_layer_display_draws_into_given_axes() -> None:
    figure, ax = matplotlib.pyplot.subplots()
    shown = ExitLayerDisplay(np.array([0, 1]), np.array([0.5, 0.75])).plot(ax)
    assert shown.ax_ is ax
    assert shown.figure_ is figure
    matplotlib.pyplot.close(figure)


def test_plot_without_matplotlib_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'skraee\[plot\]'"):
        ExitLayerDisplay(np.array([0]), np.array([0.5])).plot()
