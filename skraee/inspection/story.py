"""What an explanation tells, as plain text, for rich and as HTML."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from skraee.inspection.markup import escaped, isolated

# Classes whose probability is shown; of the others only the sum is.
_MOST_CLASSES = 10


@dataclass(frozen=True)
class Story:
    """An answer, why it was given, and a table of what led to it.

    Attributes
    ----------
    text : str
        What was asked.
    answer : str
    proba : dict of str to float
        Class -> probability; empty where the answer is no class.
    why : str
        Where it stopped, in a sentence.
    warnings : tuple of str
        What speaks against believing it.
    columns : tuple of str
        Names of the table's columns.
    rows : tuple of tuple of str
        Its rows.
    marked : int or None
        The row that decided.
    notes : tuple of str
        What else there is to know.
    """

    text: str
    answer: str
    proba: dict[str, float]
    why: str
    warnings: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marked: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def likely(self) -> dict[str, float]:
        """The probabilities of all classes, or where these are many the largest."""
        if len(self.proba) <= _MOST_CLASSES:
            return self.proba
        ordered = sorted(self.proba.items(), key=lambda pair: -pair[1])
        rest = ordered[_MOST_CLASSES:]
        others = {f"{len(rest)} others": sum(p for _, p in rest)}
        return dict(ordered[:_MOST_CLASSES]) | others


class Told(ABC):
    """What can be shown in a notebook and by rich, beside its own ``str``."""

    @abstractmethod
    def story(self) -> Story:
        """Return what is told."""

    def _repr_html_(self) -> str:
        return as_html(self.story())

    def __rich__(self) -> Any:
        return _as_rich(self.story())


#: How an explanation looks. Greys that let the page's own colours through are readable
#: on white and on black.
STYLE = """
.skraee-told {font-family: system-ui, sans-serif; line-height: 1.45; max-width: 60em}
.skraee-told p {margin: .3em 0}
.skraee-told blockquote {margin: .3em 0; padding: .2em .8em;
  border-left: .25em solid rgba(128,128,128,.6); overflow-wrap: anywhere}
.skraee-told .skraee-warning {border-left: .25em solid #d55e00; padding: .2em .8em}
.skraee-told .skraee-scroll {overflow-x: auto}
.skraee-told table {border-collapse: collapse; margin: .5em 0; color: inherit;
  background: transparent}
.skraee-told th, .skraee-told td {padding: .15em .8em .15em 0; text-align: left;
  vertical-align: top; overflow-wrap: break-word;
  border-bottom: 1px solid rgba(128,128,128,.35)}
.skraee-told caption {text-align: left; font-weight: 600}
.skraee-told th {font-weight: 600}
.skraee-told td.skraee-share {white-space: nowrap}
.skraee-told tr.skraee-marked td {background: rgba(0,114,178,.2); font-weight: 600}
.skraee-told .skraee-bar {margin-left: .5em; fill: #0072b2;
  stroke: rgba(128,128,128,.6)}
"""


def as_html(story: Story) -> str:
    """Return HTML that needs nothing else: no script, and nothing from a network.

    Parameters
    ----------
    story : Story

    Examples
    --------
    >>> from skraee.inspection.story import Story, as_html
    >>> story = Story("1 < 2", "yes", {"yes": 1.0}, "at once", (), ("a",), (("b",),))
    >>> "<blockquote><bdi>1 &lt; 2</bdi></blockquote>" in as_html(story)
    True
    """
    return f"<style>{STYLE}</style>{bare_html(story)}"


def bare_html(
    story: Story, text_letters: int | None = None, cell_letters: int | None = None
) -> str:
    """Return an explanation for a page that has `STYLE`; it has no style of its own.

    Parameters
    ----------
    story : Story
    text_letters : int, optional
        Letters of the text that are shown; all by default.
    cell_letters : int, optional
        Letters of a class, a note or a cell that are shown; all by default.
    """
    warnings = "".join(
        '<p class="skraee-warning"><strong>Note:</strong> '
        f"{isolated(warning, cell_letters)}</p>"
        for warning in story.warnings
    )
    notes = "".join(f"<p>{isolated(note, cell_letters)}</p>" for note in story.notes)
    answer = isolated(story.answer, cell_letters)
    text = f"<blockquote>{isolated(story.text, text_letters)}</blockquote>"
    return (
        f'<div class="skraee-told">{text if story.text else ""}'
        f"<p><strong>{answer}</strong>: {escaped(story.why)}</p>{warnings}{notes}"
        f"{_proba_table(story, cell_letters)}{_table(story, cell_letters)}</div>"
    )


def _proba_table(story: Story, most: int | None) -> str:
    if not story.proba:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{isolated(name, most)}</th><td class="skraee-share">'
        f"{p:.2f}{_bar(p)}</td></tr>"
        for name, p in story.likely.items()
    )
    return f"<table><caption>Probability of each class</caption>{rows}</table>"


def _bar(p: float) -> str:
    """Draw a probability; as a picture it needs no style that a page may forbid."""
    width = 100 * p
    return (
        f'<svg class="skraee-bar" width="{width + 2:.0f}" height="11" '
        f'aria-hidden="true"><rect x=".5" y=".5" width="{width:.1f}" height="10"/>'
        "</svg>"
    )


def _table(story: Story, most: int | None) -> str:
    head = "".join(f'<th scope="col">{escaped(name)}</th>' for name in story.columns)
    rows = []
    for i, row in enumerate(story.rows):
        marked = ' class="skraee-marked"' if i == story.marked else ""
        cells = "".join(f"<td>{isolated(cell, most)}</td>" for cell in row)
        rows.append(f"<tr{marked}>{cells}</tr>")
    # Where it is wider than a telephone, arrow keys move it.
    return (
        '<div class="skraee-scroll" role="group" tabindex="0" '
        'aria-label="What led to it"><table><caption>What led to it</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _as_rich(story: Story) -> Any:
    """Return what rich draws; only rich asks for it, so it is installed."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    # Of `Text`, not of strings: in these rich would take brackets for its own marks.
    proba = ", ".join(f"{name} {p:.2f}" for name, p in story.likely.items())
    table = Table(*story.columns, box=None, padding=(0, 1))
    for i, row in enumerate(story.rows):
        style = "bold reverse" if i == story.marked else ""
        table.add_row(*map(Text, row), style=style)
    answer = Text.assemble((story.answer, "bold"), f" ({proba})" if proba else "")
    warnings = [Text(f"Note: {warning}", style="yellow") for warning in story.warnings]
    notes = map(Text, story.notes)
    told = Group(Text(story.text), answer, Text(story.why), *warnings, *notes, table)
    return Panel(told, title=Text("explanation"), title_align="left", expand=False)
