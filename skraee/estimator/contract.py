"""What every classifier of texts here shows scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import starmap
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score

from skraee.text.labels import check_labels
from skraee.text.template import Template, as_template
from skraee.versions import DOCS, stamped, unstamped

Float32Array = npt.NDArray[np.float32]
Arrays = tuple[npt.NDArray[Any], ...]
#: Probabilities (n, C) and exits (n,) of some texts.
Answer = tuple[Float32Array, npt.NDArray[Any]]


class TextClassifierMixin(ClassifierMixin):
    """Tags of texts, pickles with versions, and where the documentation is.

    A fitted one has the attribute ``_fitted``. It stands before ``BaseEstimator``.
    """

    # Where the "?" of scikit-learn's HTML display leads.
    _doc_link_module = "skraee"
    _doc_link_template = DOCS and f"{DOCS}/api.html#skraee.{{estimator_name}}"

    template: str | Template
    classes_: npt.NDArray[Any]

    def predict(self, X: Any, return_exit_layers: bool = False) -> Any:
        """Classify texts, each with as many layers as it needs.

        Parameters
        ----------
        X : sequence of n str, or DataFrame
            The texts. They are worked on 1,024 at a time: of the others only what is
            returned is held.
        return_exit_layers : bool, default=False
            Whether to return the exits too.

        Returns
        -------
        labels : ndarray of shape (n,)
        exit_layers : ndarray of shape (n,)
            Only if `return_exit_layers`.

        Warns
        -----
        UndecidedWarning
            If neighbours decide about exits and none of some texts was answered
            rightly; these ran all layers.
        """

        def read(proba: Float32Array, exits: npt.NDArray[Any]) -> Arrays:
            labels = self.classes_[proba.argmax(axis=1)]
            return (labels, exits) if return_exit_layers else (labels,)

        found = self._answer(X, read)
        return found if return_exit_layers else found[0]

    def predict_proba(self, X: Any, return_exit_layers: bool = False) -> Any:
        """Return the classes' probabilities at each text's exit.

        Parameters
        ----------
        X : sequence of n str, or DataFrame
            The texts.
        return_exit_layers : bool, default=False
            Whether to return the exits too.

        Returns
        -------
        proba : ndarray of shape (n, C)
            In the order of `classes_`.
        exit_layers : ndarray of shape (n,)
            Only if `return_exit_layers`.
        """
        found = self._answer(X, lambda *both: both if return_exit_layers else both[:1])
        return found if return_exit_layers else found[0]

    def predict_log_proba(self, X: Any) -> npt.NDArray[np.floating]:
        """Return the logarithms of `predict_proba`.

        Parameters
        ----------
        X : sequence of n str, or DataFrame
            The texts.

        Returns
        -------
        log_proba : ndarray of shape (n, C)
        """
        found: npt.NDArray[np.floating]
        (found,) = self._answer(X, lambda proba, _: (proba,))
        with np.errstate(divide="ignore"):
            np.log(found, out=found)
        return found

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy on labelled texts.

        Parameters
        ----------
        X : sequence of n str, or DataFrame
            The texts.
        y : array-like of shape (n,)
            Their classes, of any type that `fit` takes.
        sample_weight : array-like of shape (n,), optional
            Weights of the texts.

        Returns
        -------
        float
        """
        predicted = self.predict(X)
        right = predicted == check_labels(y, len(predicted))
        # Of the labels themselves scikit-learn's metrics would take fewer types.
        everything = np.ones(len(right), dtype=bool)
        return float(accuracy_score(everything, right, sample_weight=sample_weight))

    def _answers(self, X: Any) -> tuple[int, Iterator[Answer]]:
        """Return how many texts there are, and the answers to some after the other."""
        raise NotImplementedError

    def _answer(self, X: Any, read: Callable[..., Arrays]) -> Arrays:
        """Return what is read off the probabilities and exits of all texts."""
        n_texts, answers = self._answers(X)
        proba = np.zeros((0, len(self.classes_)), dtype=np.float32)
        nothing = read(proba, np.zeros(0, dtype=np.int64))
        return gathered(n_texts, starmap(read, answers), nothing)

    def __getstate__(self) -> dict[str, Any]:
        return stamped(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(unstamped(state, type(self).__name__))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_fitted")

    def _template(self) -> Template:
        return as_template(self.template)


def gathered(n_rows: int, parts: Iterable[Arrays], nothing: Arrays) -> Arrays:
    """Join arrays that come part by part, and keep none of the parts.

    What is kept from every part would lie about between what the next ones take and
    let go of, so that this could not go back to the system.

    Parameters
    ----------
    n_rows : int
        Rows of all parts together.
    parts : iterable of tuple of ndarray
        Each with as many rows in all of its arrays.
    nothing : tuple of ndarray
        The outcome where there is no part.

    Returns
    -------
    tuple of ndarray
    """
    whole, n_done = nothing, 0
    for part in parts:
        if n_done == 0:
            whole = tuple(np.empty((n_rows, *a.shape[1:]), a.dtype) for a in part)
        rows = slice(n_done, n_done + len(part[0]))
        for array, some in zip(whole, part, strict=True):
            array[rows] = some
        n_done = rows.stop
    return whole
