"""The bars hold the exits of right and wrong answers, and the legend covers none."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from skraee import toy
from skraee.inspection import ExitLayerDisplay
from tests.support.classifiers import early_exit, raee
from tests.support.figures import heights_in_pixels, legend_box, legend_texts

X, Y = toy.reviews(60)
X_NEW, Y_NEW = toy.reviews(40, seed=1)


def heights(bars: Any) -> list[float]:
    return [bar.get_height() for bar in bars]


@pytest.mark.parametrize("make", [raee, early_exit])
def test_bars_are_right_and_wrong_answers_of_the_estimator(make: Any, plt: Any) -> None:
    clf = make().fit(X, Y)
    labels = np.where(np.arange(40) % 5, Y_NEW, "positive")  # some are wrong
    shown = ExitLayerDisplay.from_estimator(clf, X_NEW, labels)
    predicted, exits = clf.predict(X_NEW, return_exit_layers=True)
    right = predicted == labels
    assert 0 < right.sum() < 40
    found_right, found_wrong = map(heights, shown.bars_)
    np.testing.assert_allclose(found_right, np.bincount(exits[right], minlength=5) / 40)
    np.testing.assert_allclose(
        found_wrong, np.bincount(exits[~right], minlength=5) / 40
    )
    assert shown.score == clf.score(X_NEW, labels)


def test_wrong_answers_stand_upon_right_ones(plt: Any) -> None:
    shown = ExitLayerDisplay([1, 1, 1, 2], right=[True, True, False, False]).plot()
    right, wrong = shown.bars_
    assert heights(right) == [0.0, 0.5, 0.0]
    assert [bar.get_y() for bar in wrong] == heights(right)
    assert heights(wrong) == [0.0, 0.25, 0.25]


def test_line_is_the_accuracy_of_each_layer(plt: Any) -> None:
    clf = raee().fit(X, Y)
    shown = ExitLayerDisplay.from_estimator(clf, X, Y)
    np.testing.assert_allclose(shown.line_.get_ydata(), clf.layer_scores_)


def test_mean_exit_is_marked_and_told(plt: Any) -> None:
    shown = ExitLayerDisplay([0, 1, 4], n_layers=6).plot()
    assert set(shown.mean_line_.get_xdata()) == {5 / 3}
    assert "mean exit 1.7" in legend_texts(shown)
    assert shown.line_ is None
    assert legend_texts(shown) == ["mean exit 1.7", "exits"]


@pytest.mark.parametrize("make", [raee, early_exit])
def test_title_names_the_class_in_hand_unless_a_name_is_given(
    make: Any, plt: Any
) -> None:
    clf = make().fit(X, Y)
    shown = ExitLayerDisplay.from_estimator(clf, X_NEW, Y_NEW)
    assert shown.ax_.get_title() == f"Exit layers of {type(clf).__name__}"
    named = ExitLayerDisplay.from_estimator(clf, X_NEW, Y_NEW, name="A $b$")
    assert named.ax_.get_title() == r"Exit layers of A \$b\$"
    assert ExitLayerDisplay([0]).plot().ax_.get_title() == "Exit layers"


def test_from_predictions_shows_what_predict_returned(plt: Any) -> None:
    clf = raee().fit(X, Y)
    predicted, exits = clf.predict(X_NEW, return_exit_layers=True)
    one = ExitLayerDisplay.from_predictions(
        Y_NEW, predicted, exits, n_layers=clf.n_layers_, name="RAEEClassifier"
    )
    other = ExitLayerDisplay.from_estimator(clf, X_NEW, Y_NEW)
    assert [heights(bars) for bars in one.bars_] == [
        heights(bars) for bars in other.bars_
    ]
    assert one.score == other.score
    assert one.ax_.get_title() == other.ax_.get_title()
    assert one.line_ is None
    assert other.line_ is not None


def test_axis_reaches_to_the_last_layer_though_no_text_stops_there(plt: Any) -> None:
    shown = ExitLayerDisplay.from_predictions([1, 0], [1, 1], [0, 2], n_layers=12)
    assert len(heights(shown.bars_[0])) == 13
    assert shown.ax_.get_xlim()[1] > 12


@pytest.mark.parametrize("size", [(7, 4), (4, 3), (3, 5)])
def test_legend_covers_neither_bars_nor_lines(size: Any, plt: Any) -> None:
    _, ax = plt.subplots(figsize=size, layout="constrained")
    shown = ExitLayerDisplay(
        [0, 1, 1, 2], [0.5, 0.9, 1.0], right=[True, True, True, False]
    ).plot(ax)
    box = legend_box(shown)
    tops = [bar.get_window_extent().y1 for bars in shown.bars_ for bar in bars]
    assert max(tops) < box.y0
    assert heights_in_pixels(shown.line_).max() < box.y0
    assert box.y1 <= ax.get_window_extent().y1 + 1
    assert box.width <= ax.get_window_extent().width + 1


def test_given_axes_are_drawn_into_and_bars_take_what_bar_takes(plt: Any) -> None:
    figure, ax = plt.subplots()
    display = ExitLayerDisplay([0, 1], [0.5, 0.75])
    shown = display.plot(ax, alpha=0.5)
    assert shown is display
    assert (shown.ax_, shown.figure_) == (ax, figure)
    assert shown.bars_[0][0].get_alpha() == 0.5


def test_axes_say_their_units(plt: Any) -> None:
    shown = ExitLayerDisplay([0, 1], [0.5, 0.75]).plot()
    assert shown.ax_.get_xlabel() == "exit layer"
    assert [ax.get_ylabel() for ax in shown.figure_.axes] == [
        "share of the texts",
        "accuracy",
    ]
    assert all(tick == int(tick) for tick in shown.ax_.get_xticks())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"exit_layers": []}, "exit_layers must hold a whole number for each"),
        ({"exit_layers": [0.5]}, "exit_layers must hold a whole number for each"),
        ({"exit_layers": [[1]]}, r"got an array of shape \(1, 1\)"),
        ({"exit_layers": [3], "n_layers": 2}, "between 0 and 2, .*, got 3"),
        ({"exit_layers": [3], "layer_scores": [1, 1]}, "between 0 and 1, .*, got 3"),
        ({"exit_layers": [-1]}, "got -1"),
        ({"exit_layers": [1], "right": [True, False]}, r"of the 1 texts .*\(2,\)"),
        (
            {"exit_layers": [1], "n_layers": 3, "layer_scores": [1, 1]},
            r"one score for each depth 0 to 3, got shape \(2,\)",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_refused(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ExitLayerDisplay(**given)


def test_plot_without_matplotlib_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'skraee\[plot\]'"):
        ExitLayerDisplay([0], [0.5]).plot()
