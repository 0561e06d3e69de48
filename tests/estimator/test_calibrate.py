"""One temperature per depth: label words' probabilities that can be believed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV

from skraee import RAEEClassifier, RAEEClassifierCV, toy
from skraee.persistence import archive
from tests.support.answers import assert_same_answers
from tests.support.classifiers import raee, raee_cv
from tests.support.reviews import noisy_reviews

# Texts with a wrong label are often read wrongly at all depths.
pytestmark = pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning")

KINDS = list(toy.TEMPLATES)
X, Y = noisy_reviews(90)
X_NEW, Y_NEW = noisy_reviews(40, seed=1)
CLASSES = ["negative", "positive"]
DEEPEST = {"masked": 4, "causal": 4, "seq2seq": 8}
CODES = np.searchsorted(CLASSES, Y)
WEIGHTS = {"negative": 1.0, "positive": 3.0}


def calibrated(kind: Any = "masked", **params: Any) -> RAEEClassifier:
    return raee(kind, **{"calibrate": True, "index": "exact", **params})


def plain_proba(logits: np.ndarray) -> np.ndarray:
    """Take the softmax (n, m + 1, C), in float64."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True).astype(float))
    return powers / powers.sum(axis=-1, keepdims=True)


def plain_log_loss(logits: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean weighted log-loss (m + 1,) of the texts of fit."""
    logits = logits - logits.max(axis=-1, keepdims=True).astype(float)
    losses = np.log(np.exp(logits).sum(axis=-1)) - logits[np.arange(len(X)), :, CODES]
    return np.average(losses, axis=0, weights=weights)


# Against plain numpy


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("class_weight", [None, WEIGHTS])
def test_temperatures_have_the_least_log_loss_of_each_depth(
    kind: str, class_weight: Any
) -> None:
    clf = calibrated(kind, class_weight=class_weight).fit(X, Y)
    logits = clf.sweep(X).logits
    assert clf.temperatures_.shape == (clf.n_layers_ + 1,)
    weights = np.where(CODES, 3.0, 1.0) if class_weight else np.ones(len(X))
    tried = np.geomspace(0.02, 50, 801)
    costs = np.stack([plain_cost(logits, np.array([t]), weights) for t in tried])
    found = plain_cost(logits, clf.temperatures_, weights)
    assert (found <= costs.min(axis=0) + 1e-6).all()
    best = tried[costs.argmin(axis=0)]
    np.testing.assert_allclose(clf.temperatures_, best, rtol=6e-3)
    assert max(abs(np.log(best))) > 0.3


def plain_cost(
    logits: np.ndarray, temperatures: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return what is smallest (m + 1,): the log-loss, and how far they are from 1."""
    losses = plain_log_loss(logits / temperatures[:, None], weights)
    return len(X) * losses + np.log(temperatures) ** 2 / 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "params", [{}, {"encoder": 2}, {"max_length": 16, "long_texts": "mean"}]
)
@pytest.mark.filterwarnings("ignore::skraee.exceptions.TruncationWarning")
def test_probabilities_are_those_of_divided_logits(
    kind: str, params: dict[str, Any]
) -> None:
    clf = calibrated(kind, **params).fit(X, Y)
    texts = [*X_NEW, " and ".join(X_NEW[:6])]
    logits = clf.sweep(texts).logits
    expected = plain_proba(logits / clf.temperatures_[:, None])
    np.testing.assert_allclose(clf.layer_proba(texts), expected, atol=2e-6)
    proba, exits = clf.predict_proba(texts, return_exit_layers=True)
    assert len(set(exits.tolist())) > 1
    rows = expected[np.arange(len(texts)), exits]
    np.testing.assert_allclose(proba, rows, atol=1e-5)
    found = clf.predict_log_proba(texts)
    np.testing.assert_allclose(found, np.log(rows), atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "params",
    [{}, {"tau": 0.7, "min_exit": 1}, {"budget": 0.6}, {"database": "correct"}],
    ids=str,
)
def test_exits_are_those_of_a_sweep_whose_logits_are_divided(
    kind: str, params: dict[str, Any]
) -> None:
    clf = calibrated(kind, **params).fit(X, Y)
    other = clone(clf).set_params(calibrate=False).fit_sweep(divided(clf), Y)
    np.testing.assert_array_equal(clf.exit_layers(X_NEW), other.exit_layers(X_NEW))
    np.testing.assert_allclose(
        clf.exit_distribution(X_NEW), other.exit_distribution(X_NEW), atol=1e-6
    )
    np.testing.assert_array_equal(clf.layer_scores_, other.layer_scores_)
    assert getattr(clf, "lambda_", None) == getattr(other, "lambda_", None)
    told, expected = clf.explain(X_NEW[0]), other.explain(X_NEW[0])
    for ours, theirs in zip(told.neighbors, expected.neighbors, strict=True):
        assert ours.votes == pytest.approx(theirs.votes, abs=1e-6)
    proba = clf.predict_proba(X_NEW[:1])[0]
    assert list(told.proba.values()) == pytest.approx(proba.tolist(), abs=1e-6)


