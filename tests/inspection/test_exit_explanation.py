"""One text's curve is what the estimator says, beside its neighbours or threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from skraee import toy
from skraee.inspection import ExitExplanationDisplay
from tests.support.classifiers import early_exit, raee
from tests.support.figures import heights_in_pixels, legend_box, legend_texts

X, Y = toy.reviews(60)
X_NEW, _ = toy.reviews(12, seed=1)


def test_curve_is_the_probability_of_the_answer_over_the_neighbours(plt: Any) -> None:
    clf = raee().fit(X, Y)
    text = X_NEW[0]
    shown = ExitExplanationDisplay.from_estimator(clf, text)
    code = list(clf.classes_).index(clf.predict([text])[0])
    np.testing.assert_allclose(
        shown.line_.get_ydata(), clf.layer_proba([text])[0, :, code]
    )
    stored = clf.layer_proba(X)
    near = clf.kneighbors([text], return_distance=False)[0]
    codes = np.searchsorted(clf.classes_, Y)
    np.testing.assert_allclose(
        shown.neighbor_proba, [stored[i, :, codes[i]] for i in near], rtol=1e-5
    )
    assert len(shown.boxes_["boxes"]) == 5
    np.testing.assert_allclose(shown.votes, clf.exit_distribution([text])[0])
    assert set(shown.exit_line_.get_xdata()) == {clf.exit_layers([text])[0]}


def test_boxes_are_quartiles_of_the_neighbours(plt: Any) -> None:
    near = np.random.default_rng(0).random((12, 3))
    shown = ExitExplanationDisplay([0.2, 0.5, 0.9], 1, neighbor_proba=near).plot()
    medians = [line.get_ydata()[0] for line in shown.boxes_["medians"]]
    np.testing.assert_allclose(medians, np.median(near, axis=0))


def test_curve_is_of_the_class_that_is_named(plt: Any) -> None:
    clf = raee().fit(X, Y)
    shown = ExitExplanationDisplay.from_estimator(clf, X_NEW[0], label="positive")
    proba = clf.layer_proba([X_NEW[0]])[0, :, 1]
    np.testing.assert_allclose(shown.proba, proba)
    assert "the text, of positive" in legend_texts(shown)


def test_confident_exit_shows_the_running_answer_and_the_threshold(plt: Any) -> None:
    clf = early_exit("seq2seq", threshold=0.7, min_exit=1).fit(X, Y)
    shown = ExitExplanationDisplay.from_estimator(clf, X_NEW[0])
    told = clf.explain(X_NEW[0])
    np.testing.assert_array_equal(shown.line_.get_ydata(), told.confidence)
    assert shown.boxes_ is None
    assert "threshold 0.70" in legend_texts(shown)
    assert f"exit {told.exit_layer}: {told.label}" in legend_texts(shown)


def test_depths_that_were_not_run_are_hollow(plt: Any) -> None:
    shown = ExitExplanationDisplay([0.5, 0.9, 0.8, 0.7], 1).plot()
    assert "not run" in legend_texts(shown)
    last = ExitExplanationDisplay([0.5, 0.9], 1).plot()
    assert "not run" not in legend_texts(last)


def test_running_answer_is_written_where_it_changes(plt: Any) -> None:
    shown = ExitExplanationDisplay(
        [0.5, 0.6, 0.7, 0.8], 3, labels=["a", "a", "b", "b"], label="b"
    ).plot()
    written = {text.get_text(): text.xy[0] for text in shown.ax_.texts}
    assert written == {"a": 0, "b": 2}


def test_threshold_that_none_reaches_is_not_drawn(plt: Any) -> None:
    shown = ExitExplanationDisplay([0.5, 0.9], 1, threshold=2.0).plot()
    assert not any("threshold" in text for text in legend_texts(shown))


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"min_exit": 1}, ["first exit 1"]),
        ({"max_exit": 3}, ["deepest exit 3"]),
        ({"min_exit": 2, "max_exit": 2}, []),  # the exit itself
        ({}, []),
    ],
)
def test_where_texts_may_stop_is_marked(
    limits: Any, expected: list[str], plt: Any
) -> None:
    shown = ExitExplanationDisplay([0.5] * 5, 2, **limits).plot()
    found = [t for t in legend_texts(shown) if t.startswith(("first", "deepest"))]
    assert found == expected


def test_title_is_the_text_as_it_is_and_not_too_long(plt: Any) -> None:
    clf = early_exit().fit(X, Y)
    text = "costs $5 or\n$6 " + "a lovely film " * 20
    title = ExitExplanationDisplay.from_estimator(clf, text).ax_.get_title()
    assert title.startswith(r"“costs \$5 or \$6 a lovely")
    assert len(title) < 70
    named = ExitExplanationDisplay.from_estimator(clf, text, name="mine")
    assert named.ax_.get_title() == "mine"


def test_a_frame_of_one_row_is_a_text(plt: Any) -> None:
    clf = raee().fit(X, Y)
    table = pd.DataFrame({"text": X_NEW[:1]})
    shown = ExitExplanationDisplay.from_estimator(clf, table)
    assert shown.text == X_NEW[0]


def test_legend_covers_no_point_and_axes_have_names(plt: Any) -> None:
    near = np.ones((3, 4))
    shown = ExitExplanationDisplay(
        [0.5, 0.9, 1.0, 1.0], 2, neighbor_proba=near, votes=[0, 0, 1, 0]
    ).plot()
    assert heights_in_pixels(shown.line_).max() < legend_box(shown).y0
    assert shown.ax_.get_xlabel() == "layer"
    assert shown.ax_.get_ylabel() == "probability"


def test_plot_draws_into_given_axes(plt: Any) -> None:
    figure, ax = plt.subplots()
    display = ExitExplanationDisplay([0.5, 0.9], 0, estimator_name="mine")
    assert display.plot(ax, linewidth=4) is display
    assert (display.ax_, display.figure_) == (ax, figure)
    assert display.line_.get_linewidth() == 4
    assert ax.get_title() == "mine"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"exit_layer": 2}, r"exit_layer be one of these, got shape \(2,\) and 2"),
        ({"neighbor_proba": [0.5, 0.5]}, r"of shape \(k, 2\), .* got \(2,\)"),
        ({"votes": [1.0]}, "votes must have one entry for each of the 2 depths, got 1"),
        ({"labels": ["a"]}, "labels must have one entry for each of the 2 depths"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ExitExplanationDisplay(**{"proba": [0.5, 0.9], "exit_layer": 0, **given})


def test_label_that_is_no_class_or_has_no_meaning_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one of the classes .*, got 'great'"):
        ExitExplanationDisplay.from_estimator(raee().fit(X, Y), X_NEW[0], label="great")
    with pytest.raises(ValueError, match=r"has no meaning where confidence decides"):
        ExitExplanationDisplay.from_estimator(
            early_exit().fit(X, Y), X_NEW[0], label="positive"
        )


def test_several_texts_are_refused() -> None:
    with pytest.raises(ValueError, match="one text at a time, got 2"):
        ExitExplanationDisplay.from_estimator(raee().fit(X, Y), X_NEW[:2])
