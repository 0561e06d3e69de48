"""One text's way through the depths, and what made it stop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from skraee.inspection import drawing
from skraee.inspection.arrays import check_depths
from skraee.inspection.costs import EarlyExit, check_fitted
from skraee.inspection.one_text import of_one_text


class ExitExplanationDisplay:
    """The probabilities of one text by depth, and why it stopped where it did.

    Where neighbours decide, it is the paper's Figure 2: the text's curve over the box
    plots of its neighbours', with their votes below. Where curves and boxes agree, the
    neighbours are good witnesses; where they do not, another `encoder` may find better
    ones. Where confidence decides, it is the running answer at each depth, and the
    threshold that stops the text.

    Parameters
    ----------
    proba : array-like of shape (m + 1,)
        Probability of one class, or of the running answer, at each depth.
    exit_layer : int
        Where the text stopped.
    neighbor_proba : array-like of shape (k, m + 1), optional
        Each neighbour's probability of its own class at each depth.
    votes : array-like of shape (m + 1,), optional
        Share of the neighbours' votes that each depth has (`exit_distribution`).
    threshold : float, optional
        The confidence that stops a text.
    labels : sequence of m + 1 object, optional
        The running answer at each depth.
    label : object, optional
        The class that `proba` is of; with `labels` the answer at the exit.
    min_exit : int, default=0
        No text stops before it.
    max_exit : int, optional
        No text goes on behind it; the full depth by default.
    text : str, optional
        For the title.
    estimator_name : str, optional
        For the title, where there is no text.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The text's probabilities, after `plot`.
    boxes_ : dict or None
        What ``Axes.boxplot`` returns, where there are neighbours.
    exit_line_ : matplotlib Line2D
        At the exit.
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
    ExitLayerDisplay : The exits of many texts.

    References
    ----------
    Huang et al., ICLR 2026, arXiv 2405.15198, Figure 2.

    Examples
    --------
    >>> from skraee import RAEEClassifier, toy
    >>> from skraee.inspection import ExitExplanationDisplay
    >>> X, y = toy.reviews(60)
    >>> clf = RAEEClassifier(toy.backbone(), "{text} it was {mask}.",
    ...                      label_words=toy.LABEL_WORDS).fit(X, y)
    >>> shown = ExitExplanationDisplay.from_estimator(clf, "a lovely film")
    >>> print(shown.exit_layer, shown.neighbor_proba.shape)
    2 (12, 5)
    """

    line_: Any
    boxes_: Any
    exit_line_: Any
    ax_: Any
    figure_: Any

    def __init__(
        self,
        proba: npt.ArrayLike,
        exit_layer: int,
        *,
        neighbor_proba: npt.ArrayLike | None = None,
        votes: npt.ArrayLike | None = None,
        threshold: float | None = None,
        labels: Sequence[Any] | None = None,
        label: Any = None,
        min_exit: int = 0,
        max_exit: int | None = None,
        text: str | None = None,
        estimator_name: str | None = None,
    ) -> None:
        self.proba = np.asarray(proba)
        self.exit_layer = exit_layer
        self.neighbor_proba = _array(neighbor_proba)
        self.votes = _array(votes)
        self.threshold = threshold
        self.labels = None if labels is None else list(labels)
        self.label = label
        self.min_exit = min_exit
        self.max_exit = len(self.proba) - 1 if max_exit is None else max_exit
        self.text = text
        self.estimator_name = estimator_name
        check_depths(
            self.proba,
            exit_layer,
            neighbor_proba=self.neighbor_proba,
            votes=self.votes,
            labels=self.labels,
        )

    @classmethod
    def from_estimator(
        cls,
        estimator: EarlyExit,
        text: Any,
        *,
        label: Any = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Run one text to the full depth and plot why it stopped.

        Parameters
        ----------
        estimator : EarlyExitClassifier or RAEEClassifier
            Fitted.
        text : str, or a DataFrame of one row
            One text.
        label : object, optional
            The class whose probability is shown, where neighbours decide: give the
            right one where it is known, as the paper does. The answer by default.
        name : str, optional
            For the title; the text by default.
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.
        **kwargs : object
            Of the line, as for `plot`.

        Returns
        -------
        ExitExplanationDisplay

        Raises
        ------
        ValueError
            If `text` is not one text, or `label` is no class, or where confidence
            decides.
        """
        check_fitted(estimator, cls.__name__, ("explain", "layer_proba"))
        shown = cls(
            **of_one_text(estimator, text, label),
            estimator_name=type(estimator).__name__,
        )
        return shown.plot(ax, name=name, **kwargs)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.
        name : str, optional
            The title; the text, or the name of the class, by default.
        **kwargs : object
            What ``Axes.plot`` takes, for the line.

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
        drawing.label_depths(ax, len(self.proba) - 1, "layer")
        ax.set(title=self._title(name), ylim=(0, 1.02), ylabel="probability")
        self._draw_votes(ax)
        self._draw_boxes(ax)
        self._draw_line(ax, kwargs)
        self._draw_limits(ax)
        drawing.make_room_for_legend(ax)
        return self

    def _title(self, name: str | None) -> str:
        if name is None and self.text is not None:
            return f"“{drawing.plain(self.text)}”"
        name = self.estimator_name if name is None else name
        return "Why a text stopped" if name is None else drawing.plain(name)

    def _draw_votes(self, ax: Any) -> None:
        if self.votes is None:
            return
        ax.bar(
            np.arange(len(self.votes)),
            self.votes,
            width=0.9,
            color="#d9d9d9",
            label="share of the neighbours' votes",
        )

    def _draw_boxes(self, ax: Any) -> None:
        self.boxes_ = None
        if self.neighbor_proba is None:
            return
        line = {"color": drawing.BLUE}
        self.boxes_ = ax.boxplot(
            self.neighbor_proba,
            positions=np.arange(self.neighbor_proba.shape[1]),
            widths=0.5,
            manage_ticks=False,
            patch_artist=True,
            boxprops={**line, "facecolor": "#56B4E966"},
            whiskerprops=line,
            capprops=line,
            medianprops={**line, "linewidth": 2},
            flierprops={"marker": ".", "markeredgecolor": drawing.BLUE},
        )
        k = len(self.neighbor_proba)
        self.boxes_["boxes"][0].set_label(f"its {k} neighbours, of their own class")

    def _draw_line(self, ax: Any, kwargs: dict[str, Any]) -> None:
        """Draw the text's own curve, hollow where the model did not run."""
        ran = self.exit_layer
        label = "the text"
        if self.labels:
            ax.set_ylabel("probability of the running answer")
            label = "running answer"
        elif self.label is not None:
            label = f"the text, of {drawing.plain(self.label, 24)}"
        look = {
            "color": drawing.BLACK,
            "marker": "o",
            "markersize": 5,
            "label": label,
            **kwargs,
        }
        depths = np.arange(len(self.proba))
        (self.line_,) = ax.plot(depths, self.proba, markevery=slice(ran + 1), **look)
        if ran < depths[-1]:
            ax.plot(
                depths[ran + 1 :],
                self.proba[ran + 1 :],
                **{**look, "linestyle": "none", "markerfacecolor": "white"}
                | {"label": "not run", "zorder": 3},
            )
        self._name_answers(ax)

    def _name_answers(self, ax: Any) -> None:
        """Write the running answer where it is another than before."""
        if not self.labels:
            return
        for depth, label in enumerate(self.labels):
            if depth and label == self.labels[depth - 1]:
                continue
            high = self.proba[depth] > 0.45
            ax.annotate(
                drawing.plain(label, 18),
                (depth, self.proba[depth]),
                (3, -8 if high else 8),
                textcoords="offset points",
                ha="left",
                va="top" if high else "bottom",
                fontsize="small",
                rotation=90,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
            )

    def _draw_limits(self, ax: Any) -> None:
        """Draw the exit, the threshold and where texts may stop."""
        answer = "" if self.label is None else f": {drawing.plain(self.label, 24)}"
        self.exit_line_ = ax.axvline(
            self.exit_layer,
            color=drawing.VERMILION,
            linestyle="--",
            label=f"exit {self.exit_layer}" + (answer if self.labels else ""),
            zorder=1,
        )
        if self.threshold is not None and self.threshold <= 1:
            ax.axhline(
                self.threshold,
                color=drawing.GREEN,
                linestyle="-.",
                label=f"threshold {self.threshold:.2f}",
            )
        last = len(self.proba) - 1
        for at, what in ((self.min_exit, "first"), (self.max_exit, "deepest")):
            if at not in (0 if what == "first" else last, self.exit_layer):
                ax.axvline(
                    at, color=drawing.GREY, linestyle=":", label=f"{what} exit {at}"
                )


def _array(given: npt.ArrayLike | None) -> npt.NDArray[Any] | None:
    return None if given is None else np.asarray(given)
