"""What the plots have in common: axes, colours and legends that cover nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

# Okabe and Ito's colours: the colour-blind tell them apart, and a printer without
# colours does by their brightness, beside the marks and hatches.
BLUE = "#0072B2"
SKY = "#56B4E9"
ORANGE = "#E69F00"
VERMILION = "#D55E00"
GREEN = "#009E73"
GREY = "#767676"
BLACK = "#000000"

_MARKERS = "sD^vPX*p"

#: What choices, candidates, the chosen one and others beside them look like.
LAYERS = {
    "color": GREY,
    "linestyle": ":",
    "marker": ".",
    "label": "each layer alone",
}
CURVE = {"color": BLUE, "label": "early exits"}
CANDIDATES = {
    "color": BLUE,
    "linestyle": "none",
    "marker": "o",
    "markersize": 5,
    "alpha": 0.7,
    "label": "candidates",
}
CHOSEN = {
    "color": VERMILION,
    "linestyle": "none",
    "marker": "*",
    "markersize": 14,
    "markeredgecolor": "white",
}
_PEERS = (ORANGE, GREEN, "#CC79A7", "#F0E442", SKY)

# Room between a legend and what is drawn, as a share of the axes' height.
_GAP = 0.04

# A legend that takes more of the axes' height is tried in smaller letters.
_MOST_ROOM = 0.3
_FONT_SIZES = ("small", "x-small", "xx-small")

# Letters of a text that a title takes.
_TITLE_LETTERS = 60


def pyplot() -> Any:
    """Return matplotlib.pyplot.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "plots need matplotlib; install it with: pip install 'skraee[plot]'"
        ) from error
    return plt


def axes_for(ax: Any) -> Any:
    """Return given axes, or those of a new figure."""
    if ax is not None:
        return ax
    _, new = pyplot().subplots(figsize=(7, 4), layout="constrained")
    return new


def label_depths(ax: Any, n_layers: int, label: str = "exit layer") -> None:
    """Let the x axis go over the depths 0 to n_layers, in whole numbers."""
    ax.set(xlabel=label, xlim=(-0.7, n_layers + 0.7))
    ax.xaxis.get_major_locator().set_params(integer=True)


def look_of_peer(place: int) -> dict[str, Any]:
    """Return what the point of one of several peers looks like."""
    return {
        "linestyle": "none",
        "color": _PEERS[place % len(_PEERS)],
        "marker": _MARKERS[place % len(_MARKERS)],
        "markeredgecolor": BLACK,
        "markersize": 7,
    }


def plain(text: object, width: int = _TITLE_LETTERS) -> str:
    """Return a text as matplotlib shows it as it is: one line, and no formulas."""
    line = " ".join(str(text).split())
    short = line if len(line) <= width else line[: width - 3] + "..."
    return short.replace("$", r"\$")


def titled(what: str, name: str | None) -> str:
    """Return a title that names the class in hand, where it is known."""
    return what if name is None else f"{what} of {plain(name)}"


def make_room_for_legend(ax: Any, beside: Any = None) -> None:
    """Draw a legend at the top of the axes, and move what is drawn down below it.

    Parameters
    ----------
    ax : matplotlib Axes
        Whose limits hold what is to be seen, without room.
    beside : matplotlib Axes, optional
        With the same x axis and another y axis.
    """
    axes = [ax] if beside is None else [ax, beside]
    pairs = [
        pair
        for one in axes
        for pair in zip(*one.get_legend_handles_labels(), strict=True)
    ]
    if not pairs:
        return
    ax.figure.figure.draw_without_rendering()  # for the size that the axes will have
    height = ax.get_window_extent().height
    for size in _FONT_SIZES:
        legend = _legend_as_wide(axes[-1], pairs, size)
        share = legend.get_window_extent().height / height + _GAP
        if share <= _MOST_ROOM:
            break
    for one in axes:
        _lower(one, min(share, 0.8))


def _legend_as_wide(ax: Any, pairs: list[Any], size: str) -> Any:
    """Draw a legend of as many columns as the axes have room for."""
    handles, labels = zip(*pairs, strict=True)
    for n_columns in range(len(pairs), 0, -1):
        legend = ax.legend(
            handles,
            labels,
            loc="upper center",
            ncols=n_columns,
            fontsize=size,
            framealpha=1.0,  # lines that go all the way up end behind it
            edgecolor="none",
            columnspacing=1.2,
            borderaxespad=0.2,
        )
        # A little less than all: other axes of the figure may still take some.
        if legend.get_window_extent().width <= 0.95 * ax.get_window_extent().width:
            break
    return legend


def _lower(ax: Any, share: float) -> None:
    """Leave a share of the axes' height free at the top, without ticks."""
    low, high = ax.get_ylim()
    ax.set_ylim(low, low + (high - low) / (1 - share))
    ax.set_yticks([tick for tick in ax.get_yticks() if low <= tick <= high + 1e-9])


def limits_around(*values: Any, least: float = 0.1, most: float = 1.0) -> Any:
    """Return y limits that hold all of some values, and a little more.

    Parameters
    ----------
    *values : array-like or None
        What is to be seen.
    least : float, default=0.1
        How far apart the limits are at the least, so that noise stays small.
    most : float, default=1.0
        What a share cannot be above.
    """
    seen = np.concatenate([np.ravel(v) for v in values if v is not None])
    seen = seen[np.isfinite(seen)]
    low, high = float(seen.min()), float(seen.max())
    rest = max(0.0, least - (high - low)) / 2
    margin = 0.06 * max(high - low, least)
    bottom, top = low - rest - margin, high + rest + margin
    return bottom, min(top, most + 0.01) if high <= most else top
