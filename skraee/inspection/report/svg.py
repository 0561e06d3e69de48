"""Pictures of a page: axes, and what is drawn on them, as SVG.

Colours are the page's: each mark has a class, so that a picture is light or dark as the
page is, in ten lines where a plotting library would write letters as outlines.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import floor, log10

from skraee.inspection.markup import escaped

Points = Iterable[tuple[float, float]]

# In units of the picture: the page makes it as wide as there is room.
_WIDTH = 460.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 12.0, 10.0, 44.0

# Numbers beside an axis, at the most.
_MOST_TICKS = 10


class Plot:
    """Axes from left to right and from below to above, with marks on them.

    Parameters
    ----------
    x, y : (float, float)
        Limits of the axes.
    x_label, y_label : str
        What they are of.
    x_ticks, y_ticks : sequence of float
        Where numbers stand.
    height : float, default=260
        Of the picture, which is 460 wide.
    """

    def __init__(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        *,
        x_label: str,
        y_label: str,
        x_ticks: Sequence[float],
        y_ticks: Sequence[float],
        height: float = 260.0,
    ) -> None:
        self._x, self._y, self._height = x, y, height
        self._marks: list[str] = []
        self._draw_axes(x_label, y_label, x_ticks, y_ticks)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point is in the picture; what lies outside stands at the rim.

        Parameters
        ----------
        x, y : float
        """
        across = _share(x, self._x) * (_WIDTH - _LEFT - _RIGHT)
        up = _share(y, self._y) * (self._height - _TOP - _BOTTOM)
        return round(_LEFT + across, 1), round(self._height - _BOTTOM - up, 1)

    def bar(
        self, x: float, low: float, high: float, kind: str, width: float = 0.8
    ) -> None:
        """Draw a bar from one height to another, in the middle of an x.

        Parameters
        ----------
        x, low, high : float
        kind : str
            Class of the mark, here as below.
        width : float, default=0.8
            In units of the x axis.
        """
        left, bottom = self.place(x - width / 2, low)
        right, top = self.place(x + width / 2, high)
        self._add(
            f'<rect class="{kind}" x="{left}" y="{top}" width="{right - left:.1f}" '
            f'height="{bottom - top:.1f}"/>'
        )

    def line(self, points: Points, kind: str) -> None:
        """Draw a line through points.

        Parameters
        ----------
        points : iterable of (float, float)
        kind : str
        """
        self._add(f'<polyline class="{kind}" points="{self._written(points)}"/>')

    def area(self, points: Points, kind: str) -> None:
        """Fill what lies within points.

        Parameters
        ----------
        points : iterable of (float, float)
        kind : str
        """
        self._add(f'<polygon class="{kind}" points="{self._written(points)}"/>')

    def dot(self, x: float, y: float, kind: str, radius: float = 3.5) -> None:
        """Draw a dot.

        Parameters
        ----------
        x, y : float
        kind : str
        radius : float, default=3.5
            In units of the picture.
        """
        across, down = self.place(x, y)
        self._add(
            f'<circle class="{kind}" cx="{across}" cy="{down}" r="{radius:.1f}"/>'
        )

    def mark(self, shape: str, x: float, y: float, kind: str) -> None:
        """Draw one of `SHAPES`.

        Parameters
        ----------
        shape : str
            Its name.
        x, y : float
        kind : str
        """
        across, down = self.place(x, y)
        self._add(
            f'<path class="{kind}" d="{SHAPES[shape]}" '
            f'transform="translate({across} {down})"/>'
        )

    def upright(self, x: float, kind: str) -> None:
        """Draw a line from below to above.

        Parameters
        ----------
        x : float
        kind : str
        """
        self.line([(x, self._y[0]), (x, self._y[1])], kind)

    def level(self, y: float, kind: str) -> None:
        """Draw a line from left to right.

        Parameters
        ----------
        y : float
        kind : str
        """
        self.line([(self._x[0], y), (self._x[1], y)], kind)

    def picture(self, name: str, title: str, description: str) -> str:
        """Return the whole as SVG.

        Parameters
        ----------
        name : str
            An id that the page has once.
        title, description : str
            What it shows, for those who do not see it.
        """
        return picture(
            "".join(self._marks), (_WIDTH, self._height), name, title, description
        )

    def _add(self, mark: str) -> None:
        self._marks.append(mark)

    def _written(self, points: Points) -> str:
        placed = (self.place(x, y) for x, y in points)
        return " ".join(f"{across:g},{down:g}" for across, down in placed)

    def _draw_axes(
        self,
        x_label: str,
        y_label: str,
        x_ticks: Sequence[float],
        y_ticks: Sequence[float],
    ) -> None:
        bottom, top = self._height - _BOTTOM, _TOP
        for tick in y_ticks:
            down = self.place(self._x[0], tick)[1]
            self._add(f'<path class="grid" d="M{_LEFT} {down}H{_WIDTH - _RIGHT}"/>')
            self._add(_words(_LEFT - 6, down + 4, f"{tick:g}", "end"))
        self._add(f'<path class="axis" d="M{_LEFT} {bottom}H{_WIDTH - _RIGHT}"/>')
        for tick in x_ticks:
            across = self.place(tick, self._y[0])[0]
            self._add(f'<path class="axis" d="M{across} {bottom}v4"/>')
            self._add(_words(across, bottom + 17, f"{tick:g}", "middle"))
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        self._add(_words(middle, self._height - 6, x_label, "middle"))
        half = (top + bottom) / 2
        self._add(
            f'<text class="words" text-anchor="middle" '
            f'transform="translate(13 {half}) rotate(-90)">{escaped(y_label)}</text>'
        )


