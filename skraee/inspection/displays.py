"""Plots of a fitted classifier (extra ``plot``)."""

from __future__ import annotations

from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from skraee.text.inputs import check_texts
from skraee.text.labels import check_labels
from skraee.text.template import as_template


class EarlyExit(Protocol):
    """What is plotted of a fitted classifier."""

    template: Any
    classes_: npt.NDArray[Any]

    def layer_proba(self, X: Any) -> npt.NDArray[np.floating]:
        """Return the probabilities (n, m + 1, C) of every depth."""

    def predict(self, X: Any, return_exit_layers: bool = False) -> Any:
        """Return classes (n,) and, if asked, exits (n,)."""


class ExitLayerDisplay:
    """Where texts stop, over the accuracy that each layer has on its own.

    The bars are the classifier's exits; the line is what the model would score if every
    text stopped at the same layer. Early exit gains where the texts of one layer are
    not those of another.

    Parameters
    ----------
    exit_layers : ndarray of shape (n,), int
        Exits of n texts.
    layer_scores : ndarray of shape (m + 1,)
        Accuracy of each depth.
    score : float, optional
        Accuracy of the classifier on the same texts.

    Attributes
    ----------
    ax_ : matplotlib Axes
        With the bars, after `plot`.
    figure_ : matplotlib Figure
        That the axes are in.
    line_ : matplotlib Line2D
        The accuracy of each layer.

    Examples
    --------
    >>> import numpy as np
    >>> from skraee.inspection import ExitLayerDisplay
    >>> shown = ExitLayerDisplay(np.array([1, 2, 2]), np.array([0.5, 0.7, 0.8]))
    >>> shown.plot()  # doctest: +SKIP
    """

    def __init__(
        self,
        exit_layers: npt.NDArray[np.integer],
        layer_scores: npt.NDArray[np.floating],
        score: float | None = None,
    ) -> None:
        self.exit_layers = exit_layers
        self.layer_scores = layer_scores
        self.score = score

    @classmethod
    def from_estimator(
        cls, estimator: EarlyExit, X: Any, y: Any, *, ax: Any = None
    ) -> Self:
        """Run a fitted classifier on labelled texts and plot.

        Parameters
        ----------
        estimator : EarlyExitClassifier or RAEEClassifier
            Fitted; or any other with `layer_proba` and `predict`.
        X : sequence of n str, or DataFrame
            The texts.
        y : array-like of shape (n,)
            Their classes.
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        ExitLayerDisplay
        """
        X = check_texts(X, as_template(estimator.template).fields)
        labels = check_labels(y, len(X))
        proba = estimator.layer_proba(X)
        answers = estimator.classes_[proba.argmax(axis=2)]
        predicted, exits = estimator.predict(X, return_exit_layers=True)
        scores = (answers == labels[:, None]).mean(axis=0)
        score = float((predicted == labels).mean())
        return cls(exits, scores, score).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        self

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        if ax is None:
            _, ax = _pyplot().subplots(figsize=(7, 3.5), layout="constrained")
        depths = np.arange(len(self.layer_scores))
        counts = np.bincount(self.exit_layers, minlength=len(depths))
        ax.bar(depths, counts / max(1, counts.sum()), color="#9ecae1", label="exits")
        ax.set(xlabel="layer", ylabel="share of texts that stop here")
        ax.xaxis.get_major_locator().set_params(integer=True)
        beside = ax.twinx()
        (self.line_,) = beside.plot(
            depths, self.layer_scores, color="#d94801", marker=".", label="layer alone"
        )
        if self.score is not None:
            beside.axhline(
                self.score, color="#08519c", linestyle="--", label="early exit"
            )
        beside.set(ylabel="accuracy", ylim=(0, 1))
        handles = [*ax.get_legend_handles_labels()[0], *beside.lines]
        beside.legend(
            handles, [str(h.get_label()) for h in handles], loc="lower center"
        )
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "plots need matplotlib; install it with: pip install 'skraee[plot]'"
        ) from error
    return plt