def divided(clf: Any) -> Any:
    """Return the sweep of fit with logits divided by hand."""
    sweep = clf.sweep(X)
    logits = (sweep.logits / clf.temperatures_[:, None]).astype(np.float32)
    return replace(sweep, logits=logits)


@pytest.mark.parametrize(
    "params",
    [{}, {"scoring": "neg_log_loss"}, {"budgets": (0.5, 1.0)}],
    ids=str,
)
def test_a_search_goes_by_calibrated_probabilities(params: dict[str, Any]) -> None:
    clf = raee_cv(calibrate=True, index="exact", ks=(3, 6), **params).fit(X, Y)
    other = clone(clf).set_params(calibrate=False).fit_sweep(divided(clf), Y)
    assert clf.best_params_ == other.best_params_
    for name in ("mean_test_score", "mean_exit_layer"):
        np.testing.assert_allclose(clf.cv_results_[name], other.cv_results_[name])
    plain = clone(clf).set_params(calibrate=False).fit(X, Y)
    name = "mean_test_score" if "scoring" in params else "mean_exit_layer"
    assert not np.allclose(clf.cv_results_[name], plain.cv_results_[name])


# What it promises


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_the_classes_stays_at_every_depth(kind: str) -> None:
    plain, clf = (
        raee(kind, min_exit=DEEPEST[kind], calibrate=on).fit(X, Y)
        for on in (False, True)
    )
    before, after = plain.layer_proba(X_NEW), clf.layer_proba(X_NEW)
    np.testing.assert_array_equal(before.argmax(axis=2), after.argmax(axis=2))
    assert np.abs(before - after).max() > 0.05
    np.testing.assert_array_equal(clf.layer_scores_, plain.layer_scores_)
    assert set(clf.exit_layers(X_NEW)) == {clf.n_layers_}
    assert clf.score(X_NEW, Y_NEW) == plain.score(X_NEW, Y_NEW)


@pytest.mark.parametrize("kind", KINDS)
def test_log_loss_of_the_texts_of_fit_never_rises(kind: str) -> None:
    before = raee(kind).fit(X, Y).layer_proba(X)
    after = calibrated(kind).fit(X, Y).layer_proba(X)
    losses = [
        [log_loss(Y, proba[:, depth], labels=CLASSES) for proba in (before, after)]
        for depth in range(before.shape[1])
    ]
    assert all(new <= old + 1e-7 for old, new in losses)
    assert losses[-1][1] < losses[-1][0]


def test_without_it_every_bit_is_that_of_the_plain_softmax(tmp_path: Path) -> None:
    clf = raee(index="exact").fit(X, Y)
    sweep = clf.sweep(X)
    expected = plain_proba(sweep.logits).astype(np.float32)
    np.testing.assert_array_equal(clf.layer_proba(X), expected, strict=True)
    np.testing.assert_array_equal(clf._fitted.database.proba, expected, strict=True)
    assert not hasattr(clf, "temperatures_")
    clf.save(tmp_path / "clf")
    manifest, arrays = archive.read(tmp_path / "clf")
    assert manifest["calibration"] is None
    assert not [name for name in arrays if "temperatures" in name or "logits" in name]


def test_a_fit_without_it_forgets_the_temperatures() -> None:
    clf = calibrated().fit(X, Y)
    clf.set_params(calibrate=False).fit(X, Y)
    assert not hasattr(clf, "temperatures_")
    assert_same_answers(clf, raee(index="exact").fit(X, Y), X_NEW)


@pytest.mark.filterwarnings("ignore:y holds one class only")
def test_one_class_alone_is_answered() -> None:
    clf = calibrated().fit(X[:6], ["positive"] * 6)
    assert np.isfinite(clf.temperatures_).all()
    assert clf.predict_proba(X_NEW[:3]).tolist() == [[1.0]] * 3


