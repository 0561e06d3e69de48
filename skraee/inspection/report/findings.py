"""What a report has found, before it is a page."""

from __future__ import annotations

from dataclasses import dataclass

from skraee.inspection.answer_scores import ReliabilityBin
from skraee.inspection.cost_accuracy import CostAccuracyDisplay
from skraee.inspection.evaluation import Evaluation
from skraee.inspection.report.listed import TextList


@dataclass(frozen=True, eq=False)
class Findings:
    """What stands on the page of a `Report`, which says what each of it is."""

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
