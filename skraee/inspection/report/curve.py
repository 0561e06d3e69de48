"""The picture of what accuracy costs, of the arrays of `CostAccuracyDisplay`."""

from __future__ import annotations

import numpy as np

from skraee.inspection.cost_accuracy import CostAccuracyDisplay
from skraee.inspection.drawing import limits_around
from skraee.inspection.report.svg import Plot, ticks
from skraee.inspection.report.tables import figure, table

# Rows of the numbers of a curve: these are enough to read it off.
_MOST_ROWS = 60

Legend = list[tuple[str, str]]


def curve_chart(shown: CostAccuracyDisplay) -> str:
    """Draw what accuracy costs, as `CostAccuracyDisplay` does.

    Parameters
    ----------
    shown : CostAccuracyDisplay
        Not drawn: its arrays are.
    """
    peers = np.array(list(shown.peers.values())).reshape(-1, 2)
    scores = (shown.score, shown.layer_score, shown.least_score, peers[:, 1])
    low, high = limits_around(*(part for part in scores if part is not None))
    plot = Plot(
        (0.0, 1.0),
        (max(low, 0.0), high),
        x_label="share of the model's cost, mean of the texts",
        y_label=shown.score_name,
        x_ticks=ticks(0, 1),
        y_ticks=ticks(max(low, 0.0), high, 8),
    )
    legend = [*_layers(plot, shown), *_choices(plot, shown), *_limits(plot, shown)]
    for name, (cost, score) in shown.peers.items():
        plot.mark("diamond", cost, score, "diamond")
        legend.append(("diamond", f"{name}: {score:.3f} at {cost:.2f}"))
    return figure(
        plot.picture("cost-plot", "Cost and accuracy", _said_of(shown)),
        legend,
        _curve_tables(shown),
    )


def _layers(plot: Plot, shown: CostAccuracyDisplay) -> Legend:
    if shown.layer_cost is None or shown.layer_score is None:
        return []
    plot.line(zip(shown.layer_cost, shown.layer_score, strict=True), "layers")
    return [("layers", "each layer alone, on the texts of fit")]


def _choices(plot: Plot, shown: CostAccuracyDisplay) -> Legend:
    """Draw the curve and its band, or the candidates, and what was chosen."""
    points = list(zip(shown.cost.tolist(), shown.score.tolist(), strict=True))
    if not points:
        return []
    legend: Legend = []
    if shown.lower is not None:
        below = zip(shown.cost.tolist(), shown.lower.tolist(), strict=True)
        plot.area([*points, *reversed(list(below))], "band")
        legend.append(("band", "lost at the most, with 95 % confidence"))
    if shown.is_curve:
        plot.line(points, "curve")
        legend.append(("curve", "early exits, on the texts of fit"))
    else:
        for cost, score in points:
            if score == score:  # a scorer may have come to no number
                plot.dot(cost, score, "candidate", 3)
        legend.append(("candidate", "candidates of the search"))
    if shown.chosen is not None:
        cost, score = points[shown.chosen]
        plot.mark("star", cost, score, "star")
        legend.append(("star", f"chosen: {score:.3f} at {cost:.2f}"))
    return legend


def _limits(plot: Plot, shown: CostAccuracyDisplay) -> Legend:
    legend: Legend = []
    if shown.budget is not None:
        plot.upright(shown.budget, "limit")
        legend.append(("limit", f"budget {shown.budget:g}"))
    if shown.least_score is not None:
        plot.level(shown.least_score, "limit")
        legend.append(("limit", f"least, by max_loss: {shown.least_score:.3f}"))
    return legend


def _said_of(shown: CostAccuracyDisplay) -> str:
    told = f"{shown.score_name.capitalize()} over the share of the model's cost"
    if shown.chosen is not None:
        cost, score = shown.cost[shown.chosen], shown.score[shown.chosen]
        told += f"; chosen is {score:.3f} at {cost:.2f}"
    others = (
        f"; {name}: {score:.3f} at {cost:.2f}"
        for name, (cost, score) in shown.peers.items()
    )
    return told + "".join(others) + "."


def _curve_tables(shown: CostAccuracyDisplay) -> str:
    tables = [_table_of_choices(shown)] if len(shown.cost) else []
    if shown.layer_cost is not None and shown.layer_score is not None:
        alone = zip(shown.layer_cost, shown.layer_score, strict=True)
        rows = [
            (str(depth), f"{cost:.3f}", f"{score:.3f}")
            for depth, (cost, score) in enumerate(alone)
        ]
        head = ["layer", "cost", "accuracy"]
        tables.append(table("Each layer alone, on the texts of fit", head, rows))
    return "".join(tables)


def _table_of_choices(shown: CostAccuracyDisplay) -> str:
    kept = _told_rows(shown)
    columns = {
        "cost": [f"{shown.cost[place]:.3f}" for place in kept],
        shown.score_name: [f"{shown.score[place]:.3f}" for place in kept],
    }
    if shown.lower is not None:
        lower = [f"{max(shown.lower[place], 0.0):.3f}" for place in kept]
        columns["at least, 95 %"] = lower
    columns["choice"] = ["chosen" if p == shown.chosen else "" for p in kept]
    what = "Early exits" if shown.is_curve else "Candidates"
    more = f", {len(kept)} of {len(shown.cost)}" if len(kept) < len(shown.cost) else ""
    rows = list(zip(*columns.values(), strict=True))
    return table(f"{what} on the texts of fit{more}", list(columns), rows)


def _told_rows(shown: CostAccuracyDisplay) -> list[int]:
    """Return places in the order of cost, without those that say the same again."""
    points = np.column_stack([shown.cost, shown.score]).round(3)
    order = np.lexsort((shown.score, shown.cost))
    is_new = np.any(np.diff(points[order], axis=0, prepend=-1) != 0, axis=1)
    new = order[is_new | (order == shown.chosen)]
    some = np.linspace(0, len(new) - 1, min(len(new), _MOST_ROWS)).round().astype(int)
    kept = set(new[some].tolist()) | ({shown.chosen} - {None})
    return [place for place in order.tolist() if place in kept]
