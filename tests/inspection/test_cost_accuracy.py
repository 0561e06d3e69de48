"""The curve is that of `exit_report_`, and what was chosen lies on it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skraee import toy
from skraee.inspection import CostAccuracyDisplay, mean_cost
from tests.support.classifiers import early_exit, raee, raee_cv
from tests.support.figures import heights_in_pixels, legend_box, legend_texts
from tests.support.reviews import noisy_reviews

pytestmark = pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning")

X, Y = noisy_reviews(120)
X_NEW, Y_NEW = toy.reviews(30, seed=1)


def test_curve_is_the_exit_report_with_its_bounds(plt: Any) -> None:
    clf = early_exit("seq2seq", max_loss=0.1).fit(X, Y)
    report = clf.exit_report_
    shown = CostAccuracyDisplay.from_estimator(clf)
    order = np.argsort(report["mean_cost"], kind="stable")
    np.testing.assert_array_equal(shown.line_.get_xdata(), report["mean_cost"][order])
    np.testing.assert_array_equal(shown.line_.get_ydata(), report["accuracy"][order])
    expected = (report["accuracy"] + report["loss"] - report["loss_bound"])[order]
    np.testing.assert_allclose(shown.lower, expected)
    assert shown.band_ is not None
    assert (np.diff(shown.cost) >= 0).all()


def test_choice_by_max_loss_is_marked_with_the_least_accuracy(plt: Any) -> None:
    clf = early_exit("seq2seq", max_loss=0.1).fit(X, Y)
    report = clf.exit_report_
    shown = CostAccuracyDisplay.from_estimator(clf)
    (place,) = np.flatnonzero(report["chosen"])
    at = report["mean_cost"][place], report["accuracy"][place]
    assert (shown.chosen_.get_xdata()[0], shown.chosen_.get_ydata()[0]) == at
    whole = report["accuracy"][-1]  # of no early exit
    assert shown.least_score == pytest.approx(whole - 0.1)
    assert shown.lower[shown.chosen] >= shown.least_score - 1e-9
    assert f"least, by max_loss: {whole - 0.1:.3f}" in legend_texts(shown)


@pytest.mark.parametrize("make", [early_exit, raee])
def test_choice_within_a_budget_is_marked_left_of_its_line(make: Any, plt: Any) -> None:
    clf = make("seq2seq", budget=0.6).fit(X, Y)
    shown = CostAccuracyDisplay.from_estimator(clf)
    assert shown.budget == 0.6
    assert shown.chosen_.get_xdata()[0] <= 0.6
    assert "budget 0.6" in legend_texts(shown)
    assert shown.least_score is None


def test_threshold_that_decides_leaves_the_choice_of_fit_out(plt: Any) -> None:
    clf = early_exit("seq2seq", threshold=0.8).fit(X, Y)
    shown = CostAccuracyDisplay.from_estimator(clf)
    assert shown.chosen is shown.chosen_ is shown.least_score is None
    assert shown.line_ is not None


def test_without_a_report_each_layer_alone_is_shown(plt: Any) -> None:
    clf = raee().fit(X, Y)
    shown = CostAccuracyDisplay.from_estimator(clf, X_NEW, Y_NEW)
    assert shown.line_ is None
    np.testing.assert_array_equal(shown.layer_cost, clf.cost_)
    np.testing.assert_array_equal(shown.layer_score, clf.layer_scores_)
    (point,) = shown.peers_
    assert point.get_xdata() == [clf.cost_[clf.exit_layers(X_NEW)].mean()]
    assert point.get_ydata() == [clf.score(X_NEW, Y_NEW)]


def test_costs_are_those_of_the_key_where_it_lies_deeper(plt: Any) -> None:
    clf = raee(encoder=3).fit(X, Y)
    shown = CostAccuracyDisplay.from_estimator(clf)
    np.testing.assert_array_equal(shown.layer_cost, [0.75, 0.75, 0.75, 0.75, 1.0])
    assert mean_cost(clf, X_NEW) >= 0.75


def test_mean_cost_is_the_mean_of_what_the_exits_cost() -> None:
    clf = early_exit("seq2seq", threshold=0.8).fit(X, Y)
    expected = clf.cost_[clf.exit_layers(X_NEW)].mean()
    assert mean_cost(clf, X_NEW) == pytest.approx(expected)
    assert mean_cost(clf, X_NEW, Y_NEW) == mean_cost(clf, X_NEW)


def test_peers_are_points_with_names_and_marks_of_their_own(plt: Any) -> None:
    clf = early_exit("seq2seq", budget=0.6).fit(X, Y)
    peers = {"TF-IDF, $k$": (0.0, 0.7), "full": (1.2, 0.9)}
    shown = CostAccuracyDisplay.from_estimator(clf, peers=peers)
    assert [p.get_xydata()[0].tolist() for p in shown.peers_] == [[0, 0.7], [1.2, 0.9]]
    assert {r"TF-IDF, \$k\$", "full"} <= set(legend_texts(shown))
    assert len({point.get_marker() for point in shown.peers_}) == 2
    low, high = shown.ax_.get_xlim()
    assert low < 0 < 1.2 < high


def test_legend_covers_no_line_and_axes_say_their_units(plt: Any) -> None:
    clf = early_exit("seq2seq", max_loss=0.1).fit(X, Y)
    shown = CostAccuracyDisplay.from_estimator(clf, X_NEW, Y_NEW, peers={"a": (1, 1)})
    drawn = [shown.line_, shown.chosen_, *shown.peers_]
    assert max(heights_in_pixels(line).max() for line in drawn) < legend_box(shown).y0
    assert shown.ax_.get_xlabel() == "share of the model's cost, mean of the texts"
    assert shown.ax_.get_ylabel() == "accuracy"
    assert shown.ax_.get_title() == "Cost and accuracy of EarlyExitClassifier"


@pytest.mark.parametrize("budgets", [None, (0.4, 0.6, 0.9)])
def test_search_shows_its_candidates_and_its_choice(budgets: Any, plt: Any) -> None:
    clf = raee_cv("seq2seq", budgets=budgets).fit(X, Y)
    results = clf.cv_results_
    shown = CostAccuracyDisplay.from_estimator(clf)
    np.testing.assert_array_equal(shown.line_.get_xdata(), results["mean_cost"])
    np.testing.assert_array_equal(shown.line_.get_ydata(), results["mean_test_score"])
    place = results["params"].index(clf.best_params_)
    assert shown.chosen == place
    assert shown.ax_.get_ylabel() == "accuracy"
    again = CostAccuracyDisplay.from_cv_results(
        results, best_params=clf.best_params_, name="a search"
    )
    np.testing.assert_array_equal(again.cost, shown.cost)
    assert again.chosen == place
    assert again.ax_.get_title() == "Cost and accuracy of a search"


def test_search_of_an_older_file_shows_each_layer_alone(plt: Any) -> None:
    clf = raee_cv().fit(X, Y)
    del clf.cv_results_["mean_cost"]
    shown = CostAccuracyDisplay.from_estimator(clf)
    assert shown.line_ is None
    assert legend_texts(shown) == ["each layer alone"]


def test_mean_cost_of_a_candidate_is_that_of_its_exits(plt: Any) -> None:
    clf = raee_cv(budgets=(0.4, 0.9), ks=(4,)).fit(X, Y)
    costs = clf.cv_results_["mean_cost"]
    np.testing.assert_allclose(costs, clf.cv_results_["mean_exit_layer"] / 4)
    assert (costs <= np.array([0.4, 0.9])).all()


def test_score_of_a_search_is_named_where_it_is_another(plt: Any) -> None:
    clf = raee_cv(scoring="balanced_accuracy").fit(X, Y)
    shown = CostAccuracyDisplay.from_estimator(clf)
    assert shown.ax_.get_ylabel() == "balanced accuracy"


def test_grid_search_over_budgets_is_shown_with_the_spread_of_its_folds(
    plt: Any,
) -> None:
    search = GridSearchCV(early_exit(budget=0.5), {"budget": [0.3, 0.6]}, cv=2).fit(
        X, Y
    )
    shown = CostAccuracyDisplay.from_cv_results(search.cv_results_)
    assert shown.cost.tolist() == [0.3, 0.6]
    np.testing.assert_array_equal(shown.error, search.cv_results_["std_test_score"])
    assert shown.chosen == search.best_index_


def test_budget_in_a_pipeline_is_found(plt: Any) -> None:
    pipeline = make_pipeline("passthrough", early_exit(budget=0.5))
    grid = {"earlyexitclassifier__budget": [0.3, 0.6]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, Y)
    shown = CostAccuracyDisplay.from_cv_results(search.cv_results_)
    assert shown.cost.tolist() == [0.3, 0.6]


def test_mean_cost_as_a_scorer_gives_the_costs_of_any_search(plt: Any) -> None:
    scoring = {"accuracy": "accuracy", "cost": mean_cost}
    search = GridSearchCV(
        raee("seq2seq"), {"tau": [0.0, 0.9]}, scoring=scoring, refit="accuracy", cv=2
    ).fit(X, Y)
    shown = CostAccuracyDisplay.from_cv_results(
        search.cv_results_, score="mean_test_accuracy"
    )
    np.testing.assert_array_equal(shown.cost, search.cv_results_["mean_test_cost"])
    assert shown.chosen == search.best_index_
    assert shown.ax_.get_ylabel() == "accuracy"


def test_search_whose_costs_are_not_known_is_refused() -> None:
    search = GridSearchCV(raee(), {"tau": [0.0, 0.9]}, cv=2).fit(X, Y)
    with pytest.raises(ValueError, match=r"not say what .* cost, only param_tau; sear"):
        CostAccuracyDisplay.from_cv_results(search.cv_results_)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"cost": "time"}, "cv_results has no 'time'; name one of its keys, 'params'"),
        ({"score": "mean_test_x"}, "cv_results has no 'mean_test_x'"),
        ({"best_params": {"k": 99}}, r"best_params=\{'k': 99\} is none of the cand"),
    ],
)
def test_keys_and_choices_that_are_not_there_are_refused(
    more: Any, message: str
) -> None:
    results = {"params": [{"k": 1}], "mean_cost": [0.5], "mean_test_score": [0.9]}
    with pytest.raises(ValueError, match=message):
        CostAccuracyDisplay.from_cv_results(results, **more)


def test_arrays_are_drawn_as_given(plt: Any) -> None:
    figure, ax = plt.subplots()
    display = CostAccuracyDisplay([0.1, 0.9], [0.6, 0.8], lower=[0.5, 0.7], chosen=1)
    assert display.plot(ax, name="mine", linewidth=5) is display
    assert (display.ax_, display.figure_) == (ax, figure)
    assert display.line_.get_linewidth() == 5
    assert display.chosen_.get_xdata() == [0.9]
    assert ax.get_title() == "Cost and accuracy of mine"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"score": [0.5]}, "score must have one entry for each cost, got 1 and 2"),
        ({"lower": [0.5]}, "lower must have one entry for each cost"),
        ({"cost": [[0.1, 0.9]]}, r"cost must have one dimension, got shape \(1, 2\)"),
        ({"layer_score": [1.0]}, "layer_score must have .*, got 1 and None"),
        ({"peers": {"a": 0.5}}, r"peers\['a'\] must be a pair of cost and score"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CostAccuracyDisplay(**{"cost": [0.1, 0.9], "score": [0.6, 0.8], **given})


def test_estimators_that_do_not_fit_are_refused() -> None:
    with pytest.raises(NotFittedError):
        CostAccuracyDisplay.from_estimator(early_exit())
    search = GridSearchCV(early_exit(budget=0.5), {"budget": [0.5]}, cv=2).fit(X, Y)
    with pytest.raises(TypeError, match="got GridSearchCV, which has no cost_; of a P"):
        CostAccuracyDisplay.from_estimator(search)
