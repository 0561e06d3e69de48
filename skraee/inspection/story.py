"""What an explanation tells, as plain text, for rich and as HTML."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from html import escape
from typing import Any

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


# Greys that let the page's own colours through are readable on white and on black.
_STYLE = """<style>
.skraee-told {font-family: system-ui, sans-serif; line-height: 1.45; max-width: 60em}
.skraee-told p {margin: .3em 0}
.skraee-told blockquote {margin: .3em 0; padding: .2em .8em;
  border-left: .25em solid rgba(128,128,128,.6); overflow-wrap: anywhere}
.skraee-told .skraee-warning {border-left: .25em solid #d55e00; padding: .2em .8em}
.skraee-told table {border-collapse: collapse; margin: .5em 0; color: inherit;
  background: transparent}
.skraee-told th, .skraee-told td {padding: .15em .8em .15em 0; text-align: left;
  vertical-align: top; overflow-wrap: break-word;
  border-bottom: 1px solid rgba(128,128,128,.35)}
.skraee-told caption {text-align: left; font-weight: 600}
.skraee-told th {font-weight: 600; white-space: nowrap}
.skraee-told td.skraee-share {white-space: nowrap; width: 12em}
.skraee-told tr.skraee-marked td {background: rgba(0,114,178,.2); font-weight: 600}
.skraee-told .skraee-bar {display: inline-block; height: .7em; margin-right: .5em;
  background: #0072b2; border: 1px solid rgba(128,128,128,.6); box-sizing: border-box}
</style>"""


def as_html(story: Story) -> str:
    """Return HTML that needs nothing else: no script, and nothing from a network.

    Parameters
    ----------
    story : Story

    Examples
    --------
    >>> from skraee.inspection.story import Story, as_html
    >>> story = Story("1 < 2", "yes", {"yes": 1.0}, "at once", (), ("a",), (("b",),))
    >>> "<blockquote>1 &lt; 2</blockquote>" in as_html(story)
    True
    """
    warnings = "".join(
        f'<p class="skraee-warning"><strong>Note:</strong> {escape(warning)}</p>'
        for warning in story.warnings
    )
    notes = "".join(f"<p>{escape(note)}</p>" for note in story.notes)
    return (
        f'{_STYLE}<div class="skraee-told">'
        f"<blockquote>{escape(story.text)}</blockquote>"
        f"<p><strong>{escape(story.answer)}</strong>: {escape(story.why)}</p>"
        f"{warnings}{notes}{_proba_table(story)}{_table(story)}</div>"
    )


def _proba_table(story: Story) -> str:
    if not story.proba:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="skraee-share">'
        f'<span class="skraee-bar" style="width:{8 * p:.2f}em"></span>{p:.2f}</td></tr>'
        for name, p in story.likely.items()
    )
    return f"<table><caption>Probability of each class</caption>{rows}</table>"


def _table(story: Story) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in story.columns)
    rows = []
    for i, row in enumerate(story.rows):
        marked = ' class="skraee-marked"' if i == story.marked else ""
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in row)
        rows.append(f"<tr{marked}>{cells}</tr>")
    return (
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
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
