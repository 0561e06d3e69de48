"""How well and how cheaply a classifier answers labelled texts, in numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from skraee.inspection.answer_scores import (
    ClassScores,
    calibration_error,
    class_scores,
    confusion_of,
    log_loss_of,
)
from skraee.inspection.answers import Answers
from skraee.inspection.costs import EarlyExit

# Of more classes the confusion would be wider than a screen: the pairs that are taken
# for one another most often are named in its place.
_WIDEST = 10
_MOST_PAIRS = 10


@dataclass(frozen=True)
class Evaluation:
    """What a fitted classifier makes of labelled texts; it prints as a report.

    Parameters
    ----------
    n_texts : int
        How many there are.
    accuracy : float
        Share of right answers.
    balanced_accuracy, macro_f1 : float
        Means of recall and of F1 over the classes that have texts.
    log_loss : float
        Mean of -log of the right class's probability; a probability of 0, and that of
        a class that the classifier does not know, counts as 1.2e-7.
    calibration_error : float
        Expected calibration error: how far accuracy and confidence are apart, in 15
        equal bins of confidence, weighted by their texts (Guo et al., 2017).
    mean_exit_layer : float
        Layers that a text ran in the mean.
    n_layers : int
        Layers m of the backbone.
    mean_cost : float
        Mean share of the model's cost, counted (:func:`skraee.inspection.mean_cost`).
    seconds : float
        That all answers took, the backbone being loaded.
    texts_per_second : float
        Texts divided by `seconds`.
    classes : tuple of ClassScores
        Each class: those of the classifier, then others in the labels.
    confusion : tuple of tuple of int
        Row: right class, column: answer; in the order of `classes`.
    exit_counts : tuple of m + 1 int
        Texts that stopped at each depth.

    Examples
    --------
    >>> from skraee import EarlyExitClassifier, toy
    >>> from skraee.inspection import Evaluation
    >>> X, y = toy.reviews(60)
    >>> clf = EarlyExitClassifier(toy.backbone(), budget=0.5).fit(X, y)
    >>> evaluation = Evaluation.of(clf, *toy.reviews(40, seed=1))
    >>> evaluation.n_texts, evaluation.confusion
    (40, ((20, 0), (0, 20)))
    """

    n_texts: int
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    log_loss: float
    calibration_error: float
    mean_exit_layer: float
    n_layers: int
    mean_cost: float
    seconds: float
    texts_per_second: float
    classes: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]
    exit_counts: tuple[int, ...]

    @classmethod
    def of(cls, estimator: EarlyExit, X: Any, y: Any) -> Self:
        """Let a classifier answer texts, and compare.

        Parameters
        ----------
        estimator : EarlyExitClassifier, RAEEClassifier or a baseline
            Fitted.
        X : sequence of n str, or DataFrame
            Texts that it was not fitted on.
        y : array-like of shape (n,)
            Their classes.

        Returns
        -------
        Evaluation

        Raises
        ------
        ValueError
            If texts and labels do not fit together, or there are none.
        TypeError
            If `estimator` is none of ours.
        sklearn.exceptions.NotFittedError
            If it is not fitted.
        """
        return cls.of_answers(Answers.of(estimator, X, y, "Evaluation.of"))

    @classmethod
    def of_answers(cls, found: Answers) -> Self:
        """Compare answers that are there with what would have been right.

        Parameters
        ----------
        found : Answers
            Labelled texts, and what came of them.

        Returns
        -------
        Evaluation
        """
        confusion = confusion_of(found.codes, found.answers, len(found.names))
        scores = tuple(class_scores(found.names, confusion))
        present = [one for one in scores if one.support]
        n_texts, exits = len(found.codes), found.exits
        counts = np.bincount(exits, minlength=found.n_layers + 1)
        return cls(
            n_texts=n_texts,
            accuracy=float(confusion.trace() / confusion.sum()),
            balanced_accuracy=float(np.mean([one.recall for one in present])),
            macro_f1=float(np.mean([one.f1 for one in present])),
            log_loss=log_loss_of(found.proba, found.codes),
            calibration_error=calibration_error(found.proba, found.codes),
            mean_exit_layer=float(exits.mean()),
            n_layers=found.n_layers,
            mean_cost=float(found.costs[exits].mean()),
            seconds=found.seconds,
            texts_per_second=n_texts / found.seconds,
            classes=scores,
            confusion=tuple(map(tuple, confusion.tolist())),
            exit_counts=tuple(counts.tolist()),
        )

    def mistakes(self) -> list[tuple[int, int, int]]:
        """Return which classes were taken for which others, the most frequent first.

        Returns
        -------
        list of (int, int, int)
            Places in `classes` of the right class and of the answer, and how many
            texts.
        """
        counts = np.asarray(self.confusion) * (1 - np.eye(len(self.classes), dtype=int))
        rows, columns = np.nonzero(counts)
        found = zip(rows.tolist(), columns.tolist(), strict=True)
        pairs = [(i, j, int(counts[i, j])) for i, j in found]
        return sorted(pairs, key=lambda pair: -pair[2])

    def __str__(self) -> str:
        parts = [_numbers(self), _classes(self), _confusion(self)]
        return "\n\n".join("\n".join(part) for part in parts)


def _numbers(found: Evaluation) -> list[str]:
    lines = {
        "texts": f"{found.n_texts:,}",
        "accuracy": f"{found.accuracy:.3f} (balanced {found.balanced_accuracy:.3f}, "
        f"macro F1 {found.macro_f1:.3f})",
        "log-loss": f"{found.log_loss:.3f}",
        "calibration error": f"{found.calibration_error:.3f}",
        "mean exit layer": f"{found.mean_exit_layer:.1f} of {found.n_layers}",
        "cost": f"{found.mean_cost:.1%} of the model's",
        "speed": f"{_rounded(found.texts_per_second)} texts a second",
    }
    width = max(map(len, lines))
    return [f"{name:{width}}  {said}" for name, said in lines.items()]


def _rounded(speed: float) -> str:
    """Return a number of three digits or more, never with an exponent."""
    return f"{speed:,.0f}" if speed >= 100 else f"{speed:.3g}"


def _classes(found: Evaluation) -> list[str]:
    rows: list[Sequence[Any]] = [("class", "precision", "recall", "F1", "texts")]
    for one in found.classes:
        shares = (f"{share:.3f}" for share in (one.precision, one.recall, one.f1))
        rows.append((one.label, *shares, f"{one.support:,}"))
    return list(_columns(rows))


def _confusion(found: Evaluation) -> list[str]:
    names = [one.label for one in found.classes]
    if len(names) > _WIDEST:
        return _pairs(found, names)
    rows: list[Sequence[Any]] = [("right class \\ answer", *names)]
    rows += [(name, *row) for name, row in zip(names, found.confusion, strict=True)]
    return list(_columns(rows))


def _pairs(found: Evaluation, names: list[Any]) -> list[str]:
    """Return the mistakes that are made most often."""
    mistakes = found.mistakes()
    if not mistakes:
        return ["no class was taken for another"]
    rows: list[Sequence[Any]] = [("right class", "answer", "texts")]
    rows += [(names[i], names[j], n) for i, j, n in mistakes[:_MOST_PAIRS]]
    left_out = len(mistakes) - _MOST_PAIRS
    more = [f"and {left_out} other pairs"] if left_out > 0 else []
    return ["most frequent mistakes", *_columns(rows, n_left=2), *more]


def _columns(rows: Sequence[Sequence[Any]], n_left: int = 1) -> Iterator[str]:
    """Set cells below each other, the first columns to the left."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        placed = (
            cell.ljust(width) if i < n_left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(placed).rstrip()
