"""Any scikit-learn scorer on answers that were given without an estimator's predict."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import check_scoring, get_scorer_names

from skraee.estimator.checks import meant_choice

FloatArray = npt.NDArray[np.floating]
ScoringParameter = str | Callable[[Any, Any, Any], Any] | None


def score_answers(
    scoring: ScoringParameter,
    proba: FloatArray,
    y: npt.NDArray[Any],
    classes: npt.NDArray[Any],
    weights: FloatArray | None = None,
) -> float:
    """Score probabilities as if an estimator had just predicted them.

    Parameters
    ----------
    scoring : str, callable or None
        As `scorer_for` takes it.
    proba : ndarray of shape (n, C)
        The answers.
    y : ndarray of shape (n,)
        The truth.
    classes : ndarray of shape (C,)
        The classes, in the order of the columns of `proba`.
    weights : ndarray of shape (n,), optional
        Of the texts in the accuracy, where `scoring` is None; other scorers take none.

    Returns
    -------
    float
        The higher, the better; NaN where the metric is not defined.

    Raises
    ------
    ValueError
        If the scorer wants more of an estimator than its answers.
    TypeError
        If the scorer returns no number.

    Examples
    --------
    >>> import numpy as np
    >>> from skraee.estimator.metric import score_answers
    >>> proba, y = np.array([[0.9, 0.1], [0.8, 0.2]]), np.array(["no", "yes"])
    >>> score_answers("accuracy", proba, y, classes=np.array(["no", "yes"]))
    0.5
    >>> score_answers("roc_auc", proba, y, classes=np.array(["no", "yes"]))
    1.0
    """
    weighted = (
        {} if weights is None or scoring is not None else {"sample_weight": weights}
    )
    if classes.dtype == object and not isinstance(classes[0], str):
        # Of objects scikit-learn's metrics know strings only, so others are numbered.
        y, classes = np.searchsorted(classes, y), np.arange(len(classes))
    try:
        score = scorer_for(scoring)(_GivenProbabilities(classes), proba, y, **weighted)
    except AttributeError as error:
        raise ValueError(
            f"scoring={scoring!r} wants more than left-out answers ({error}); they "
            "offer predict, predict_proba and classes_, and in the place of the texts "
            "their probabilities, so search with GridSearchCV over RAEEClassifier."
        ) from error
    if not isinstance(score, numbers.Real):
        raise TypeError(
            f"scoring={scoring!r} must return one number, got {score!r} of type "
            f"{type(score).__name__}; return a float."
        )
    return float(score)


def scorer_for(scoring: ScoringParameter) -> Callable[[Any, Any, Any], Any]:
    """Return the scorer that a name or callable stands for.

    Parameters
    ----------
    scoring : str, callable or None
        A name that `sklearn.metrics.get_scorer_names` lists, a callable
        ``scorer(estimator, X, y)``, or None for the accuracy.

    Returns
    -------
    callable

    Raises
    ------
    ValueError
        If there is no scorer of this name, or a metric is given in place of a scorer.
    TypeError
        If it is neither.
    """
    if scoring is None:
        scoring = "accuracy"
    if isinstance(scoring, str) and scoring not in get_scorer_names():
        raise ValueError(
            "scoring must be a name that sklearn.metrics.get_scorer_names() lists, "
            f"got {scoring!r}; write {meant_choice(scoring, get_scorer_names())}."
        )
    if not isinstance(scoring, str) and not callable(scoring):
        raise TypeError(
            "scoring must be None, the name of one scorer or a callable "
            f"scorer(estimator, X, y), got {scoring!r} of type "
            f"{type(scoring).__name__}; make one with sklearn.metrics.make_scorer."
        )
    return check_scoring(scoring=scoring)  # type: ignore[no-any-return]


class _GivenProbabilities(ClassifierMixin, BaseEstimator):
    """A classifier that is given its own probabilities in the place of texts."""

    def __init__(self, classes: npt.NDArray[Any]) -> None:
        self.classes_ = classes

    def predict(self, proba: FloatArray) -> npt.NDArray[Any]:
        labels: npt.NDArray[Any] = self.classes_[proba.argmax(axis=1)]
        return labels

    def predict_proba(self, proba: FloatArray) -> FloatArray:
        return proba
