"""What an explanation looks like in a notebook and in a terminal by rich."""

from __future__ import annotations

import sys
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from skraee import toy
from skraee.inspection.story import Story, as_html
from tests.support.classifiers import early_exit, raee

X, Y = toy.reviews(60)
TRICKY = "<script>alert('x')</script> [bold]a & b[/bold] \"q\""

STORY = Story(
    text=TRICKY,
    answer="<i>yes</i>",
    proba={"no": 0.25, "<i>yes</i>": 0.75},
    why="at once & for all",
    warnings=("far <away>",),
    columns=("layer", "answer"),
    rows=(("0", "no"), ("1", "<i>yes</i>")),
    marked=1,
    notes=("<note>",),
)


class Seen(HTMLParser):
    """Collects tags and text, and refuses tags that do not close."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)


def as_rich(told: Any) -> str:
    console = Console(width=100, record=True, file=StringIO())
    console.print(told)
    return console.export_text()


def test_html_says_everything_as_it_is() -> None:
    seen = Seen(as_html(STORY))
    text = "".join(seen.words)
    for said in (TRICKY, "<i>yes</i>: at once & for all", "far <away>", "<note>"):
        assert said in text
    assert "0.25" in text
    assert "0.75" in text


def test_html_needs_no_script_and_no_network() -> None:
    page = as_html(STORY)
    tags = {tag for tag, _ in Seen(page).tags}
    assert not tags & {"script", "img", "link", "iframe", "i", "b"}
    assert "http" not in page
    assert "url(" not in page
    assert "@import" not in page


def test_html_takes_the_colour_of_its_text_from_the_page() -> None:
    style = as_html(STORY).partition("</style>")[0]
    assert "color: inherit" in style
    assert " color: #" not in style
    assert "background: white" not in style


def test_html_names_the_headers_of_its_tables_for_screen_readers() -> None:
    tags = Seen(as_html(STORY)).tags
    scopes = [attrs["scope"] for tag, attrs in tags if tag == "th"]
    assert scopes == ["row", "row", "col", "col"]


def test_row_that_decided_is_marked() -> None:
    tags = Seen(as_html(STORY)).tags
    rows = [attrs for tag, attrs in tags if tag == "tr"][-2:]
    assert [row.get("class") for row in rows] == [None, "skraee-marked"]


def test_of_many_classes_the_likeliest_are_shown() -> None:
    many = {str(i): (i == 40) * 0.39 + 0.01 for i in range(62)}
    likely = replace(STORY, proba=many).likely
    assert len(likely) == 11
    assert next(iter(likely)) == "40"
    assert likely["52 others"] == pytest.approx(0.52)


@pytest.mark.parametrize("make", [raee, early_exit])
def test_explanations_are_shown_by_notebooks_and_rich_as_they_are(make: Any) -> None:
    clf = make().fit(X, Y)
    told = clf.explain(TRICKY, X)
    words = " ".join(Seen(told._repr_html_()).words)
    shown = " ".join(as_rich(told).replace("│", " ").split())
    for said in (TRICKY, told.why, str(told.label)):
        assert said in words
        assert said in shown
    for name, p in told.proba.items():
        assert f"{name} {p:.2f}" in shown


def test_exit_is_marked_and_neighbours_are_named() -> None:
    confident = early_exit().fit(X, Y).explain(X[0])
    assert confident.story().marked == confident.exit_layer
    near = raee().fit(X, Y).explain(X[0])
    assert [row[2] for row in near.story().rows] == [
        f"text {neighbor.position} of fit" for neighbor in near.neighbors
    ]


def test_rich_is_imported_by_nobody_but_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    told = early_exit().fit(X, Y).explain(X[0])
    assert str(told)
    assert told._repr_html_()