def test_few_texts_that_are_all_answered_rightly_make_no_depth_sure_of_all() -> None:
    texts, labels = toy.reviews(60)
    plain = raee().fit(texts, labels)
    assert plain.layer_scores_[3] == 1
    clf = raee(calibrate=True).fit(texts, labels)
    right = plain_right(clf, texts, labels)
    assert 0.05 < clf.temperatures_[3] < 0.5  # the least log-loss is at 0.001
    assert 0.1 < (1 - right[:, 3]).sum() < 2
    assert (1 - plain_right(plain, texts, labels)[:, 3]).sum() > 2


def plain_right(clf: Any, texts: Any, labels: Any) -> np.ndarray:
    """Return the probabilities (n, m + 1) of the right class."""
    codes = np.searchsorted(CLASSES, labels)
    return clf.layer_proba(texts)[np.arange(len(texts)), :, codes]


@pytest.mark.parametrize("kind", ["causal", "seq2seq"])
def test_a_depth_that_says_the_same_of_all_texts_stays_as_it_is(kind: str) -> None:
    clf = calibrated(kind).fit(X, Y)
    assert np.ptp(clf.sweep(X).logits[:, 0], axis=0).max() == 0
    assert clf.temperatures_[0] == pytest.approx(1, abs=1e-3)


