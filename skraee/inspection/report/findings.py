"""What a report has found, before it is a page."""

from __future__ import annotations

from dataclasses import dataclass

from skraee.inspection.answer_scores import ReliabilityBin
from skraee.inspection.cost_accuracy import CostAccuracyDisplay
from skraee.inspection.evaluation import Evaluation
from skraee.inspection.report.listed import TextList


@dataclass(frozen=True, eq=False)
class Findings:
    """What stands on the page of a `Report`.

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
    """

    title: str
    evaluation: Evaluation
    interval: tuple[float, float]
    bins: tuple[ReliabilityBin, ...]
    right_exits: tuple[int, ...]
    costs: tuple[float, ...]
    curve: CostAccuracyDisplay | None
    facts: dict[str, str]
    lists: tuple[TextList, ...]
    warnings: tuple[str, ...]
    explains: bool

    @property
    def n_explained(self) -> int:
        """How many texts have an explanation on the page."""
        listed = (text for one in self.lists for text in one.texts)
        return len({text.position for text in listed if text.told is not None})
