"""How well each depth of the model answers by itself."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from skraee.estimator.metric import ScoringParameter, score_answers
from skraee.inspection import drawing
from skraee.inspection.costs import (
    EarlyExit,
    check_fitted,
    deepest_exit,
    texts_and_labels,
)


class LayerScoreDisplay:
    """The score of each depth, if all texts stopped there.

    Look at it before anything else: where the last depths are no better than the middle
    ones, early exit loses nothing; where all are poor, another template or backbone is
    the way. The classifier itself stands where texts stop on average: above the line it
    gains by stopping them at different depths.

    Parameters
    ----------
    fit_scores : array-like of shape (m + 1,), optional
        On the texts of fit: `layer_scores_`.
    scores : array-like of shape (m + 1,), optional
        On other texts. One of the two is needed.
    mean_exit : float, optional
        Mean exit layer of the classifier.
    score : float, optional
        Its score.
    max_exit : int, optional
        The deepest exit that `fit` has chosen.
    score_name : str, default="accuracy"
        What the scores are.
    estimator_name : str, optional
        For the title.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        Of the texts of fit and of the others, as far as given, after `plot`.
    point_ : matplotlib Line2D or None
        The classifier.
    ax_ : matplotlib Axes
        That it is drawn on.
    figure_ : matplotlib Figure
        That the axes are in.

    Raises
    ------
    ValueError
        If there are no scores, or of different numbers of depths.

    See Also
    --------
    ExitLayerDisplay : Which texts stop at which depth.

    Examples
    --------
    >>> from skraee import EarlyExitClassifier, toy
    >>> from skraee.inspection import LayerScoreDisplay
    >>> X, y = toy.reviews(60)
    >>> clf = EarlyExitClassifier(toy.backbone(), threshold=0.9).fit(X, y)
    >>> shown = LayerScoreDisplay.from_estimator(clf)
    >>> print(shown.fit_scores.round(2))
    [1. 1. 1. 1. 1.]
    """

    lines_: list[Any]
    point_: Any
    ax_: Any
    figure_: Any

    def __init__(
        self,
        fit_scores: npt.ArrayLike | None = None,
        scores: npt.ArrayLike | None = None,
        *,
        mean_exit: float | None = None,
        score: float | None = None,
        max_exit: int | None = None,
        score_name: str = "accuracy",
        estimator_name: str | None = None,
    ) -> None:
        self.fit_scores = None if fit_scores is None else np.asarray(fit_scores)
        self.scores = None if scores is None else np.asarray(scores)
        self.mean_exit = mean_exit
        self.score = score
        self.max_exit = max_exit
        self.score_name = score_name
        self.estimator_name = estimator_name
        self.n_layers = self._last_layer()

    @classmethod
    def from_estimator(
        cls,
        estimator: EarlyExit,
        X: Any = None,
        y: Any = None,
        *,
        scoring: ScoringParameter = "accuracy",
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Score every depth of a fitted classifier and plot.

        Parameters
        ----------
        estimator : EarlyExitClassifier, RAEEClassifier or RAEEClassifierCV
            Fitted.
        X : sequence of n str, or DataFrame, optional
            Texts to score; without any only what `fit` found is shown, and no model
            runs.
        y : array-like of shape (n,), optional
            Their classes.
        scoring : str, callable or None, default="accuracy"
            The name of a scikit-learn scorer, or a callable ``scorer(estimator, X, y)``
            that asks for answers only; None is the accuracy. What `fit` found is
            accuracy, and left out where another score is asked for.
        name : str, optional
            For the title; the estimator's class by default.
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.
        **kwargs : object
            Of the lines, as for `plot`.

        Returns
        -------
        LayerScoreDisplay

        Raises
        ------
        ValueError
            If another score than the accuracy is asked for without texts.
        """
        check_fitted(estimator, cls.__name__, ("layer_proba", "layer_scores_"))
        is_accuracy = scoring in (None, "accuracy")
        shared: dict[str, Any] = {
            "fit_scores": estimator.layer_scores_ if is_accuracy else None,
            "max_exit": deepest_exit(estimator),
            "score_name": _name_of(scoring),
            "estimator_name": type(estimator).__name__,
        }
        if X is not None or y is not None:
            shown = cls(**shared, **_on_texts(estimator, X, y, scoring))
        elif is_accuracy:
            shown = cls(**shared, **_of_search(estimator))
        else:
            raise ValueError(
                f"scoring={scoring!r} needs texts, as fit has kept the accuracy only; "
                "give X and y."
            )
        return shown.plot(ax, name=name, **kwargs)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.
        name : str, optional
            Of the classifier, for the title; `estimator_name` by default.
        **kwargs : object
            What ``Axes.plot`` takes, for all lines.

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
        title = drawing.titled("Layer scores", name)
        ax.set(ylabel=self.score_name, title=title)
        self.lines_ = [
            ax.plot(np.arange(len(scores)), scores, **{**look, **kwargs})[0]
            for scores, look in ((self.fit_scores, _FIT), (self.scores, _GIVEN))
            if scores is not None
        ]
        self._mark(ax)
        seen = (self.fit_scores, self.scores, self.score)
        ax.set_ylim(*drawing.limits_around(*seen))
        drawing.make_room_for_legend(ax)
        return self

    def _mark(self, ax: Any) -> None:
        """Mark the classifier, and the deepest of its exits."""
        self.point_ = None
        if self.mean_exit is not None and self.score is not None:
            (self.point_,) = ax.plot(
                self.mean_exit,
                self.score,
                linestyle="none",
                marker="*",
                markersize=14,
                color=drawing.VERMILION,
                markeredgecolor="white",
                label=f"early exit: {self.score:.3f}, mean exit {self.mean_exit:.1f}",
            )
        if self.max_exit is not None and self.max_exit < self.n_layers:
            ax.axvline(
                self.max_exit,
                color=drawing.GREY,
                linestyle=":",
                label=f"deepest exit {self.max_exit}",
            )

    def _last_layer(self) -> int:
        given = [s for s in (self.fit_scores, self.scores) if s is not None]
        if not given:
            raise ValueError("there is nothing to plot; give fit_scores or scores.")
        shapes = [scores.shape for scores in given]
        if shapes[0] != shapes[-1] or len(shapes[0]) != 1:
            raise ValueError(
                f"scores must be one number for each depth, got the shapes {shapes}; "
                "give arrays as layer_scores_ is one."
            )
        return len(given[0]) - 1


