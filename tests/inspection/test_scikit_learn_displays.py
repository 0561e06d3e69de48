"""scikit-learn's own displays take our estimators as any other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    DetCurveDisplay,
    PrecisionRecallDisplay,
    RocCurveDisplay,
    confusion_matrix,
    roc_auc_score,
)
from sklearn.model_selection import LearningCurveDisplay, ValidationCurveDisplay
from sklearn.pipeline import make_pipeline

from tests.support.classifiers import early_exit, raee
from tests.support.reviews import noisy_reviews

pytestmark = pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning")

X, Y = noisy_reviews(80)
X_NEW, Y_NEW = noisy_reviews(40, seed=1)
BOTH = pytest.mark.parametrize("make", [raee, early_exit])
CURVES = [RocCurveDisplay, PrecisionRecallDisplay, DetCurveDisplay]


@BOTH
def test_calibration_is_that_of_the_probabilities(make: Any, plt: Any) -> None:
    clf = make().fit(X, Y)
    shown = CalibrationDisplay.from_estimator(clf, X_NEW, Y_NEW, n_bins=4)
    np.testing.assert_allclose(shown.y_prob, clf.predict_proba(X_NEW)[:, 1])
    assert shown.estimator_name == type(clf).__name__


@BOTH
def test_confusion_is_that_of_the_predictions(make: Any, plt: Any) -> None:
    clf = make().fit(X, Y)
    shown = ConfusionMatrixDisplay.from_estimator(clf, X_NEW, Y_NEW)
    expected = confusion_matrix(Y_NEW, clf.predict(X_NEW))
    np.testing.assert_array_equal(shown.confusion_matrix, expected)
    assert shown.display_labels.tolist() == clf.classes_.tolist()


@BOTH
@pytest.mark.parametrize("display", CURVES)
def test_curves_are_drawn_for_a_named_class(make: Any, display: Any, plt: Any) -> None:
    clf = make().fit(X, Y)
    shown = display.from_estimator(clf, X_NEW, Y_NEW, pos_label="positive")
    assert shown.figure_ is not None


def test_area_under_the_curve_is_that_of_the_probabilities(plt: Any) -> None:
    clf = early_exit().fit(X, Y)
    shown = RocCurveDisplay.from_estimator(clf, X_NEW, Y_NEW, pos_label="positive")
    area = roc_auc_score(Y_NEW == "positive", clf.predict_proba(X_NEW)[:, 1])
    assert np.ravel(shown.roc_auc)[0] == pytest.approx(area)


def test_displays_take_a_pipeline(plt: Any) -> None:
    clf = make_pipeline("passthrough", early_exit()).fit(X, Y)
    shown = ConfusionMatrixDisplay.from_estimator(clf, X_NEW, Y_NEW)
    assert shown.confusion_matrix.sum() == 40


@BOTH
def test_learning_curve_is_drawn(make: Any, plt: Any) -> None:
    shown = LearningCurveDisplay.from_estimator(
        make(), X, Y, train_sizes=[20, 40], cv=2, shuffle=True, random_state=0
    )
    assert shown.test_scores.shape == (2, 2)
    assert not np.isnan(shown.test_scores).any()


def test_validation_curve_over_tau_is_drawn(plt: Any) -> None:
    shown = ValidationCurveDisplay.from_estimator(
        raee(), X, Y, param_name="tau", param_range=[0.0, 0.9], cv=2
    )
    assert not np.isnan(shown.test_scores).any()
