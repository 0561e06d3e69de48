"""What every classifier of texts here shows scikit-learn."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted

from skraee.engine.run import Run
from skraee.estimator.display import NotebookMixin
from skraee.estimator.fitted import FittedTexts
from skraee.estimator.parameters import check_parameters
from skraee.exceptions import UndecidedWarning, warn_user
from skraee.sweep.layer_sweep import softmax
from skraee.text.inputs import Texts, check_texts, warn_of_empty
from skraee.text.labels import check_labels, warn_of_one_class
from skraee.text.template import Template, as_template
from skraee.versions import DOCS, stamped, unstamped

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Arrays = tuple[npt.NDArray[Any], ...]


class TextClassifierMixin(NotebookMixin, ClassifierMixin):
    """Tags of texts, pickles with versions, and where the documentation is.

    A fitted one has the attribute ``_fitted``. It stands before ``BaseEstimator``.
    """

    # Where the "?" of scikit-learn's HTML display leads.
    _doc_link_module = "skraee"
    _doc_link_template = DOCS and f"{DOCS}/api.html#skraee.{{estimator_name}}"

    template: str | Template
    classes_: npt.NDArray[Any]
    _fitted: FittedTexts

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

    def exit_layers(self, X: Any) -> npt.NDArray[Any]:
        """Return the depth at which each text stops: how many layers it runs.

        Parameters
        ----------
        X : sequence of n str, or DataFrame
            The texts.

        Returns
        -------
        exit_layers : ndarray of shape (n,)
        """
        return self._answer(X, lambda _, exits: (exits,))[0]

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

    def _runs(self, X: Any) -> tuple[int, Iterator[Run]]:
        """Return how many texts there are, and their runs, some after the other."""
        raise NotImplementedError

    def _setting(self) -> dict[str, Any]:
        """Return the parameters that predict cannot change any more."""
        raise NotImplementedError

    def _answer(self, X: Any, read: Callable[..., Arrays]) -> Arrays:
        """Return what is read off the probabilities and exits; for public methods."""
        n_texts, runs = self._runs(X)
        undecided = array("q")

        def answers() -> Iterator[Arrays]:
            n_done = 0
            for run in runs:
                undecided.extend((n_done + np.flatnonzero(run.undecided)).tolist())
                n_done += len(run.exits)
                yield read(softmax(run.scores), run.exits)

        proba = np.zeros((0, len(self.classes_)), dtype=np.float32)
        nothing = read(proba, np.zeros(0, dtype=np.int64))
        found = gathered(n_texts, answers(), nothing)
        if undecided:
            message = _undecided_message(undecided)
            warn_user(message, UndecidedWarning)
        return found

    def _check_parameters(self) -> None:
        """Refuse values that no data could make right; a subclass may check more."""
        check_parameters(self.get_params(deep=False))

    def _check_fitted(self) -> None:
        """Refuse to go on unfitted, or with parameters that do not suit the fit."""
        check_is_fitted(self)
        self._check_parameters()
        self._fitted.check_setting(self._setting())

    def _labelled(self, X: Any, y: Any) -> tuple[Texts, IntArray, npt.NDArray[Any]]:
        """Return texts, class codes and classes; refuse what no backbone could mend."""
        samples = check_texts(X, self._template().fields)
        labels = check_labels(y, len(samples))
        classes, codes = np.unique(labels, return_inverse=True)
        self._check_classes(labels, classes)
        warn_of_empty(samples)
        warn_of_one_class(classes)
        return samples, codes, classes

    def _check_classes(
        self, labels: npt.NDArray[Any], classes: npt.NDArray[Any]
    ) -> None:
        """Refuse parameters that do not suit these labels; a subclass may."""

    def _texts(self, X: Any) -> Texts:
        """Return the texts of X, for the template of the fit."""
        fields = self._fitted.sweep_settings.template.fields
        return check_texts(X, fields, allow_empty=True)

    def _keep(self, fitted: FittedTexts, **attributes: Any) -> None:
        """Take over at once what fit found; nothing of an earlier fit stays.

        All in one assignment: Ctrl-C comes before it or after it, and threads that
        predict see one fit or the other.
        """
        earlier = self._fitted.attributes if self.__sklearn_is_fitted__() else ()
        fitted = replace(fitted, attributes=tuple(attributes))
        kept = {name: it for name, it in vars(self).items() if name not in earlier}
        self.__dict__ = {**kept, **attributes, "_fitted": fitted}

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


def gathered(n_rows: int, chunks: Iterable[Arrays], nothing: Arrays) -> Arrays:
    """Join arrays that come chunk by chunk, and keep none of the chunks.

    What is kept from every chunk would lie about between what the next ones take and
    let go of, so that this could not go back to the system.

    Parameters
    ----------
    n_rows : int
        Rows of all chunks together.
    chunks : iterable of tuple of ndarray
        Each with as many rows in all of its arrays.
    nothing : tuple of ndarray
        The outcome where there is no chunk.

    Returns
    -------
    tuple of ndarray
    """
    whole, n_done = nothing, 0
    for chunk in chunks:
        if n_done == 0:
            whole = tuple(np.empty((n_rows, *a.shape[1:]), a.dtype) for a in chunk)
        rows = slice(n_done, n_done + len(chunk[0]))
        for array_, some in zip(whole, chunk, strict=True):
            array_[rows] = some
        n_done = rows.stop
    return whole


def _undecided_message(positions: array[int]) -> str:
    first = ", ".join(map(str, positions[:5]))
    more = ", ..." if len(positions) > 5 else ""
    return (
        f"{len(positions)} text(s) had no neighbour that was answered rightly at any "
        f"layer it may vote for and ran the whole model (positions {first}{more}); "
        "raise k, lower tau or min_exit, or use below_tau='top3'."
    )