_FIT = {
    "color": drawing.GREY,
    "marker": "s",
    "markersize": 4,
    "linestyle": "--",
    "label": "texts of fit",
}
_GIVEN = {"color": drawing.BLUE, "marker": "o", "markersize": 4, "label": "given texts"}


def _on_texts(
    estimator: EarlyExit, X: Any, y: Any, scoring: ScoringParameter
) -> dict[str, Any]:
    """Return what each depth and the classifier score on texts."""
    X, labels = texts_and_labels(estimator, X, y)
    proba = estimator.layer_proba(X)
    at_exit, exits = estimator.predict_proba(X, return_exit_layers=True)

    def scored(answers: npt.NDArray[np.floating]) -> float:
        return score_answers(scoring, answers, labels, estimator.classes_)

    return {
        "scores": [scored(proba[:, depth]) for depth in range(proba.shape[1])],
        "score": scored(at_exit),
        "mean_exit": float(np.mean(exits)),
    }


def _of_search(estimator: Any) -> dict[str, Any]:
    """Return what `RAEEClassifierCV` knows of its choice, if its score is accuracy."""
    results = getattr(estimator, "cv_results_", None)
    if results is None or estimator.scoring not in (None, "accuracy"):
        return {}
    place = results["params"].index(estimator.best_params_)
    return {
        "mean_exit": float(results["mean_exit_layer"][place]),
        "score": estimator.best_score_,
    }


def _name_of(scoring: ScoringParameter) -> str:
    """Return a scorer's name as an axis shows it."""
    name = "accuracy" if scoring is None else scoring
    if not isinstance(name, str):
        name = getattr(name, "__name__", None) or "score"
    return drawing.plain(name.replace("_", " "))