#: Marks by their names, around the point that they stand for.
SHAPES = {
    "star": "M0-8L2-2.5H7.8L3.1 1L4.9 6.6L0 3.2L-4.9 6.6L-3.1 1L-7.8-2.5H-2Z",
    "diamond": "M0-6.5L6.5 0L0 6.5L-6.5 0Z",
}


def over_depths(n_layers: int, high: float, label: str, **size: float) -> Plot:
    """Return axes over the layers of a model, from 0 upwards.

    Parameters
    ----------
    n_layers : int
    high : float
        Upper limit of what is drawn.
    label : str
        What that is.
    **size : float
        The height.
    """
    return Plot(
        (-0.6, n_layers + 0.6),
        (0.0, high),
        x_label="layer",
        y_label=label,
        x_ticks=depth_ticks(n_layers),
        y_ticks=ticks(0, high, 5),
        **size,
    )


def picture(
    marks: str, size: tuple[float, float], name: str, title: str, description: str
) -> str:
    """Return marks as a picture with a text for those who do not see it.

    Parameters
    ----------
    marks : str
        SVG.
    size : (float, float)
        Width and height.
    name : str
        An id that the page has once.
    title, description : str
        What it shows.
    """
    width, height = size
    return (
        f'<svg class="plot" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-labelledby="{name}-title" aria-describedby="{name}-about">'
        f'<title id="{name}-title">{escaped(title)}</title>'
        f'<desc id="{name}-about">{escaped(description)}</desc>{marks}</svg>'
    )


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round numbers between two limits.

    Parameters
    ----------
    low, high : float
    most : int, default=6
        How many of them, about.

    Examples
    --------
    >>> from skraee.inspection.report.svg import ticks
    >>> ticks(0, 1), ticks(0.81, 0.93, most=4)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.85, 0.9])
    """
    least = max((high - low) / most, 1e-9)
    unit = 10.0 ** floor(log10(least))
    step = next(unit * times for times in (1, 2, 5, 10) if unit * times >= least * 0.99)
    first = -floor(-low / step + 1e-9)
    last = floor(high / step + 1e-9)
    return [round(place * step, 10) for place in range(first, last + 1)]


def depth_ticks(n_layers: int) -> list[float]:
    """Return at which depths numbers stand.

    Parameters
    ----------
    n_layers : int
    """
    return [t for t in ticks(0, max(n_layers, 1), _MOST_TICKS) if t == int(t)]


def _share(value: float, limits: tuple[float, float]) -> float:
    low, high = limits
    return min(1.0, max(0.0, (value - low) / (high - low)))


def _words(x: float, y: float, text: str, anchor: str) -> str:
    return (
        f'<text class="words" x="{x:g}" y="{y:g}" text-anchor="{anchor}">'
        f"{escaped(text)}</text>"
    )
