"""Where texts stop, and which of them are answered rightly."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from skraee.inspection import drawing
from skraee.inspection.costs import EarlyExit, check_fitted, texts_and_labels
from skraee.text.labels import check_labels


class ExitLayerDisplay:
    """Where texts stop, right and wrong answers apart, over each layer's accuracy.

    The bars are the classifier's exits; the line is what the model would score if every
    text stopped at the same layer. Early exit gains where the texts of one layer are
    not those of another. Many wrong answers at an early layer say to raise `min_exit`.

    Parameters
    ----------
    exit_layers : array-like of shape (n,), int
        Exits of n texts.
    layer_scores : array-like of shape (m + 1,), optional
        Accuracy of each depth, for the line.
    score : float, optional
        Accuracy of the classifier on the same texts; by default that of `right`.
    right : array-like of bool of shape (n,), optional
        Which texts are answered rightly; without it bars are of one colour.
    n_layers : int, optional
        Number of layers m; by default what `layer_scores` or the deepest exit says.
    estimator_name : str, optional
        For the title.

    Attributes
    ----------
    bars_ : list of matplotlib BarContainer
        Of right and of wrong answers, or of all, after `plot`.
    mean_line_ : matplotlib Line2D
        At the mean exit.
    line_ : matplotlib Line2D or None
        The accuracy of each layer, where it was given.
    ax_ : matplotlib Axes
        With the bars.
    figure_ : matplotlib Figure
        That the axes are in.

    Raises
    ------
    ValueError
        If the arrays do not fit together, or there is no text.

    See Also
    --------
    LayerScoreDisplay : The score of each depth alone.

    Examples
    --------
    >>> from skraee import EarlyExitClassifier, toy
    >>> from skraee.inspection import ExitLayerDisplay
    >>> X, y = toy.reviews(60)
    >>> clf = EarlyExitClassifier(toy.backbone(), threshold=0.9).fit(X, y)
    >>> shown = ExitLayerDisplay.from_estimator(clf, X, y)
    >>> print(shown.ax_.get_title())
    Exit layers of EarlyExitClassifier
    """

    bars_: list[Any]
    mean_line_: Any
    line_: Any
    ax_: Any
    figure_: Any

    def __init__(
        self,
        exit_layers: npt.ArrayLike,
        layer_scores: npt.ArrayLike | None = None,
        score: float | None = None,
        *,
        right: npt.ArrayLike | None = None,
        n_layers: int | None = None,
        estimator_name: str | None = None,
    ) -> None:
        self.exit_layers = np.asarray(exit_layers)
        self.layer_scores = None if layer_scores is None else np.asarray(layer_scores)
        self.right = None if right is None else np.asarray(right, dtype=bool)
        if score is None and self.right is not None and len(self.right):
            score = float(self.right.mean())
        self.score = score
        self.n_layers = self._last_layer(n_layers)
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls,
        estimator: EarlyExit,
        X: Any,
        y: Any,
        *,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Run a fitted classifier on labelled texts and plot.

        Parameters
        ----------
        estimator : EarlyExitClassifier or RAEEClassifier
            Fitted; or any other with `layer_proba`, `predict` and `classes_`.
        X : sequence of n str, or DataFrame
            The texts; every one runs to the full depth, for the line.
        y : array-like of shape (n,)
            Their classes.
        name : str, optional
            For the title; the estimator's class by default.
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.
        **kwargs : object
            Of the bars, as for `plot`.

        Returns
        -------
        ExitLayerDisplay
        """
        check_fitted(estimator, cls.__name__, ("layer_proba", "predict", "classes_"))
        X, labels = texts_and_labels(estimator, X, y)
        answers = estimator.classes_[estimator.layer_proba(X).argmax(axis=2)]
        predicted, exits = estimator.predict(X, return_exit_layers=True)
        shown = cls(
            exits,
            (answers == labels[:, None]).mean(axis=0),
            right=predicted == labels,
            estimator_name=type(estimator).__name__,
        )
        return shown.plot(ax, name=name, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        exit_layers: npt.ArrayLike,
        *,
        n_layers: int | None = None,
        layer_scores: npt.ArrayLike | None = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Plot what `predict` with ``return_exit_layers=True`` has returned.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            The texts' classes.
        y_pred : array-like of shape (n,)
            What was predicted.
        exit_layers : array-like of shape (n,), int
            Where the texts stopped.
        n_layers : int, optional
            Number of layers m, `n_layers_` of the estimator; by default the deepest
            exit.
        layer_scores : array-like of shape (m + 1,), optional
            Accuracy of each depth on these texts, for the line.
        name : str, optional
            Of the classifier, for the title.
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.
        **kwargs : object
            Of the bars, as for `plot`.

        Returns
        -------
        ExitLayerDisplay

        Examples
        --------
        >>> from skraee.inspection import ExitLayerDisplay
        >>> shown = ExitLayerDisplay.from_predictions(
        ...     ["a", "b", "b"], ["a", "b", "a"], [0, 2, 2], n_layers=4)
        >>> print(shown.right, round(shown.score, 2))
        [ True  True False] 0.67
        """
        exits = np.asarray(exit_layers)
        right = check_labels(y_pred, len(exits)) == check_labels(y_true, len(exits))
        shown = cls(
            exits,
            layer_scores,
            right=right,
            n_layers=n_layers,
            estimator_name=name,
        )
        return shown.plot(ax, **kwargs)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.
        name : str, optional
            Of the classifier, for the title; `estimator_name` by default.
        **kwargs : object
            What ``Axes.bar`` takes, for all bars.

        Returns
        -------
        self

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self.ax_ = ax = drawing.axes_for(ax)
        self.figure_ = ax.figure
        name = self.estimator_name if name is None else name
        drawing.label_depths(ax, self.n_layers)
        ax.set(ylabel="share of the texts", title=drawing.titled("Exit layers", name))
        highest = self._draw_bars(ax, kwargs)
        ax.set_ylim(0, 1.05 * highest)
        mean = float(self.exit_layers.mean())
        self.mean_line_ = ax.axvline(
            mean, color=drawing.BLACK, linestyle=":", label=f"mean exit {mean:.1f}"
        )
        drawing.make_room_for_legend(ax, self._draw_scores(ax))
        return self

    def _draw_bars(self, ax: Any, kwargs: dict[str, Any]) -> float:
        """Draw the bars, right answers below wrong ones; return the highest."""
        depths = np.arange(self.n_layers + 1)
        parts = [("exits", np.ones(len(self.exit_layers), bool), _RIGHT)]
        if self.right is not None:
            parts = [("right", self.right, _RIGHT), ("wrong", ~self.right, _WRONG)]
        self.bars_, below = [], np.zeros(len(depths))
        for label, among, look in parts:
            counts = np.bincount(self.exit_layers[among], minlength=len(depths))
            heights = counts / len(self.exit_layers)
            drawn = {**look, "bottom": below, "label": label, **kwargs}
            self.bars_.append(ax.bar(depths, heights, **drawn))
            below = below + heights
        return float(below.max())

    def _draw_scores(self, ax: Any) -> Any:
        """Draw accuracies on an axis of their own; return it, or None without any."""
        self.line_ = None
        if self.layer_scores is None and self.score is None:
            return None
        beside = ax.twinx()
        beside.set(ylabel="accuracy", ylim=(0, 1.02))
        if self.layer_scores is not None:
            (self.line_,) = beside.plot(
                np.arange(len(self.layer_scores)),
                self.layer_scores,
                color=drawing.BLACK,
                marker=".",
                label="each layer alone",
            )
        if self.score is not None:
            beside.axhline(
                self.score,
                color=drawing.BLUE,
                linestyle="--",
                label=f"early exit {self.score:.3f}",
            )
        return beside

    def _last_layer(self, n_layers: int | None) -> int:
        """Return the number of layers; refuse arrays that do not fit together."""
        exits, scores = self.exit_layers, self.layer_scores
        if exits.ndim != 1 or len(exits) == 0 or exits.dtype.kind not in "iu":
            raise ValueError(
                "exit_layers must hold a whole number for each of at least one text, "
                f"got an array of shape {exits.shape} and dtype {exits.dtype}; give "
                "what exit_layers(X) returns."
            )
        if self.right is not None and self.right.shape != exits.shape:
            raise ValueError(
                f"right must say for each of the {len(exits)} texts whether it is "
                f"answered rightly, got shape {self.right.shape}; give one for each."
            )
        if n_layers is None:
            n_layers = int(exits.max()) if scores is None else len(scores) - 1
        if exits.min() < 0 or exits.max() > n_layers:
            wrong = exits.min() if exits.min() < 0 else exits.max()
            raise ValueError(
                f"exit_layers must lie between 0 and {n_layers}, the number of layers, "
                f"got {wrong}; give n_layers of the model."
            )
        if scores is not None and scores.shape != (n_layers + 1,):
            raise ValueError(
                f"layer_scores must hold one score for each depth 0 to {n_layers}, got "
                f"shape {scores.shape}; give layer_scores_ of the same classifier."
            )
        return n_layers


_RIGHT = {"color": drawing.SKY, "edgecolor": "white", "linewidth": 0.5}
_WRONG = {**_RIGHT, "color": drawing.VERMILION, "hatch": "////"}
