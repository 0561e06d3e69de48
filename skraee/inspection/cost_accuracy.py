"""What accuracy costs: exits of one classifier, and others beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from skraee.inspection import drawing
from skraee.inspection.arrays import Points, check_lengths, checked_points, vector
from skraee.inspection.candidates import candidates, of_report, of_search
from skraee.inspection.costs import (
    EarlyExit,
    check_fitted,
    exit_costs,
    mean_cost,
    texts_and_labels,
)


class CostAccuracyDisplay:
    """Accuracy over the share of the model's cost, with what was chosen and why.

    Up and to the left is better. Where the curve is flat, a smaller `budget` or a
    larger `max_loss` costs nothing; where its band is wide, more labelled texts tell
    more. The line of single layers shows what stopping all texts at the same depth
    would do.

    Parameters
    ----------
    cost : array-like of shape (L,)
        Mean share of the model's cost of L choices.
    score : array-like of shape (L,)
        Their accuracy, or another score.
    lower : array-like of shape (L,), optional
        What the score is at least, for the band below the curve.
    error : array-like of shape (L,), optional
        Standard deviation of each score, for bars.
    chosen : int, optional
        The place of the choice.
    is_curve : bool, default=True
        Whether the choices are points of one curve, in the order of cost, or
        candidates of a search.
    layer_cost, layer_score : array-like of shape (m + 1,), optional
        Of each depth, if all texts stopped there.
    budget : float, optional
        Drawn as what the cost may be at most.
    least_score : float, optional
        Drawn as what the score may be at least: that of full runs less `max_loss`.
    peers : dict of str to (float, float), optional
        Name -> cost and score of what it is compared with.
    score_name : str, default="accuracy"
        What the scores are.
    estimator_name : str, optional
        For the title.

    Attributes
    ----------
    line_ : matplotlib Line2D or None
        The choices, after `plot`; None without any.
    band_ : matplotlib PolyCollection or None
        Between the curve and `lower`.
    chosen_ : matplotlib Line2D or None
        The mark of the choice.
    peers_ : list of matplotlib Line2D
        One for each peer.
    ax_ : matplotlib Axes
        That it is drawn on.
    figure_ : matplotlib Figure
        That the axes are in.

    Raises
    ------
    ValueError
        If the arrays do not fit together.

    See Also
    --------
    mean_cost : Cost of a classifier on given texts, to compare it here.

    Examples
    --------
    >>> from skraee import EarlyExitClassifier, toy
    >>> from skraee.inspection import CostAccuracyDisplay
    >>> X, y = toy.reviews(60)
    >>> clf = EarlyExitClassifier(toy.backbone(), budget=0.5).fit(X, y)
    >>> shown = CostAccuracyDisplay.from_estimator(clf, peers={"TF-IDF": (0.01, 0.9)})
    >>> print(bool(shown.cost[shown.chosen] <= 0.5))
    True
    """

    line_: Any
    band_: Any
    chosen_: Any
    peers_: list[Any]
    ax_: Any
    figure_: Any

    def __init__(
        self,
        cost: npt.ArrayLike,
        score: npt.ArrayLike,
        *,
        lower: npt.ArrayLike | None = None,
        error: npt.ArrayLike | None = None,
        chosen: int | None = None,
        is_curve: bool = True,
        layer_cost: npt.ArrayLike | None = None,
        layer_score: npt.ArrayLike | None = None,
        budget: float | None = None,
        least_score: float | None = None,
        peers: Points | None = None,
        score_name: str = "accuracy",
        estimator_name: str | None = None,
    ) -> None:
        self.cost, self.score = vector("cost", cost), vector("score", score)
        self.lower, self.error = vector("lower", lower), vector("error", error)
        self.chosen = chosen
        self.is_curve = is_curve
        self.layer_cost = vector("layer_cost", layer_cost)
        self.layer_score = vector("layer_score", layer_score)
        self.budget = budget
        self.least_score = least_score
        self.peers = checked_points("peers", peers)
        self.score_name = score_name
        self.estimator_name = estimator_name
        check_lengths(self.cost, score=self.score, lower=self.lower, error=self.error)
        check_lengths(self.layer_cost, layer_score=self.layer_score)

    @classmethod
    def from_estimator(
        cls,
        estimator: EarlyExit,
        X: Any = None,
        y: Any = None,
        *,
        peers: Points | None = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Plot what a fitted classifier knows of cost and accuracy.

        That is its `exit_report_` where it has one (`EarlyExitClassifier`, and
        `RAEEClassifier` with a `budget`), what `RAEEClassifierCV` has tried, and each
        layer alone: all on the texts of fit.

        Parameters
        ----------
        estimator : EarlyExitClassifier, RAEEClassifier or RAEEClassifierCV
            Fitted.
        X : sequence of n str, or DataFrame, optional
            Other texts, on which the classifier is run and shown as one more point.
        y : array-like of shape (n,), optional
            Their classes.
        peers : dict of str to (float, float), optional
            Name -> cost and accuracy of what it is compared with, cost in shares of
            the same model's.
        name : str, optional
            For the title; the estimator's class by default.
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.
        **kwargs : object
            Of the curve, as for `plot`.

        Returns
        -------
        CostAccuracyDisplay
        """
        check_fitted(estimator, cls.__name__, ("cost_", "layer_scores_"))
        points = dict(peers or {})
        if X is not None or y is not None:
            X, labels = texts_and_labels(estimator, X, y)
            right = estimator.predict(X) == labels
            points["given texts"] = mean_cost(estimator, X), float(right.mean())
        known = of_search(estimator) or of_report(estimator)
        shown = cls(
            **known,
            layer_cost=exit_costs(estimator),
            layer_score=estimator.layer_scores_,
            peers=points,
            estimator_name=type(estimator).__name__,
        )
        return shown.plot(ax, name=name, **kwargs)

    @classmethod
    def from_cv_results(
        cls,
        cv_results: Mapping[str, Any],
        *,
        cost: str | None = None,
        score: str = "mean_test_score",
        best_params: Mapping[str, Any] | None = None,
        peers: Points | None = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Plot the candidates of a search.

        Parameters
        ----------
        cv_results : dict
            `cv_results_` of a `RAEEClassifierCV`, or of a `GridSearchCV` or its like.
        cost : str, optional
            The key that has each candidate's cost. By default "mean_cost", which
            `RAEEClassifierCV` gives, or else "mean_test_cost", which ``scoring={...,
            "cost": skraee.inspection.mean_cost}`` gives, or else the one parameter
            named budget: what a candidate may cost, which it may stay below.
        score : str, default="mean_test_score"
            The key that has each candidate's score; with several scorers
            "mean_test_accuracy" or the like.
        best_params : dict, optional
            The choice, `best_params_` of the search; by default the first of rank 1.
        peers : dict of str to (float, float), optional
            Name -> cost and score of what it is compared with.
        name : str, optional
            Of the classifier, for the title.
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.
        **kwargs : object
            Of the candidates, as for `plot`.

        Returns
        -------
        CostAccuracyDisplay

        Raises
        ------
        ValueError
            If the costs are not known: a `tau`, or a `k`, says nothing of them.

        Examples
        --------
        >>> from skraee import RAEEClassifierCV, toy
        >>> from skraee.inspection import CostAccuracyDisplay
        >>> X, y = toy.reviews(60)
        >>> clf = RAEEClassifierCV(toy.backbone(), "{text} it was {mask}.",
        ...                        label_words=toy.LABEL_WORDS).fit(X, y)
        >>> shown = CostAccuracyDisplay.from_cv_results(
        ...     clf.cv_results_, best_params=clf.best_params_)
        >>> len(shown.cost)
        25
        """
        known = candidates(cv_results, cost, score, best_params)
        shown = cls(**known, peers=peers, estimator_name=name)
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
            What ``Axes.plot`` takes, for the curve or the candidates.

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
        ax.set(
            xlabel="share of the model's cost, mean of the texts",
            ylabel=self.score_name,
            title=drawing.titled("Cost and accuracy", name),
        )
        self._draw_layers(ax)
        self._draw_choices(ax, kwargs)
        self._draw_limits(ax)
        self._draw_peers(ax)
        self._set_limits(ax)
        drawing.make_room_for_legend(ax)
        return self

    def _draw_layers(self, ax: Any) -> None:
        if self.layer_cost is None or self.layer_score is None:
            return
        ax.plot(self.layer_cost, self.layer_score, **drawing.LAYERS)

    def _draw_choices(self, ax: Any, kwargs: dict[str, Any]) -> None:
        """Draw the curve and its band, or the candidates, and what was chosen."""
        self.line_ = self.band_ = self.chosen_ = None
        if len(self.cost) == 0:
            return
        if self.lower is not None:
            self.band_ = ax.fill_between(
                self.cost,
                self.lower,
                self.score,
                color=drawing.SKY,
                alpha=0.3,
                linewidth=0,
                label="lost at the most, 95 %",
            )
        look = drawing.CURVE if self.is_curve else drawing.CANDIDATES
        (self.line_,) = ax.plot(self.cost, self.score, **{**look, **kwargs})
        if self.error is not None:
            color = self.line_.get_color()
            ax.errorbar(self.cost, self.score, self.error, fmt="none", ecolor=color)
        if self.chosen is not None:
            at = self.cost[self.chosen], self.score[self.chosen]
            label = f"chosen: {at[1]:.3f} at {at[0]:.2f}"
            (self.chosen_,) = ax.plot(*at, **drawing.CHOSEN, label=label)

    def _draw_limits(self, ax: Any) -> None:
        if self.budget is not None:
            label = f"budget {self.budget:g}"
            ax.axvline(self.budget, color=drawing.GREEN, linestyle="--", label=label)
        if self.least_score is not None:
            label = f"least, by max_loss: {self.least_score:.3f}"
            ax.axhline(
                self.least_score, color=drawing.GREEN, linestyle="-.", label=label
            )

    def _draw_peers(self, ax: Any) -> None:
        self.peers_ = []
        for i, (peer, (cost, score)) in enumerate(self.peers.items()):
            look = drawing.look_of_peer(i)
            (point,) = ax.plot(cost, score, **look, label=drawing.plain(peer, 30))
            self.peers_.append(point)

    def _set_limits(self, ax: Any) -> None:
        """Show all but what of the band is far below."""
        peers = np.array(list(self.peers.values())).reshape(-1, 2)
        costs = [self.cost, self.layer_cost, self.budget, peers[:, 0]]
        scores = [self.score, self.layer_score, self.least_score, peers[:, 1]]
        seen = [np.ravel(part) for part in costs if part is not None]
        if sum(map(len, seen)):
            highest = float(np.concatenate(seen).max())
            ax.set_xlim(-0.03, max(1.0, highest) * 1.04)
            ax.set_ylim(*drawing.limits_around(*scores))
