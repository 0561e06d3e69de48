"""Parameters and inputs that are refused, and what that leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skraee.baselines import (
    AdaInferClassifier,
    CALMClassifier,
    DeeBERTClassifier,
    FullDepthClassifier,
)
from tests.baselines.classifiers import OURS, X_NEW, X, Y, toy_classifier

COMMON = [
    ({"max_length": 0}, ValueError, "max_length must be at least 1, got 0"),
    ({"max_length": 2.5}, TypeError, "max_length must be a whole number, got 2.5"),
    ({"batch_tokens": 0}, ValueError, "batch_tokens must be 'auto' or .*, got 0"),
    ({"backbone": 3}, TypeError, "backbone must be a hub name, .* got int"),
    ({"template": "no field"}, ValueError, "must have a place for the text"),
]
MEMORY = [({"memory": 3}, TypeError, "memory must be 'process', None, .* got int")]
WORDED = [
    ({"label_words": {"negative": "bad"}}, ValueError, "no word for 'positive'"),
    ({"template": "{text}"}, ValueError, "must have a mask"),
]
REFUSED: dict[Any, list[tuple[dict[str, Any], Any, str]]] = {
    FullDepthClassifier: [*COMMON, *WORDED],
    DeeBERTClassifier: [
        *COMMON,
        *MEMORY,
        ({"threshold": -0.1}, ValueError, "threshold must be at least 0, got -0.1"),
        ({"threshold": "0.3"}, TypeError, "threshold must be a number, got '0.3'"),
        ({"n_epochs": -1}, ValueError, "n_epochs must be at least 0, got -1"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ({"learning_rate": 0}, ValueError, "learning_rate must be above 0, got 0"),
        ({"max_grad_norm": 0}, ValueError, "max_grad_norm must be above 0, got 0"),
        ({"weight_decay": -1}, ValueError, "weight_decay must be at least 0, got -1"),
        ({"dropout": 1.0}, ValueError, "dropout must be .* below 1, got 1.0"),
        ({"dropout": True}, TypeError, "dropout must be a number, got True"),
    ],
    AdaInferClassifier: [
        *COMMON,
        *MEMORY,
        *WORDED,
        ({"features": "all"}, ValueError, "features must be one of 'vocab', 'labels'"),
        ({"target": 1}, ValueError, "target must be one of 'gold', 'final', got 1"),
        ({"min_exit": -1}, ValueError, "min_exit must be at least 0, got -1"),
        ({"min_exit": 5}, ValueError, "min_exit must be at most 4, .*, got 5"),
        ({"max_pairs": 0}, ValueError, "max_pairs must be at least 1, got 0"),
    ],
    CALMClassifier: [
        *COMMON,
        *MEMORY,
        *WORDED,
        ({"measure": "gap"}, ValueError, "measure must be one of 'vocab', 'state'"),
        ({"threshold": "auto"}, ValueError, "or 'calibrated', got 'auto'"),
        ({"threshold": None}, TypeError, "threshold must be a number, got None"),
        ({"threshold": np.nan}, ValueError, "threshold must be a number.*, got nan"),
        ({"risk": "loss"}, ValueError, "risk must be one of 'consistency'"),
        ({"delta": 0}, ValueError, "delta must lie between 0 and 1 .*, got 0"),
        ({"epsilon": 1}, ValueError, "epsilon must lie between 0 and 1 .*, got 1"),
        ({"min_exit": 5}, ValueError, "min_exit must be at most 4, .*, got 5"),
    ],
}


@pytest.mark.parametrize(
    ("cls", "change", "error", "message"),
    [(cls, *row) for cls, rows in REFUSED.items() for row in rows],
)
def test_refused_parameters_leave_the_estimator_as_it_was(
    cls: Any, change: dict[str, Any], error: Any, message: str
) -> None:
    clf = toy_classifier(cls).fit(X[:10], Y[:10])
    clf.set_params(**change)
    before = dict(vars(clf))
    with pytest.raises(error, match=message):
        clf.fit(X, Y)
    assert vars(clf).keys() == before.keys()
    assert all(vars(clf)[name] is value for name, value in before.items())
    with pytest.raises(error, match=message):
        toy_classifier(cls, **change).fit(X, Y)


@pytest.mark.parametrize("cls", OURS)
def test_texts_and_labels_that_do_not_fit_are_refused(cls: Any) -> None:
    with pytest.raises(ValueError, match="same length"):
        toy_classifier(cls).fit(X, Y[:-1])
    with pytest.raises(ValueError, match="must hold only strings"):
        toy_classifier(cls).fit([*X[:-1], 3], Y)
    clf = toy_classifier(cls).fit(X, Y)
    with pytest.raises(ValueError, match="one string"):
        clf.predict("a film")


@pytest.mark.parametrize(
    ("cls", "change"),
    [
        (AdaInferClassifier, {"features": "labels"}),
        (AdaInferClassifier, {"min_exit": 2}),
        (CALMClassifier, {"threshold": "calibrated"}),
    ],
)
def test_parameters_that_predict_cannot_follow_are_refused(
    cls: Any, change: dict[str, Any]
) -> None:
    clf = toy_classifier(cls).fit(X, Y).set_params(**change)
    (name,) = change
    with pytest.raises(ValueError, match=f"{name} was .* at fit and is .* now"):
        clf.predict(X_NEW)


def test_a_calibrated_threshold_goes_with_the_next_fit() -> None:
    loose = {"threshold": "calibrated", "delta": 0.9, "epsilon": 0.9}
    clf = toy_classifier(CALMClassifier, **loose).fit(X, Y)
    assert hasattr(clf, "threshold_")
    clf.set_params(measure="state")
    with pytest.raises(ValueError, match="measure was 'vocab' at fit"):
        clf.predict(X_NEW)
    clf.set_params(threshold=0.5).fit(X, Y)
    assert not hasattr(clf, "threshold_")
    assert set(clf.set_params(threshold=2.0).exit_layers(X_NEW)) == {4}
