"""The lines are the scores of each depth, on the texts of fit and on others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, log_loss, make_scorer

from skraee import toy
from skraee.inspection import LayerScoreDisplay
from tests.support.classifiers import early_exit, raee, raee_cv
from tests.support.figures import heights_in_pixels, legend_box, legend_texts

X, Y = toy.reviews(60)
X_NEW, Y_NEW = toy.reviews(31, seed=1)


@pytest.mark.parametrize("make", [raee, early_exit, raee_cv])
def test_without_texts_the_scores_of_fit_are_shown_and_nothing_runs(
    make: Any, plt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clf = make().fit(X, Y)
    monkeypatch.setattr(type(clf), "_reopen", None)  # which would load the model
    shown = LayerScoreDisplay.from_estimator(clf)
    (line,) = shown.lines_
    np.testing.assert_array_equal(line.get_ydata(), clf.layer_scores_)
    assert shown.ax_.get_title() == f"Layer scores of {type(clf).__name__}"


def test_texts_add_a_line_and_the_classifier_at_its_mean_exit(plt: Any) -> None:
    clf = raee().fit(X, Y)
    shown = LayerScoreDisplay.from_estimator(clf, X_NEW, Y_NEW)
    of_fit, given = shown.lines_
    np.testing.assert_array_equal(of_fit.get_ydata(), clf.layer_scores_)
    answers = clf.classes_[clf.layer_proba(X_NEW).argmax(axis=2)]
    expected = (answers == Y_NEW[:, None]).mean(axis=0)
    np.testing.assert_allclose(given.get_ydata(), expected)
    assert shown.point_.get_xdata() == [clf.exit_layers(X_NEW).mean()]
    assert shown.point_.get_ydata() == [clf.score(X_NEW, Y_NEW)]


def test_another_score_is_that_of_scikit_learn_and_leaves_fit_out(plt: Any) -> None:
    clf = early_exit("seq2seq", threshold=0.7).fit(X, Y)
    shown = LayerScoreDisplay.from_estimator(
        clf, X_NEW, Y_NEW, scoring="balanced_accuracy"
    )
    answers = clf.classes_[clf.layer_proba(X_NEW).argmax(axis=2)]
    expected = [balanced_accuracy_score(Y_NEW, column) for column in answers.T]
    np.testing.assert_allclose(shown.scores, expected)
    assert shown.fit_scores is None
    assert shown.ax_.get_ylabel() == "balanced accuracy"
    assert shown.score == balanced_accuracy_score(Y_NEW, clf.predict(X_NEW))


def test_score_may_read_probabilities_or_be_a_callable(plt: Any) -> None:
    clf = early_exit().fit(X, Y)
    proba = clf.layer_proba(X_NEW)
    expected = [-log_loss(Y_NEW, proba[:, depth]) for depth in range(5)]
    by_name = LayerScoreDisplay.from_estimator(
        clf, X_NEW, Y_NEW, scoring="neg_log_loss"
    )
    np.testing.assert_allclose(by_name.scores, expected, rtol=1e-5)
    scorer = make_scorer(balanced_accuracy_score)
    by_call = LayerScoreDisplay.from_estimator(clf, X_NEW, Y_NEW, scoring=scorer)
    named = LayerScoreDisplay.from_estimator(
        clf, X_NEW, Y_NEW, scoring="balanced_accuracy"
    )
    np.testing.assert_array_equal(by_call.scores, named.scores)
    assert by_call.ax_.get_ylabel() == "score"


def test_another_score_without_texts_is_refused() -> None:
    clf = raee().fit(X, Y)
    with pytest.raises(ValueError, match=r"'roc_auc' needs texts, .* give X"):
        LayerScoreDisplay.from_estimator(clf, scoring="roc_auc")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"X": X_NEW}, "X was given without y"),
        ({"y": Y_NEW}, "y was given without X"),
        ({"X": X_NEW, "y": Y_NEW[:3]}, "got 31 texts and 3 labels"),
    ],
)
def test_texts_and_classes_come_together(given: Any, message: str) -> None:
    clf = raee().fit(X, Y)
    with pytest.raises(ValueError, match=message):
        LayerScoreDisplay.from_estimator(clf, **given)


def test_deepest_exit_is_marked_where_fit_has_chosen_one(plt: Any) -> None:
    clf = early_exit("seq2seq", budget=0.5).fit(X, Y)
    clf.max_exit_ = 5
    shown = LayerScoreDisplay.from_estimator(clf)
    assert "deepest exit 5" in legend_texts(shown)
    clf.max_exit_ = 8  # the last layer is nothing to mark
    assert legend_texts(LayerScoreDisplay.from_estimator(clf)) == ["texts of fit"]


def test_deepest_exit_is_not_marked_where_a_threshold_is_given(plt: Any) -> None:
    clf = early_exit("seq2seq", threshold=0.7).fit(X, Y)
    clf.max_exit_ = 5
    assert LayerScoreDisplay.from_estimator(clf).max_exit is None


@pytest.mark.parametrize("scoring", [None, "balanced_accuracy"])
def test_choice_of_a_search_is_marked_where_it_is_by_accuracy(
    scoring: Any, plt: Any
) -> None:
    clf = raee_cv(scoring=scoring).fit(X, Y)
    shown = LayerScoreDisplay.from_estimator(clf)
    if scoring is None:
        place = clf.cv_results_["params"].index(clf.best_params_)
        expected = clf.cv_results_["mean_exit_layer"][place], clf.best_score_
        assert (shown.mean_exit, shown.score) == expected
    else:
        assert shown.point_ is None


def test_legend_covers_no_line_and_axes_have_names(plt: Any) -> None:
    clf = raee().fit(X, Y)
    shown = LayerScoreDisplay.from_estimator(clf, X_NEW, Y_NEW)
    box = legend_box(shown)
    drawn = [*shown.lines_, shown.point_]
    assert max(heights_in_pixels(line).max() for line in drawn) < box.y0
    assert shown.ax_.get_xlabel() == "exit layer"
    assert shown.ax_.get_ylabel() == "accuracy"


def test_plot_returns_itself_and_lines_take_what_plot_takes(plt: Any) -> None:
    figure, ax = plt.subplots()
    display = LayerScoreDisplay([0.5, 0.75], [0.25, 1.0])
    assert display.plot(ax, name="mine", linewidth=3) is display
    assert (display.ax_, display.figure_) == (ax, figure)
    assert [line.get_linewidth() for line in display.lines_] == [3, 3]
    assert ax.get_title() == "Layer scores of mine"


def test_scores_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing to plot; give fit_scores or scores"):
        LayerScoreDisplay()
    with pytest.raises(ValueError, match=r"one number for each depth, .*\(2,\).*\(3,"):
        LayerScoreDisplay([0.5, 1.0], [0.5, 1.0, 1.0])


def test_what_is_no_classifier_of_ours_is_refused() -> None:
    with pytest.raises(TypeError, match="got str, which has no fit"):
        LayerScoreDisplay.from_estimator("a name")  # type: ignore[arg-type]
