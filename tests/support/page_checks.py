"""What is wrong with a page for those who do not see it, and what it could do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

_VOID = {"meta", "input", "br", "link", "img", "rect", "circle", "path", "polyline"}
_VOID |= {"polygon"}

# Elements that do not part words.
_INLINE = {"a", "bdi", "strong"}

# Elements that a page loads something with, or that do something by themselves.
_LOADING = {
    "link",
    "img",
    "iframe",
    "object",
    "embed",
    "audio",
    "video",
    "base",
    "form",
}


@dataclass
class Element:
    """An element of a page.

    Attributes
    ----------
    tag : str
    attributes : dict
    parents : list of Element
        The nearest last.
    words : list of str
        All text in it.
    """

    tag: str
    attributes: dict[str, str]
    parents: list[Element]
    words: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What can be read in it."""
        return " ".join("".join(self.words).split())

    def is_in(self, tag: str) -> bool:
        """Whether it stands in an element of a tag."""
        return any(parent.tag == tag for parent in self.parents)


class Page(HTMLParser):
    """A page whose elements all close."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()
        assert [one.tag for one in self._open] == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = {name: value or "" for name, value in attrs}
        assert len(given) == len(attrs), f"{tag} has an attribute twice: {attrs}"
        self.elements.append(Element(tag, given, list(self._open)))
        if tag not in _VOID:
            self._open.append(self.elements[-1])

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag
        if tag not in _INLINE:
            self.handle_data(" ")

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1].tag in ("style", "script"):
            self._open[-1].words.append(data)
            return
        for one in self._open:
            one.words.append(data)

    def all(self, *tags: str) -> list[Element]:
        """Return the elements of some tags, in their order."""
        return [one for one in self.elements if one.tag in tags]

    def by_id(self, name: str) -> Element | None:
        """Return the element of an id."""
        return next(
            (one for one in self.elements if one.attributes.get("id") == name), None
        )


def faults(page: Page) -> list[str]:
    """Return what is wrong with a page for keyboards and screen readers."""
    found = [*_of_names(page), *_of_headings(page), *_of_tables(page), *_of_ids(page)]
    return [*found, *_of_nesting(page)]


def dangers(page: Page) -> list[str]:
    """Return what a page could load, or run, beside one style and one script."""
    found = [one.tag for one in page.all(*_LOADING)]
    for one in page.elements:
        found += [f"{one.tag} {n}" for n in one.attributes if n.startswith("on")]
        found += [f"{one.tag} style" for n in one.attributes if n == "style"]
        found += [f"{one.tag} src" for n in one.attributes if n in ("src", "srcset")]
        target = one.attributes.get("href", "#")
        found += [] if target.startswith("#") else [f"{one.tag} to {target}"]
    for tag in ("style", "script"):
        found += [f"{tag} {i}" for i in range(1, len(page.all(tag)))]
    return found


def _of_names(page: Page) -> Iterator[str]:
    """Yield what has no name: the page, a picture, a button, a field, a region."""
    (html,) = page.all("html")
    if not html.attributes.get("lang"):
        yield "the page has no language"
    if not page.all("title")[0].text:
        yield "the page has no title"
    for one in page.all("button", "a", "summary"):
        if not one.text:
            yield f"{one.tag} without words"
    for one in page.all("input"):
        labels = [parent for parent in one.parents if parent.tag == "label"]
        if not labels or not labels[-1].text:
            yield "field without a label"
    for one in page.all("svg", "section", "nav", "div"):
        if _needs_a_name(one) and not _name_of(page, one):
            yield f"{one.tag} without a name: {one.attributes}"


def _needs_a_name(one: Element) -> bool:
    if one.tag == "svg":
        return one.attributes.get("aria-hidden") != "true"
    return one.tag != "div" or "role" in one.attributes


def _name_of(page: Page, one: Element) -> str:
    named = one.attributes.get("aria-labelledby", "").split()
    referred = [page.by_id(name) for name in named]
    words = [other.text for other in referred if other is not None]
    return " ".join(words) or one.attributes.get("aria-label", "")


def _of_headings(page: Page) -> Iterator[str]:
    levels = [int(one.tag[1]) for one in page.all(*(f"h{i}" for i in range(1, 7)))]
    if levels.count(1) != 1 or levels[0] != 1:
        yield f"not one first heading: {levels}"
    for before, after in pairwise(levels):
        if after > before + 1:
            yield f"h{after} behind h{before}"
    if len(page.all("main")) != 1:
        yield "not one main"


def _of_tables(page: Page) -> Iterator[str]:
    for one in page.all("th"):
        if one.attributes.get("scope") not in ("row", "col"):
            yield "header of nothing"
        if not one.text:
            yield "header without words"
    for table in page.all("table"):
        inside = [one for one in page.elements if table in one.parents]
        tags = Counter(one.tag for one in inside)
        if tags["caption"] != 1 or not tags["th"]:
            yield f"table without caption or headers: {table.text[:50]}"


def _of_ids(page: Page) -> Iterator[str]:
    ids = Counter(
        one.attributes["id"] for one in page.elements if "id" in one.attributes
    )
    yield from (f"id {name} {n} times" for name, n in ids.items() if n > 1)
    for one in page.all("a"):
        if one.attributes["href"].removeprefix("#") not in ids:
            yield f"link to nothing: {one.attributes['href']}"


def _of_nesting(page: Page) -> Iterator[str]:
    for one in page.all("a", "button", "input", "details"):
        if one.is_in("summary") or one.is_in("a") or one.is_in("button"):
            yield f"{one.tag} in what is pressed itself"
    for one in page.elements:
        tabindex = one.attributes.get("tabindex", "0")
        if tabindex not in ("0", "-1"):
            yield f"{one.tag} has its own place in the order of keys"
    for one in page.all("li"):
        if one.parents[-1].tag not in ("ul", "ol"):
            yield "li in no list"
