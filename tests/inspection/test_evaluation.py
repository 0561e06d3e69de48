"""Numbers of labelled texts, beside those that scikit-learn computes."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_recall_fscore_support,
)

from skraee import toy
from skraee.baselines import FullDepthClassifier
from skraee.exceptions import UndecidedWarning
from skraee.inspection import Evaluation, mean_cost
from skraee.inspection.answer_scores import calibration_error
from skraee.inspection.evaluation import _rounded
from tests.support.classifiers import early_exit, make_classifier, raee

X, Y = toy.reviews(60)
NEW, RIGHT = toy.reviews(50, seed=7)
# Some of them are wrong, so that no number is 0 or 1.
GIVEN = np.where(np.arange(50) % 7 == 0, "negative", RIGHT)

baseline = partial(make_classifier, FullDepthClassifier)


@pytest.mark.parametrize("make", [early_exit, raee, baseline])
def test_numbers_are_those_of_scikit_learn(make):
    clf = make().fit(X, Y)
    found = Evaluation.of(clf, NEW, GIVEN)
    proba, exits = clf.predict_proba(NEW, return_exit_layers=True)
    answers = clf.predict(NEW)
    assert found.n_texts == 50
    assert found.accuracy == accuracy_score(GIVEN, answers)
    assert found.balanced_accuracy == pytest.approx(
        balanced_accuracy_score(GIVEN, answers)
    )
    assert found.macro_f1 == pytest.approx(f1_score(GIVEN, answers, average="macro"))
    assert found.log_loss == pytest.approx(log_loss(GIVEN, proba), rel=1e-5)
    np.testing.assert_array_equal(found.confusion, confusion_matrix(GIVEN, answers))
    expected = np.transpose(precision_recall_fscore_support(GIVEN, answers))
    rows = [(c.precision, c.recall, c.f1, c.support) for c in found.classes]
    np.testing.assert_allclose(rows, expected)
    assert [one.label for one in found.classes] == ["negative", "positive"]
    assert found.mean_exit_layer == pytest.approx(exits.mean())
    assert found.exit_counts == tuple(np.bincount(exits, minlength=5))
    assert found.mean_cost == pytest.approx(mean_cost(clf, NEW))
    assert found.texts_per_second == pytest.approx(50 / found.seconds)


def test_calibration_error_by_hand():
    # 0.95 and 0.94 share a bin: one of them right, 0.445 too sure in the mean. Of 0.55
    # there is one, right, 0.45 not sure enough.
    proba = np.array([[0.95, 0.05], [0.94, 0.06], [0.45, 0.55]])
    found = calibration_error(proba, np.array([0, 1, 1]))
    assert found == pytest.approx((2 * 0.445 + 0.45) / 3)


def test_calibration_error_of_certain_and_right_answers_is_none():
    assert calibration_error(np.eye(3), np.arange(3)) == 0.0


def test_label_that_the_classifier_does_not_know_counts_as_wrong():
    clf = early_exit().fit(X, Y)
    given = np.array(["neutral", *RIGHT[1:].tolist()])
    found = Evaluation.of(clf, NEW, given)
    assert [one.label for one in found.classes] == ["negative", "positive", "neutral"]
    neutral = found.classes[-1]
    assert (neutral.precision, neutral.recall, neutral.f1) == (0, 0, 0)
    assert neutral.support == 1
    right = (clf.predict(NEW[1:]) == RIGHT[1:]).sum()
    assert found.accuracy == right / 50
    assert np.isfinite(found.log_loss)
    assert sum(map(sum, found.confusion)) == 50


def test_classes_that_are_numbers_stay_numbers():
    clf = early_exit().fit(X, np.where(Y == "positive", 1, 0))
    found = Evaluation.of(clf, NEW, (RIGHT == "positive").astype(int))
    assert [one.label for one in found.classes] == [0, 1]


def test_report_names_every_number_and_the_confusion():
    clf = early_exit().fit(X, Y)
    found = Evaluation.of(clf, NEW, GIVEN)
    told = str(found)
    for word in ("accuracy", "log-loss", "calibration error", "of 4", "of the model's"):
        assert word in told
    table = told[told.index("right class") :].splitlines()
    assert table[0].split() == [
        "right",
        "class",
        "\\",
        "answer",
        "negative",
        "positive",
    ]
    assert [row.split() for row in table[1:]] == [
        [name, *map(str, row)]
        for name, row in zip(["negative", "positive"], found.confusion, strict=True)
    ]


def test_report_of_many_classes_names_the_most_frequent_mistakes():
    labels = np.array([f"c{i % 12:02}" for i in range(60)])
    clf = early_exit().fit(X, labels)
    found = Evaluation.of(clf, X, np.roll(labels, 1))
    told = str(found)
    assert "right class \\ answer" not in told
    pairs = told[told.index("most frequent mistakes") :].splitlines()
    right, answer, n = pairs[2].split()
    names = [one.label for one in found.classes]
    assert found.confusion[names.index(right)][names.index(answer)] == int(n)
    off_diagonal = np.array(found.confusion) * (1 - np.eye(12, dtype=int))
    assert int(n) == off_diagonal.max()


def test_one_class_alone_has_no_mistakes_to_name():
    found = Evaluation.of(early_exit().fit(X, Y), NEW[:1], RIGHT[:1])
    assert found.n_texts == 1


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        (NEW, RIGHT[1:], "must have the same length"),
        (NEW, None, "X was given without y"),
        ([], [], "at least one"),
    ],
)
def test_what_does_not_fit_together_is_refused(texts, labels, message):
    with pytest.raises(ValueError, match=message):
        Evaluation.of(early_exit().fit(X, Y), texts, labels)


def test_warning_about_texts_comes_once():
    labels = np.array([f"c{i % 12:02}" for i in range(60)])
    clf = raee(readout="ridge", label_words=None, tau=1.0, below_tau="skip")
    clf.fit(X, labels)
    with pytest.warns(UndecidedWarning) as caught:
        Evaluation.of(clf, X, labels)
    assert len(caught) == 1


def test_classifier_that_is_not_fitted_is_refused():
    with pytest.raises(NotFittedError):
        Evaluation.of(early_exit(), NEW, RIGHT)


def test_classifier_of_others_is_refused():
    other = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(TypeError, match=r"Evaluation.of takes a fitted EarlyExitClass"):
        Evaluation.of(other, NEW, RIGHT)


@pytest.mark.parametrize(
    ("speed", "said"),
    [(1771.4, "1,771"), (99.96, "100"), (12.34, "12.3"), (0.5, "0.5")],
)
def test_speed_is_written_without_an_exponent(speed: float, said: str) -> None:
    assert _rounded(speed) == said
