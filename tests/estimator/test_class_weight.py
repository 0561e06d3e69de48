"""What class_weight promises, wherever texts are weighed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.utils.class_weight import compute_sample_weight

from skraee import (
    Backbone,
    EarlyExitClassifier,
    RAEEClassifier,
    RAEEClassifierCV,
    toy,
)
from skraee.exits.evidence import Evidence
from skraee.readout.weights import WeightedShare, sample_weights
from tests.support.classifiers import make_classifier

# Texts with a wrong label are often read wrongly at all depths.
pytestmark = pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning")

# Of four texts one is positive, and of those a third is read as something else.
X, _TRUE = toy.reviews(120)
Y = np.where(
    np.random.default_rng(0).random(120) < 0.3,
    np.where(_TRUE == "positive", "negative", "positive"),
    _TRUE,
)
KEPT = np.flatnonzero((Y == "negative") | (np.arange(120) % 3 == 0))
X, Y = [X[i] for i in KEPT], Y[KEPT]
X_NEW, Y_NEW = toy.reviews(30, seed=1)
CLASSES = ["negative", "positive"]
WEIGHTS = {"negative": 1, "positive": 4}
ALL = [EarlyExitClassifier, RAEEClassifier, RAEEClassifierCV]
# Every way in which something is solved or chosen by leave-one-out.
CHOICES: list[dict[str, Any]] = [
    {"readout": readout, **bound}
    for readout in ("lm_head", "ridge")
    for bound in ({}, {"budget": 0.6})
]


def classifier(cls: Any = RAEEClassifier, **params: Any) -> Any:
    if cls is EarlyExitClassifier:  # it has its own readout and no neighbours
        params.pop("readout", None)
        return make_classifier(cls, **params)
    if cls is RAEEClassifierCV and "budget" in params:
        params["budgets"] = (params.pop("budget"), 1.0)
    return make_classifier(cls, index="exact", **params)


# Weights


@pytest.mark.parametrize(
    ("y", "weight"),
    [
        (["a", "b", "b", "c"], {"a": 2, "b": 0.5, "c": 1}),
        (["a", "b", "b", "c"], {"b": 3}),
        (["a", "b", "b"], {"a": 2, "b": 1, "z": 9}),
        (["a", "b", "b"], {}),
        ([0, 1, 1, 5], {5: 2.5, 0: 0}),
        ([True, False, True], {True: 3}),
        (["a", "b", "b", "c"], "balanced"),
        ([3, 3], "balanced"),
    ],
)
def test_sample_weights_are_those_of_scikit_learn(y: list[Any], weight: Any) -> None:
    classes, codes = np.unique(y, return_inverse=True)
    found = sample_weights(codes, classes, weight)
    expected = compute_sample_weight(weight, np.array(y))
    np.testing.assert_allclose(found, expected * len(y) / expected.sum())


def test_sample_weights_find_a_class_that_is_the_name_of_a_number() -> None:
    # scikit-learn 1.9 looks for the number 1.
    found = sample_weights(np.array([0, 1]), np.array(["1", "2"]), {"1": 3})
    np.testing.assert_allclose(found, [1.5, 0.5])


def test_sample_weights_of_extreme_size_stay_finite() -> None:
    codes, classes = np.array([0, 1, 1]), np.array(["a", "b"])
    for weight in ({"a": 1e308, "b": 1e308}, {"a": 1e-300, "b": 1e-308}):
        found = sample_weights(codes, classes, weight)
        assert np.isfinite(found).all()
        assert found.sum() == pytest.approx(3)


def test_a_class_that_does_not_occur_has_no_part_in_balanced_weights() -> None:
    weights = sample_weights(np.array([0, 2, 2]), np.arange(3), "balanced")
    np.testing.assert_allclose(weights, [1.5, 0.75, 0.75])


def test_weighted_share_is_of_any_shape() -> None:
    share = WeightedShare(np.array([1.0, 2.0, 1.0]))
    part = np.array([[True, False], [False, True], [True, True]])
    np.testing.assert_allclose(share(part), [0.5, 0.75])
    assert share(part[:, 0]).shape == ()


# Refused before anything is loaded


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        ("blanced", ValueError, "None, 'balanced' or a dict .*, got 'blanced'"),
        ([1, 2], ValueError, r"None, 'balanced' or a dict .*, got \[1, 2\]"),
        ({"negative": -1}, ValueError, "weight of 'negative' in class_weight .* -1"),
        ({"positive": math.nan}, ValueError, "weight of 'positive' .* got nan"),
        ({"positive": math.inf}, ValueError, "must be finite and at least 0, got inf"),
        ({"positive": "2"}, TypeError, "weight of 'positive' .* a number, got '2'"),
        ({"positive": True}, TypeError, "must be a number, got True of type bool"),
        (
            {"postive": 2},
            ValueError,
            r"names \['postive'\], .*no classes of y.* \['negative', 'positive'\]",
        ),
        ({"negative": 0, "positive": 0}, ValueError, "every text of y without weight"),
    ],
)
def test_a_wrong_class_weight_is_one_clear_error_before_the_model_is_loaded(
    cls: Any,
    weight: Any,
    error: type[Exception],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clf = classifier(cls, class_weight=weight)
    sweep = classifier(cls).sweep(X)
    monkeypatch.setattr(Backbone, "load", pytest.fail)
    with pytest.raises(error, match=message):
        clf.fit(X, Y)
    with pytest.raises(error, match=message):
        clf.partial_fit(X, Y, classes=CLASSES)
    with pytest.raises(error, match=message):
        clf.fit_sweep(sweep, Y)


def test_partial_fit_weighs_the_earlier_texts_too() -> None:
    only = {"negative": 0, "positive": 1}
    clf = classifier(class_weight=only, budget=0.6)
    order = np.argsort(Y, kind="stable")
    texts, labels = [X[i] for i in order], Y[order]
    with pytest.raises(ValueError, match="every text of y without weight"):
        clf.partial_fit(texts[:9], labels[:9], classes=CLASSES)
    clf.partial_fit(texts[9:], labels[9:], classes=CLASSES)
    clf.partial_fit(texts[:9], labels[:9])
    whole = clone(clf).fit([*texts[9:], *texts[:9]], [*labels[9:], *labels[:9]])
    assert clf.lambda_ == whole.lambda_


# Choices


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize(
    "params", CHOICES, ids=lambda p: "-".join(map(str, p.values()))
)
def test_what_fit_chooses_by_is_weighed_and_only_by_ratios(
    cls: Any, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = learned_with(monkeypatch, cls, params, {"positive": 3})
    np.testing.assert_allclose(
        found.weights[found.codes == 1], 3 * found.weights[found.codes == 0][0]
    )
    alike = learned_with(monkeypatch, cls, params, {"negative": 2, "positive": 6})
    np.testing.assert_allclose(found.weights, alike.weights)
    np.testing.assert_allclose(found.proba, alike.proba, atol=1e-6)


def learned_with(
    monkeypatch: pytest.MonkeyPatch, cls: Any, params: dict[str, Any], weight: Any
) -> Evidence:
    """Return what fit chooses by."""
    seen: list[Evidence] = []
    choose = cls._choose

    def noting(self: Any, known: Evidence) -> Any:
        seen.append(known)
        return choose(self, known)

    with monkeypatch.context() as patch:
        patch.setattr(cls, "_choose", noting)
        classifier(cls, class_weight=weight, **params).fit(X, Y)
    return seen[0]


@pytest.mark.parametrize(
    "params", CHOICES, ids=lambda p: "-".join(map(str, p.values()))
)
def test_balanced_candidates_are_ranked_by_balanced_accuracy(
    params: dict[str, Any],
) -> None:
    clf = classifier(RAEEClassifierCV, class_weight="balanced", **params).fit(X, Y)
    named = clone(clf).set_params(scoring="balanced_accuracy").fit(X, Y)
    np.testing.assert_allclose(
        clf.cv_results_["mean_test_score"], named.cv_results_["mean_test_score"]
    )
    assert clf.best_params_ == named.best_params_


def test_weighted_candidates_are_ranked_by_weighted_accuracy() -> None:
    seen = []

    def recording(estimator: Any, texts: Any, y: Any) -> float:
        weights = np.where(y == "positive", 4, 1)
        score = accuracy_score(y, estimator.predict(texts), sample_weight=weights)
        seen.append(score)
        return float(score)

    clf = classifier(RAEEClassifierCV, class_weight=WEIGHTS).fit(X, Y)
    clone(clf).set_params(scoring=recording).fit(X, Y)
    np.testing.assert_allclose(clf.cv_results_["mean_test_score"], seen)
    plain = clone(clf).set_params(class_weight=None).fit(X, Y)
    ranks = (one.cv_results_["rank_test_score"].tolist() for one in (clf, plain))
    assert next(ranks) != next(ranks)


def test_a_scorer_that_is_named_counts_texts_as_anywhere() -> None:
    found, plain = (
        classifier(RAEEClassifierCV, class_weight=weight, scoring="accuracy").fit(X, Y)
        for weight in (WEIGHTS, None)
    )
    np.testing.assert_array_equal(
        found.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"]
    )


def test_score_and_layer_scores_stay_plain_accuracies() -> None:
    clf = classifier(EarlyExitClassifier, class_weight="balanced")
    clf.fit(X, Y)
    assert clf.score(X, Y) == accuracy_score(Y, clf.predict(X))
    assert clf.score(X, Y) != balanced_accuracy_score(Y, clf.predict(X))
    words = classifier(class_weight="balanced").fit(X, Y)
    plain = (words.layer_proba(X).argmax(axis=2) == (Y == "positive")[:, None]).mean(0)
    np.testing.assert_allclose(words.layer_scores_, plain)


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize(
    "params", CHOICES, ids=lambda p: "-".join(map(str, p.values()))
)
def test_a_class_without_weight_is_read_and_takes_no_part(
    cls: Any, params: dict[str, Any]
) -> None:
    texts = [*X, *X_NEW[:6]]
    labels = np.array([*Y, *["another"] * 6])
    words = {**toy.LABEL_WORDS, "another": "bad"}
    clf = classifier(cls, label_words=words, class_weight={"another": 0}, **params)
    proba = clf.fit(texts, labels).predict_proba(texts)
    assert np.isfinite(proba).all()
    assert np.isfinite(clf.layer_scores_).all()


def test_a_class_that_outweighs_all_others_leaves_finite_probabilities() -> None:
    clf = classifier(class_weight={"positive": 1e30}, readout="ridge")
    assert np.isfinite(clf.fit(X, Y).layer_proba(X)).all()
    one = ["negative"] * (len(X) - 1) + ["positive"]
    assert np.isfinite(clf.fit(X, one).layer_proba(X)).all()


def test_ridge_with_one_text_of_weight_is_a_clear_error() -> None:
    clf = classifier(class_weight={"negative": 0}, readout="ridge")
    with pytest.raises(ValueError, match="n_samples=10, of which some weigh nothing"):
        clf.fit(X[:10], ["negative"] * 9 + ["positive"])


# As any other parameter


@pytest.mark.usefixtures("fresh_sweeps")
def test_a_grid_search_takes_weights_for_values() -> None:
    grid = {"class_weight": [None, "balanced", WEIGHTS]}
    clf = classifier(EarlyExitClassifier)
    search = GridSearchCV(clf, grid, cv=3, scoring="balanced_accuracy").fit(X, Y)
    assert [p["class_weight"] for p in search.cv_results_["params"]] == [
        None,
        "balanced",
        WEIGHTS,
    ]
    assert len(set(search.cv_results_["mean_test_score"].tolist())) > 1


@pytest.mark.parametrize("cls", ALL)
def test_weights_survive_clone_pickle_and_file(cls: Any, tmp_path: Path) -> None:
    weight = {np.str_("negative"): np.float64(0.5), "positive": 2}
    clf = classifier(cls, class_weight=weight, readout="ridge")
    assert clone(clf).class_weight == weight
    clf.fit(X, Y)
    joblib.dump(clf, tmp_path / "clf.joblib")
    clf.save(tmp_path / "clf.skraee")
    for again in (
        joblib.load(tmp_path / "clf.joblib"),
        cls.load(tmp_path / "clf.skraee"),
    ):
        assert again.class_weight == {"negative": 0.5, "positive": 2}
        np.testing.assert_array_equal(
            again.predict_proba(X_NEW), clf.predict_proba(X_NEW)
        )
