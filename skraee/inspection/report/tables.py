"""Tables of a page, each cell of which has a header that a screen reader can name."""

from __future__ import annotations

from collections.abc import Sequence

from skraee.inspection.markup import escaped
from skraee.inspection.report.svg import SHAPES


def table(
    caption: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    kind: str = "",
) -> str:
    """Return a table whose first cells name the rows.

    Parameters
    ----------
    caption : str
        What it is of.
    head : sequence of str
        HTML of the columns' names.
    rows : sequence of sequence of str
        HTML of the cells.
    kind : str, default=""
        Class of the table.

    Returns
    -------
    str
    """
    columns = "".join(f'<th scope="col">{name}</th>' for name in head)
    body = "".join(_row(row) for row in rows)
    name = escaped(caption)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{name}">'
        f'<table class="{kind}"><caption>{name}</caption>'
        f"<thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def folded(title: str, content: str) -> str:
    """Return what is shown on a click or a key.

    Parameters
    ----------
    title : str
        What it is; plain text.
    content : str
        HTML.
    """
    return f"<details><summary>{escaped(title)}</summary>{content}</details>"


def figure(
    picture: str, legend: Sequence[tuple[str, str]], numbers: str | None = None
) -> str:
    """Return a picture with what its marks mean, and its numbers behind a click.

    Parameters
    ----------
    picture : str
        SVG.
    legend : sequence of (str, str)
        Class of a mark, and what it means in plain text.
    numbers : str, optional
        HTML of a table; None where one stands beside.
    """
    keys = "".join(
        f'<li><svg class="key" viewBox="0 0 24 12" aria-hidden="true">{_key(kind)}'
        f"</svg>{escaped(meaning)}</li>"
        for kind, meaning in legend
    )
    more = "" if numbers is None else folded("The numbers", numbers)
    return (
        f'<figure>{picture}<figcaption><ul class="legend">{keys}</ul></figcaption>'
        f"{more}</figure>"
    )


def _row(cells: Sequence[str]) -> str:
    first, *others = cells
    rest = "".join(f"<td>{cell}</td>" for cell in others)
    return f'<tr><th scope="row">{first}</th>{rest}</tr>'


# Marks that are no line: an area, or a point.
_AREAS = ("right", "wrong", "band", "exits", "votes", "share")
_POINTS = ("star", "diamond", "candidate", "dot", "hollow")


def _key(kind: str) -> str:
    if kind in _AREAS:
        return f'<rect class="{kind}" x="1" y="1" width="22" height="10"/>'
    if kind in _POINTS:
        if kind in SHAPES:
            return (
                f'<path class="{kind}" d="{SHAPES[kind]}" '
                'transform="translate(12 6) scale(.8)"/>'
            )
        return f'<circle class="{kind}" cx="12" cy="6" r="4"/>'
    return f'<polyline class="{kind}" points="0,6 24,6"/>'
