"""The parts of a page that are about single texts, and why they were answered so."""

from __future__ import annotations

from dataclasses import replace

from skraee.inspection.markup import escaped, isolated
from skraee.inspection.report.findings import Findings
from skraee.inspection.report.listed import ListedText, TextList
from skraee.inspection.report.ways import way_chart
from skraee.inspection.story import Story, bare_html

# Letters of a text in a list, of one that is explained, and of a cell beside that.
_IN_LIST = 300
_EXPLAINED = 2_000
_IN_CELL = 400

# Rows of an explanation: neighbours, or layers.
_MOST_NEIGHBORS = 20
_MOST_LAYERS = 200


def wrong(found: Findings) -> str:
    """Return the wrong answers.

    Parameters
    ----------
    found : Findings
    """
    shown = _list_of(found, "wrong")
    if not shown.n_texts:
        return "<p>Every answer is right.</p>"
    return _about(
        f"{shown.n_texts:,} of {found.evaluation.n_texts:,} answers are wrong. The "
        "most confident come first: there the label is wrong, or the model is.",
        found,
        shown,
    )


def unsure(found: Findings) -> str:
    """Return the answers of the lowest probability.

    Parameters
    ----------
    found : Findings
    """
    return _about(
        "The answers with the lowest probability, right or wrong. To label texts like "
        "these helps most.",
        found,
        _list_of(found, "unsure"),
    )


def deep(found: Findings) -> str:
    """Return the texts that ran the most layers.

    Parameters
    ----------
    found : Findings
    """
    shown = _list_of(found, "deep")
    if not shown.n_texts:
        return "<p>All texts stopped at the same layer, so none ran deeper.</p>"
    return _about(
        f"{shown.n_texts:,} texts ran deeper than the ones that stopped first; those "
        "that cost most come first.",
        found,
        shown,
    )


def _list_of(found: Findings, name: str) -> TextList:
    return next(one for one in found.lists if one.name == name)


def _about(said: str, found: Findings, shown: TextList) -> str:
    """Return a list of texts behind what there is to say of it."""
    if not shown.texts:
        return f"<p>{said} No texts are listed here.</p>"
    before = _listed_before(found, shown)
    items = "".join(_item(text, text.position in before) for text in shown.texts)
    return (
        f"<p>{said}</p>{_notes(found, shown)}{_tools(shown.name)}"
        f'<ol class="texts" id="{shown.name}-list">{items}</ol>'
    )


def _listed_before(found: Findings, shown: TextList) -> set[int]:
    """Return the positions of the texts that an earlier list has explained."""
    places = found.lists.index(shown)
    return {
        text.position
        for one in found.lists[:places]
        for text in one.texts
        if text.told is not None
    }


def _notes(found: Findings, shown: TextList) -> str:
    notes = []
    if shown.n_texts > len(shown.texts):
        notes.append(f"The first {len(shown.texts):,} are listed.")
    n_explained = sum(text.told is not None for text in shown.texts)
    if not found.explains:
        name = escaped(found.facts["class"])
        notes.append(f"{name} is a baseline, which explains nothing.")
    elif n_explained < len(shown.texts):
        notes.append(
            f"{n_explained:,} of these have an explanation, on a click or with Enter."
        )
    else:
        notes.append("Each has an explanation, on a click or with Enter.")
    return f'<p class="quiet">{" ".join(notes)}</p>'


def _tools(name: str) -> str:
    """Return what the page's script works with; nobody sees it where none runs."""
    return (
        f'<div class="tools" data-list="{name}-list" hidden><label>Only texts with'
        ' <input type="search" autocomplete="off"></label>'
        '<button type="button">Open all</button>'
        '<button type="button">Close all</button><output></output></div>'
    )


def _item(text: ListedText, is_again: bool) -> str:
    head = _head(text)
    anchor = f"text-{text.position}"
    if is_again:
        again = f'<a href="#{anchor}">explained above</a>'
        return f'<li><p class="plain">{head} {again}</p></li>'
    if text.told is None:
        return f'<li><p class="plain">{head}</p></li>'
    return (
        f'<li id="{anchor}"><details><summary>{head}</summary>'
        f"{_explanation(text, anchor)}</details></li>"
    )


def _head(text: ListedText) -> str:
    """Return a text and what came of it, in a few lines."""
    words = isolated(text.text, _IN_LIST) if text.text.strip() else "(an empty text)"
    verdict, kind = ("right", "right") if text.is_right else ("wrong", "wrong")
    answer = isolated(text.answer, _IN_CELL)
    instead = "" if text.is_right else f", right is {isolated(text.label, _IN_CELL)}"
    return (
        f'{words}<span class="about"><span class="verdict-{kind}">{verdict}</span>: '
        f"{answer} at {text.confidence:.2f}{instead}; layer {text.exit_layer}; text "
        f"{text.position + 1:,} of the data.</span>"
    )


def _explanation(text: ListedText, anchor: str) -> str:
    if text.told is None:
        return ""
    story, n_left_out = _bounded(text)
    notes = []
    if text.n_letters > _EXPLAINED:
        notes.append(
            f"The text has {text.n_letters:,} letters; the first {_EXPLAINED:,} are "
            "shown."
        )
    if n_left_out:
        notes.append(f"{n_left_out:,} further rows of the last table are left out.")
    more = f'<p class="quiet">{" ".join(notes)}</p>' if notes else ""
    chart = way_chart(text.told, f"{anchor}-way")
    return f"{chart}{bare_html(story, _EXPLAINED, _IN_CELL)}{more}"


def _bounded(text: ListedText) -> tuple[Story, int]:
    """Return why, with as many rows as there is room for, and how many are left out."""
    assert text.told is not None
    story = text.told.story()
    most = _MOST_NEIGHBORS if story.marked is None else _MOST_LAYERS
    # A text that is short stands above as a whole.
    words = story.text if text.n_letters > _IN_LIST else ""
    kept = replace(story, text=words, rows=story.rows[:most])
    return kept, max(0, len(story.rows) - most)
