"""What predictions cost, and what displays read off a fitted classifier."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from skraee.retrieval.keys import is_depth
from skraee.text.inputs import check_texts
from skraee.text.labels import check_labels
from skraee.text.template import as_template

Float64Array = npt.NDArray[np.float64]


class EarlyExit(Protocol):
    """What displays need of a fitted classifier; ours have it."""

    template: Any
    classes_: npt.NDArray[Any]
    n_layers_: int
    layer_scores_: Float64Array
    cost_: Float64Array

    def layer_proba(self, X: Any) -> npt.NDArray[np.floating]:
        """Return the probabilities (n, m + 1, C) of every depth."""

    def predict(self, X: Any, return_exit_layers: bool = False) -> Any:
        """Return classes (n,) and, if asked, exits (n,)."""

    def predict_proba(self, X: Any, return_exit_layers: bool = False) -> Any:
        """Return probabilities (n, C) and, if asked, exits (n,)."""

    def exit_layers(self, X: Any) -> Any:
        """Return exits (n,)."""

    def explain(self, text: Any) -> Any:
        """Return why a text stopped where it did."""


def mean_cost(estimator: EarlyExit, X: Any, y: Any = None) -> float:
    """Return the mean share of the model's cost that predictions of texts take.

    It is counted, not timed, and so the same on every machine. A sentence encoder of
    its own that makes the keys is not in it.

    Parameters
    ----------
    estimator : EarlyExitClassifier or RAEEClassifier
        Fitted.
    X : sequence of n str, or DataFrame
        The texts.
    y : object, optional
        Not used: with it the function is a scorer, to give to `GridSearchCV` beside
        the accuracy, as in ``scoring={"accuracy": "accuracy", "cost": mean_cost}``.

    Returns
    -------
    float

    Examples
    --------
    >>> from skraee import RAEEClassifier, toy
    >>> from skraee.inspection import mean_cost
    >>> X, y = toy.reviews(60)
    >>> clf = RAEEClassifier(toy.backbone(), "{text} it was {mask}.",
    ...                      label_words=toy.LABEL_WORDS).fit(X, y)
    >>> mean_cost(clf, X)
    0.5125
    """
    check_fitted(estimator, "mean_cost", ("exit_layers", "cost_"))
    return float(exit_costs(estimator)[estimator.exit_layers(X)].mean())


def exit_costs(estimator: EarlyExit) -> Float64Array:
    """Return the share of the model's cost at each exit (m + 1,), the key's included.

    Where the backbone's own states at a depth are the keys, all texts run to it.
    """
    costs, encoder = estimator.cost_, getattr(estimator, "encoder", None)
    if is_depth(encoder):
        return np.maximum(costs, costs[encoder])
    return costs


def texts_and_labels(
    estimator: EarlyExit, X: Any, y: Any
) -> tuple[Any, npt.NDArray[Any]]:
    """Return texts and labels as the estimator takes them; refuse what it would not.

    Raises
    ------
    ValueError
        If one is given without the other, or they do not fit together.
    """
    if X is None or y is None:
        given, missing = ("X", "y") if y is None else ("y", "X")
        raise ValueError(
            f"{given} was given without {missing}; give texts and their classes, or "
            "neither."
        )
    samples = check_texts(X, as_template(estimator.template).fields)
    return samples, check_labels(y, len(samples))


def check_fitted(estimator: Any, who: str, needed: tuple[str, ...]) -> None:
    """Refuse an estimator that is not fitted, or none of ours.

    Raises
    ------
    TypeError
        If it lacks what is needed.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    """
    if not hasattr(estimator, "fit"):
        missing = ["fit"]
    else:
        check_is_fitted(estimator)
        missing = [name for name in needed if not hasattr(estimator, name)]
    if missing:
        raise TypeError(
            f"{who} takes a fitted EarlyExitClassifier, RAEEClassifier or the like, "
            f"got {type(estimator).__name__}, which has no {missing[0]}; of a Pipeline "
            "or search give the classifier in it."
        )


def deepest_exit(estimator: Any) -> int | None:
    """Return the exit that fit chose as the deepest, where it decides."""
    given = getattr(estimator, "threshold", None) is not None
    if given and getattr(estimator, "budget", None) is None:
        return None
    return getattr(estimator, "max_exit_", None)
