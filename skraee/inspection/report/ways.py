"""Pictures of one text: what led to its exit, depth by depth."""

from __future__ import annotations

from typing import Any

from skraee.inspection.confidence_explanation import ConfidenceExplanation
from skraee.inspection.explanation import Explanation
from skraee.inspection.report.svg import over_depths
from skraee.inspection.report.tables import figure

_HEIGHT = 170.0


def way_chart(told: Any, name: str) -> str:
    """Draw what led one text to its exit, depth by depth; nothing for other kinds.

    Parameters
    ----------
    told : Explanation or ConfidenceExplanation
    name : str
        An id that the page has once.
    """
    if isinstance(told, ConfidenceExplanation):
        return _way_by_confidence(told, name)
    if isinstance(told, Explanation) and told.exit_distribution:
        return _way_by_votes(told, name)
    return ""


def _way_by_confidence(told: ConfidenceExplanation, name: str) -> str:
    plot = over_depths(told.n_layers, 1.0, "confidence", height=_HEIGHT)
    legend = [("curve", "confidence of the running answer"), _exit(told.exit_layer)]
    limit = ""
    if told.threshold <= 1:
        limit = f"threshold {told.threshold:.2f}"
        plot.level(told.threshold, "limit")
        legend.append(("limit", limit))
    plot.upright(told.exit_layer, "exit")
    points = list(enumerate(told.confidence))
    plot.line(points, "curve")
    for depth, confidence in points:
        plot.dot(depth, confidence, "dot" if depth <= told.exit_layer else "hollow")
    if told.exit_layer < told.n_layers:
        legend.append(("hollow", "not run"))
    drawn = plot.picture(
        name,
        "Confidence of the running answer at each layer",
        f"The text stops at layer {told.exit_layer} of {told.n_layers}"
        f"{limit and ', '}{limit}; the table has the numbers.",
    )
    return figure(drawn, legend)


def _way_by_votes(told: Explanation, name: str) -> str:
    votes = told.exit_distribution
    high = max(*votes, 1e-6) * 1.08
    plot = over_depths(told.n_layers, high, "share of votes", height=_HEIGHT)
    for depth, share in enumerate(votes):
        if share > 0:
            plot.bar(depth, 0, share, "votes")
    plot.upright(told.exit_layer, "exit")
    drawn = plot.picture(
        name,
        "The neighbours' votes for each layer",
        f"The text stops at layer {told.exit_layer} of {told.n_layers}, which has "
        f"{votes[told.exit_layer]:.0%} of the votes.",
    )
    return figure(drawn, [("votes", "neighbours' votes"), _exit(told.exit_layer)])


def _exit(layer: int) -> tuple[str, str]:
    return "exit", f"exit {layer}"
