"""Pictures of all texts: exits, calibration, confusion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skraee.inspection.answer_scores import ReliabilityBin
from skraee.inspection.report.svg import Plot, over_depths, picture, ticks
from skraee.inspection.report.tables import figure, table

# Cells of the picture of a confusion; more are too small to be seen.
_MOST_CELLS = 4_000

#: Shades of a share: 0 has none.
N_SHADES = 9


def exits_chart(
    right: Sequence[int], wrong: Sequence[int], costs: Sequence[float], mean: float
) -> str:
    """Draw how many texts stop where, right and wrong answers apart.

    Parameters
    ----------
    right, wrong : sequence of m + 1 int
        Texts that stopped at each depth.
    costs : sequence of m + 1 float
        Share of the model's cost at each.
    mean : float
        Mean exit.
    """
    n_texts = sum(right) + sum(wrong)
    highest = max(map(sum, zip(right, wrong, strict=True))) / n_texts
    plot = over_depths(len(right) - 1, highest * 1.08, "share of the texts")
    for depth, (n_right, n_wrong) in enumerate(zip(right, wrong, strict=True)):
        split, top = n_right / n_texts, (n_right + n_wrong) / n_texts
        if n_right:
            plot.bar(depth, 0, split, "right")
        if n_wrong:
            plot.bar(depth, split, top, "wrong")
    plot.upright(mean, "mean")
    rows = [
        (
            str(depth),
            f"{n_right:,}",
            f"{n_wrong:,}",
            f"{n_right / (n_right + n_wrong):.3f}" if n_right + n_wrong else "",
            f"{cost:.1%}",
        )
        for depth, (n_right, n_wrong, cost) in enumerate(
            zip(right, wrong, costs, strict=True)
        )
    ]
    head = ("layer", "right", "wrong", "accuracy", "cost of stopping here")
    most = int(np.argmax(np.add(right, wrong)))
    return figure(
        plot.picture(
            "exits-plot",
            "Where texts stop",
            f"Bars over the layers 0 to {len(right) - 1}; most texts stop at layer "
            f"{most}, in the mean at {mean:.1f}.",
        ),
        [
            ("right", "right answers"),
            ("wrong", "wrong answers"),
            ("mean", f"mean exit {mean:.1f}"),
        ],
        table("Texts by the layer at which they stopped", head, rows),
    )


def reliability_chart(bins: Sequence[ReliabilityBin]) -> str:
    """Draw how often answers of each confidence are right.

    Parameters
    ----------
    bins : sequence of ReliabilityBin
    """
    n_texts = sum(one.n_texts for one in bins)
    plot = Plot(
        (0.0, 1.0),
        (0.0, 1.0),
        x_label="confidence: probability of the answer",
        y_label="accuracy",
        x_ticks=ticks(0, 1),
        y_ticks=ticks(0, 1),
        height=320,
    )
    for one in bins:
        middle, width = (one.low + one.high) / 2, 0.9 * (one.high - one.low)
        plot.bar(middle, 0, one.n_texts / n_texts, "share", width)
    plot.line([(0, 0), (1, 1)], "ideal")
    points = [(one.confidence, one.accuracy) for one in bins]
    plot.line(points, "curve")
    for one, (confidence, accuracy) in zip(bins, points, strict=True):
        plot.dot(confidence, accuracy, "dot", 2.5 + 4 * (one.n_texts / n_texts) ** 0.5)
    rows = [
        (
            f"{one.low:.2f} to {one.high:.2f}",
            f"{one.n_texts:,}",
            f"{one.confidence:.3f}",
            f"{one.accuracy:.3f}",
        )
        for one in bins
    ]
    head = ("confidence", "texts", "mean confidence", "accuracy")
    return figure(
        plot.picture(
            "calibration-plot",
            "Confidence and accuracy",
            "Accuracy of the answers of each confidence, beside the diagonal on which "
            "both are the same.",
        ),
        [
            ("curve", "accuracy at this confidence"),
            ("ideal", "as it should be"),
            ("share", "share of the texts"),
        ],
        table("Answers by their confidence", head, rows),
    )


def confusion_picture(confusion: Sequence[Sequence[int]]) -> tuple[str, int]:
    """Draw which classes are taken for which, where these are too many for a table.

    Parameters
    ----------
    confusion : sequence of C sequences of C int
        Row: right class, column: answer.

    Returns
    -------
    picture : str
    n_left_out : int
        Cells that are not drawn, those of the fewest texts.
    """
    counts = np.asarray(confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows, columns = np.nonzero(counts)
    order = np.argsort(-counts[rows, columns], kind="stable")
    kept = order[:_MOST_CELLS]
    cells = "".join(
        f'<rect class="shade s{shade(shares[i, j])}{" miss" if i != j else ""}" '
        f'x="{j}" y="{i}" width="1" height="1"/>'
        for i, j in zip(rows[kept].tolist(), columns[kept].tolist(), strict=True)
    )
    size = len(counts)
    drawn = picture(
        f'<rect class="sheet" width="{size}" height="{size}"/>{cells}',
        (size, size),
        "confusion-plot",
        "Confusion",
        f"{size} right classes from above to below, and their answers from left to "
        "right; what lies on the diagonal is right.",
    )
    return drawn, len(order) - len(kept)


def shade(share: float) -> int:
    """Return how dark a share is shown: from 0 to `N_SHADES`.

    Parameters
    ----------
    share : float
    """
    return 0 if share <= 0 else min(N_SHADES, 1 + int(share * N_SHADES))