# However texts come


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_is_answered_alone_as_beside_others(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clf = calibrated(kind).fit(X, Y)
    together, exits = clf.predict_proba(X_NEW, return_exit_layers=True)
    alone = [clf.predict_proba([text], return_exit_layers=True) for text in X_NEW]
    np.testing.assert_allclose([p[0] for p, _ in alone], together, atol=1e-5)
    assert [int(e[0]) for _, e in alone] == exits.tolist()
    monkeypatch.setattr("skraee.sweep.chunks.CHUNK_SIZE", 7)
    np.testing.assert_allclose(clf.predict_proba(X_NEW), together, atol=1e-5)


@pytest.mark.usefixtures("fresh_sweeps")
def test_what_the_memory_knows_is_answered_as_what_runs() -> None:
    clf = calibrated(memory="process").fit(X, Y)
    recalled, exits = clf.predict_proba(X, return_exit_layers=True)
    assert len(set(exits.tolist())) > 1
    run = clf.set_params(memory=None).predict_proba(X)
    np.testing.assert_allclose(recalled, run, atol=1e-5)


# Fitted in parts


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("params", [{}, {"encoder": 2}, {"class_weight": "balanced"}])
def test_partial_fit_equals_fit_on_all_texts(kind: str, params: Any) -> None:
    whole = calibrated(kind, **params).fit(X, Y)
    parts = calibrated(kind, **params).partial_fit(X[:30], Y[:30], classes=CLASSES)
    assert not np.allclose(parts.temperatures_, whole.temperatures_, rtol=0.01)
    parts.partial_fit(X[30:31], Y[30:31]).partial_fit(X[31:], Y[31:])
    np.testing.assert_allclose(parts.temperatures_, whole.temperatures_, rtol=1e-4)
    assert_same_answers(parts, whole, X_NEW, atol=1e-5)
    np.testing.assert_allclose(
        parts._fitted.database.proba, whole._fitted.database.proba, atol=1e-5
    )


def test_partial_fit_after_fit_sweep_knows_the_earlier_texts() -> None:
    clf = calibrated()
    clf.fit_sweep(clf.sweep(X[:50]), Y[:50]).partial_fit(X[50:], Y[50:])
    whole = calibrated().fit(X, Y)
    np.testing.assert_allclose(clf.temperatures_, whole.temperatures_, rtol=1e-4)
    assert_same_answers(clf, whole, X_NEW, atol=1e-5)


def test_probabilities_of_zero_keep_what_a_later_fit_needs() -> None:
    clf = calibrated()
    sweep = clf.sweep(X)
    sure = replace(sweep, logits=1000 * sweep.logits)
    clf.fit_sweep(replace(sure, logits=sure.logits[:50], keys=sure.keys[:50]), Y[:50])
    plain = raee().fit_sweep(sure, Y)
    assert (plain._fitted.database.proba == 0).any()
    clf.partial_fit(X[50:], Y[50:])
    expected = np.concatenate([sure.logits[:50], sweep.logits[50:]])
    whole = calibrated().fit_sweep(replace(sweep, logits=expected), Y)
    np.testing.assert_allclose(clf.temperatures_, whole.temperatures_, rtol=1e-4)


@pytest.mark.parametrize("cls", [RAEEClassifier, RAEEClassifierCV])
def test_texts_that_were_forgotten_cannot_be_fitted_to_again(cls: Any) -> None:
    make = calibrated if cls is RAEEClassifier else raee_cv
    clf = make(database="correct", calibrate=True).fit(X, Y)
    assert clf._fitted.calibration.logits is None  # nor are they kept in secret
    before = joblib.hash(clf)
    with pytest.raises(ValueError, match=r"database='correct' keeps no.*call fit on"):
        clf.partial_fit(X_NEW, Y_NEW)
    assert joblib.hash(clf) == before


# As any other parameter


@pytest.mark.parametrize("how", ["joblib", "file"])
@pytest.mark.parametrize(
    "params", [{}, {"database": "correct"}, {"budget": 0.6}], ids=str
)
def test_what_was_fitted_survives_both_ways_of_keeping_it(
    how: str, params: Any, tmp_path: Path
) -> None:
    clf = calibrated(**params).fit(X, Y)
    if how == "joblib":
        joblib.dump(clf, tmp_path / "clf")
        again = joblib.load(tmp_path / "clf")
    else:
        clf.save(tmp_path / "clf")
        again = RAEEClassifier.load(tmp_path / "clf")
    assert again.calibrate is True
    np.testing.assert_array_equal(again.temperatures_, clf.temperatures_, strict=True)
    assert_same_answers(again, clf, X_NEW, atol=0)
    np.testing.assert_array_equal(again.layer_proba(X_NEW), clf.layer_proba(X_NEW))
    if "database" not in params:
        clf.partial_fit(X_NEW, Y_NEW)
        again.partial_fit(X_NEW, Y_NEW)
        np.testing.assert_array_equal(again.temperatures_, clf.temperatures_)


def test_a_search_survives_its_file(tmp_path: Path) -> None:
    clf = raee_cv(calibrate=np.True_, index="exact").fit(X, Y)
    clf.save(tmp_path / "clf")
    again = RAEEClassifierCV.load(tmp_path / "clf")
    np.testing.assert_array_equal(again.temperatures_, clf.temperatures_)
    assert_same_answers(again, clf, X_NEW, atol=0)


@pytest.mark.usefixtures("fresh_sweeps")
def test_a_grid_search_takes_it_for_a_value() -> None:
    clf = raee(index="exact", memory="process")
    grid = {"calibrate": [False, True]}
    search = GridSearchCV(clf, grid, cv=3, scoring="neg_log_loss").fit(X, Y)
    scores = search.cv_results_["mean_test_score"]
    assert scores[1] > scores[0]
    assert search.best_params_ == {"calibrate": True}
    assert search.best_estimator_.temperatures_.shape == (5,)


@pytest.mark.parametrize("then", [False, True])
def test_it_cannot_be_set_after_fit(then: bool) -> None:
    clf = calibrated(calibrate=then).fit(X, Y).set_params(calibrate=not then)
    message = f"calibrate was {then} at fit and is {not then} now"
    with pytest.raises(ValueError, match=message):
        clf.predict(X_NEW)
    with pytest.raises(ValueError, match=message):
        clf.partial_fit(X_NEW, Y_NEW)


@pytest.mark.parametrize("cls", [RAEEClassifier, RAEEClassifierCV])
def test_with_the_closed_form_it_is_of_no_use_and_that_is_said(cls: Any) -> None:
    make = raee if cls is RAEEClassifier else raee_cv
    clf = make(readout="ridge", calibrate=True)
    message = "calibrate=True is not used, as readout='ridge' is calibrated by itself"
    with pytest.warns(UserWarning, match=message) as told:
        clf.fit(X, Y)
    assert [one.filename for one in told] == [__file__]
    assert not hasattr(clf, "temperatures_")
    assert_same_answers(clf, make(readout="ridge").fit(X, Y), X_NEW)


def test_each_setting_of_no_use_is_told_of_with_what_makes_it_so() -> None:
    clf = raee(readout="ridge", calibrate=True, budget=0.6, tau=0.5)
    with pytest.warns(UserWarning, match="is not used") as told:
        clf.fit(X, Y)
    assert [str(one.message).split(";")[0] for one in told] == [
        "tau=0.5 is not used, as budget=0.6 decides about exits",
        "calibrate=True is not used, as readout='ridge' is calibrated by itself",
    ]
