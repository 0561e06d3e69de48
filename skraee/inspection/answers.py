"""What a classifier answers labelled texts: one pass, of which all else is made."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from skraee.exceptions import InputWarning, UndecidedWarning
from skraee.inspection.costs import (
    EarlyExit,
    check_fitted,
    exit_costs,
    texts_and_labels,
)
from skraee.text.inputs import Texts

IntArray = npt.NDArray[np.int64]

# Texts that are answered before the clock starts: what is loaded once is loaded then.
_N_WARM = 8


@dataclass(frozen=True, eq=False)
class Answers:
    """Labelled texts, and what came of them.

    Attributes
    ----------
    samples : Texts
        The n texts.
    names : list of object
        The C classes of the classifier, then others that only the labels have.
    codes : ndarray of shape (n,), int
        The place of each label in `names`.
    proba : ndarray of shape (n, C)
        Probabilities of the classes.
    exits : ndarray of shape (n,), int
        Where each text stopped.
    n_layers : int
        Layers m of the backbone.
    costs : ndarray of shape (m + 1,)
        Share of the model's cost at each exit.
    seconds : float
        That all answers took, the backbone being loaded.
    """

    samples: Texts
    names: list[Any]
    codes: IntArray
    proba: npt.NDArray[np.floating]
    exits: IntArray
    n_layers: int
    costs: npt.NDArray[np.float64]
    seconds: float

    @classmethod
    def of(cls, estimator: EarlyExit, X: Any, y: Any, who: str) -> Self:
        """Let a fitted classifier answer texts.

        Parameters
        ----------
        estimator : EarlyExitClassifier, RAEEClassifier or a baseline
        X : sequence of n str, or DataFrame
        y : array-like of shape (n,)
        who : str
            Asks; named in errors.

        Raises
        ------
        ValueError
            If texts and labels do not fit together, or there are none.
        TypeError
            If `estimator` is none of ours.
        sklearn.exceptions.NotFittedError
            If it is not fitted.
        """
        check_fitted(estimator, who, ("predict_proba", "cost_"))
        samples, labels = texts_and_labels(estimator, X, y)
        _warm_up(estimator, samples)
        start = time.perf_counter()
        proba, exits = estimator.predict_proba(samples, return_exit_layers=True)
        seconds = time.perf_counter() - start
        names = _names(estimator.classes_, labels)
        return cls(
            samples=samples,
            names=list(names),
            codes=np.array([names[label] for label in labels.tolist()]),
            proba=proba,
            exits=exits,
            n_layers=estimator.n_layers_,
            costs=exit_costs(estimator),
            seconds=seconds,
        )

    @property
    def answers(self) -> IntArray:
        """The place of each answer in `names`."""
        answers: IntArray = self.proba.argmax(axis=1)
        return answers

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Which answers are right."""
        right: npt.NDArray[np.bool_] = self.answers == self.codes
        return right


def _warm_up(estimator: EarlyExit, samples: Texts) -> None:
    """Answer the first few texts; what there is to warn of them is told later."""
    few = [text for text, _ in zip(samples, range(_N_WARM), strict=False)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndecidedWarning)
        warnings.simplefilter("ignore", InputWarning)
        estimator.predict(Texts([list(column) for column in zip(*few, strict=True)]))


def _names(classes: npt.NDArray[Any], labels: npt.NDArray[Any]) -> dict[Any, int]:
    """Return the place of each class; those that only the labels have come last."""
    known = dict.fromkeys([*classes.tolist(), *labels.tolist()])
    return {name: place for place, name in enumerate(known)}
