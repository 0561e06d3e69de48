"""What an estimator says of one text, as a display takes it."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from skraee.inspection.confidence_explanation import ConfidenceExplanation
from skraee.inspection.costs import EarlyExit


def of_one_text(estimator: EarlyExit, text: Any, label: Any) -> dict[str, Any]:
    """Return its probabilities by depth, its exit, and what chose that.

    Parameters
    ----------
    estimator : EarlyExitClassifier or RAEEClassifier
        Fitted.
    text : str, or a DataFrame of one row
    label : object or None
        The class whose probabilities they are, where neighbours decide; None for the
        answer.

    Raises
    ------
    ValueError
        If `label` is no class, or where confidence decides.
    """
    told = estimator.explain(text)
    shared = {"exit_layer": told.exit_layer, "text": told.text}
    if isinstance(told, ConfidenceExplanation):
        _refuse_label(label)
        return shared | {
            "proba": told.confidence,
            "threshold": told.threshold,
            "labels": told.labels,
            "label": told.label,
            "min_exit": told.min_exit,
            "max_exit": told.max_exit,
        }
    label = told.label if label is None else label
    proba = estimator.layer_proba([text] if isinstance(text, str) else text)[0]
    return shared | {
        "proba": proba[:, _place_of(label, estimator.classes_)],
        "neighbor_proba": [neighbor.proba for neighbor in told.neighbors],
        "votes": told.exit_distribution,
        "label": label,
    }


def _refuse_label(label: Any) -> None:
    if label is not None:
        raise ValueError(
            f"label={label!r} has no meaning where confidence decides, as that of the "
            "running answer is shown; leave it out."
        )


def _place_of(label: Any, classes: npt.NDArray[Any]) -> int:
    places = [i for i, name in enumerate(classes.tolist()) if name == label]
    if not places:
        raise ValueError(
            f"label must be one of the classes {classes.tolist()}, got {label!r}; name "
            "one, or leave it out for that of the answer."
        )
    return places[0]
