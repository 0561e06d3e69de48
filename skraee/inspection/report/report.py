"""A page that says how a classifier answers labelled texts, to be sent to others."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np

from skraee.files.replacing import replacing
from skraee.inspection.answer_scores import reliability, share_interval
from skraee.inspection.answers import Answers
from skraee.inspection.costs import EarlyExit
from skraee.inspection.evaluation import Evaluation
from skraee.inspection.markup import escaped
from skraee.inspection.report.explaining import explanations
from skraee.inspection.report.findings import Findings
from skraee.inspection.report.known import curve_of, facts_of
from skraee.inspection.report.listed import most_telling, orders, text_lists
from skraee.inspection.report.page import page_of

#: Letters of a text that a page shows. A megabyte of one text tells no more.
MOST_LETTERS = 2_000


@dataclass(frozen=True, eq=False)
class Report(Findings):
    """A page about a fitted classifier and labelled texts, whole in one file.

    It shows accuracy with its 95 % interval, the scores of each class, the confusion,
    the curve of cost and accuracy, exits, calibration, and the texts that tell most:
    wrong answers, the least sure, those that ran deepest, some with why they were
    answered so. Numbers stand beside each picture. Nothing is fetched from anywhere,
    and scripts of a text cannot run; light and dark are the reader's. matplotlib is
    not needed.

    All is made of one pass over the texts, and one more of each that is explained. A
    page has a bounded size, whatever the number of texts: about a megabyte at the most
    with the usual settings.

    The page holds the texts that it lists: look through it before you send it.

    What stands on it are attributes, too, by the names of the parameters.

    Parameters
    ----------
    title : str
        Of the page.
    evaluation : Evaluation
        The numbers.
    interval : tuple of float
        Where the accuracy lies with 95 % confidence (Wilson).
    bins : tuple of ReliabilityBin
        Confidence beside accuracy.
    right_exits : tuple of m + 1 int
        Texts that stopped at each depth and are right.
    costs : tuple of m + 1 float
        Share of the model's cost at each exit.
    curve : CostAccuracyDisplay or None
        What accuracy costs; None where the classifier does not know.
    facts : dict of str to str
        What the classifier is.
    lists : tuple of TextList
        Wrong, unsure and deep texts.
    warnings : tuple of str
        What the classifier warned of when it answered.
    explains : bool
        Whether the classifier can say why it answers so; baselines cannot.

    See Also
    --------
    Evaluation : The numbers alone.

    Examples
    --------
    >>> from skraee import EarlyExitClassifier, toy
    >>> from skraee.inspection import Report
    >>> X, y = toy.reviews(60)
    >>> clf = EarlyExitClassifier(toy.backbone(), budget=0.5).fit(X, y)
    >>> report = Report.of(clf, *toy.reviews(40, seed=1), explain=5)
    >>> print(report)
    EarlyExitClassifier on 40 texts: accuracy 1.000 (95 %: 0.912 to 1.000)
    >>> report.save("report.html")  # doctest: +SKIP
    """

    @classmethod
    def of(
        cls,
        estimator: EarlyExit,
        X: Any,
        y: Any,
        *,
        title: str | None = None,
        explain: int = 50,
        listed: int = 100,
        texts: Any = None,
        verbose: int = 0,
    ) -> Self:
        """Let a classifier answer texts, and explain some of the answers.

        Parameters
        ----------
        estimator : EarlyExitClassifier, RAEEClassifier, RAEEClassifierCV or a baseline
            Fitted. What one of them does not know the page says.
        X : sequence of n str, or DataFrame
            Texts that it was not fitted on.
        y : array-like of shape (n,)
            Their classes.
        title : str, optional
            Of the page; by default the classifier's class and the number of texts.
        explain : int, default=50
            Texts that are explained, chosen by turns of the wrong, the least sure and
            the deepest. Each runs the model once more, to its full depth. Raise it to
            read more of them; 0 explains none.
        listed : int, default=100
            Texts of each of the three lists, at the most. 0 keeps all texts off the
            page: choose it where they must not be passed on.
        texts : sequence of str, or DataFrame, optional
            The texts that were given to fit, all of them and in their order, to show
            neighbours by their words. Parts of them then stand on the page.
        verbose : int, default=0
            1 shows a progress bar of the explanations; that of the answers is the
            classifier's.

        Returns
        -------
        Report

        Raises
        ------
        ValueError
            If texts and labels do not fit together, or there are none, or a number of
            texts is none.
        TypeError
            If `estimator` is none of ours.
        sklearn.exceptions.NotFittedError
            If it is not fitted.
        """
        _check_numbers(explain=explain, listed=listed)
        with _noted_warnings() as noted:
            found = Answers.of(estimator, X, y, "Report.of")
        evaluation = Evaluation.of_answers(found)
        positions = orders(found)
        shown = [places[:listed] for places in positions.values()]
        explains = hasattr(estimator, "explain")
        chosen = most_telling(shown, explain) if explains else []
        told = explanations(estimator, found.samples, chosen, texts, verbose)
        name = type(estimator).__name__
        depths = found.n_layers + 1
        return cls(
            title=f"{name} on {evaluation.n_texts:,} texts" if title is None else title,
            evaluation=evaluation,
            interval=share_interval(int(found.right.sum()), evaluation.n_texts),
            bins=tuple(reliability(found.proba, found.codes)),
            right_exits=tuple(
                np.bincount(found.exits[found.right], minlength=depths).tolist()
            ),
            costs=tuple(found.costs.tolist()),
            curve=curve_of(estimator, evaluation),
            facts={**facts_of(estimator), "made": _now()},
            lists=text_lists(
                found, positions, told, listed=listed, most_letters=MOST_LETTERS
            ),
            warnings=tuple(noted),
            explains=explains,
        )

    def html(self) -> str:
        """Return the page.

        Returns
        -------
        str
            HTML that needs nothing else.
        """
        return page_of(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page, as a whole or not at all.

        Parameters
        ----------
        path : str or Path
            A file that is there is replaced.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        page = self.html().encode("utf-8")
        with replacing(path) as beside:
            Path(beside).write_bytes(page)

    def _repr_html_(self) -> str:
        """Show the page in a frame: its look and that of the notebook stay apart."""
        return (
            f'<iframe srcdoc="{escaped(self.html())}" title="{escaped(self.title)}" '
            'sandbox="allow-scripts" width="100%" height="700" '
            'style="border: 1px solid rgba(128,128,128,.5)"></iframe>'
        )

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"{self.facts['class']} on {self.evaluation.n_texts:,} texts: accuracy "
            f"{self.evaluation.accuracy:.3f} (95 %: {low:.3f} to {high:.3f})"
        )


def _check_numbers(**given: Any) -> None:
    """Refuse what is no number of texts."""
    for name, number in given.items():
        if isinstance(number, bool) or not isinstance(number, Integral) or number < 0:
            raise ValueError(
                f"{name} must be a whole number of texts from 0 on, got {number!r}; 0 "
                "leaves them out."
            )


@contextmanager
def _noted_warnings() -> Iterator[list[str]]:
    """Note what is warned of, and warn of it all the same.

    Yields
    ------
    list of str
        Filled when the block ends.
    """
    told: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        yield told
    for one in caught:
        told.append(str(one.message))
        warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
