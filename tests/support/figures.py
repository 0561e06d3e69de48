"""What can be seen of a figure."""

from __future__ import annotations

from typing import Any

import numpy as np


def legend_texts(shown: Any) -> list[str]:
    """Return what the legend of a display says, wherever it is drawn."""
    legends = [ax.get_legend() for ax in shown.figure_.axes if ax.get_legend()]
    assert len(legends) == 1
    return [text.get_text() for text in legends[0].get_texts()]


def legend_box(shown: Any) -> Any:
    """Return where the legend of a display is, in pixels."""
    shown.figure_.canvas.draw()
    (legend,) = [ax.get_legend() for ax in shown.figure_.axes if ax.get_legend()]
    return legend.get_window_extent()


def heights_in_pixels(line: Any) -> np.ndarray:
    """Return how high the points of a line are in the figure."""
    points = np.column_stack([line.get_xdata(), line.get_ydata()])
    return line.axes.transData.transform(points)[:, 1]
