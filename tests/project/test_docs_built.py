"""The built pages: no warnings, no network, every inherited method, real formulas."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import skraee
from skraee import baselines
from tests.support.pages import DOCS, PAGES, script

pytestmark = pytest.mark.slow

# What a browser fetches by itself when it shows a page.
FETCHED = {
    "script": "src",
    "img": "src",
    "source": "src",
    "iframe": "src",
    "link": "href",
    "object": "data",
    "use": "href",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for package in ("sphinx", "furo", "latex2mathml"):
        pytest.importorskip(package, reason="the extra `docs` is not installed")
    folder = tmp_path_factory.mktemp("html")
    command = [sys.executable, "-m", "sphinx", "-W", "-b", "html"]
    done = subprocess.run(
        [*command, str(DOCS), str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


class Fetched(HTMLParser):
    """Collects what a page fetches."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.found.append(given.get(FETCHED.get(tag, "")) or "")
        self.found += re.findall(r"url\(([^)]*)\)", given.get("style") or "")


def is_elsewhere(address: str) -> bool:
    return re.match(r"""["']?(https?:)?//""", address) is not None


def test_pages_fetch_nothing_from_elsewhere(built: Path) -> None:
    pages = list(built.rglob("*.html"))
    assert len(pages) > len(PAGES)
    for page in pages:
        fetched = Fetched(page).found
        assert [address for address in fetched if is_elsewhere(address)] == [], page


def test_styles_and_scripts_fetch_nothing_from_elsewhere(built: Path) -> None:
    for style in built.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        named = re.findall(r"url\(([^)]*)\)|@import\s+([^;]*)", text)
        assert [a for pair in named for a in pair if is_elsewhere(a)] == [], style
    for program in built.rglob("*.js"):
        text = program.read_text(encoding="utf-8")
        assert re.findall(r"(?:fetch|import)\(\s*[\"'`]https?:", text) == [], program


def test_what_a_page_fetches_is_told_from_what_it_links_to(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        '<a href="https://a"></a><img src="//b/c.png"><script src="https://d"></script>'
        '<p style="background: url(https://e)"></p><img src="own.png">'
    )
    away = [address for address in Fetched(page).found if is_elsewhere(address)]
    assert away == ["//b/c.png", "https://d", "https://e"]


class Linked(HTMLParser):
    """Collects where a page's links lead, and where others can lead to in it."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.places: set[str] = {""}
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.places |= {given.get("id") or "", given.get("name") or ""}
        self.links |= {given.get("href") or "", given.get("src") or ""} - {""}


def dead_links(root: Path) -> list[tuple[str, str]]:
    """Return page and link of each that leads nowhere in a folder of pages."""
    pages = {page.resolve(): Linked(page) for page in root.rglob("*.html")}
    dead = []
    for page, found in pages.items():
        for link in sorted(found.links):
            parts = urlsplit(link)
            end = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            is_there = end.is_file()
            # Pages of source lead back by names of their own making.
            if is_there and end in pages and "_modules" not in page.parts:
                is_there = unquote(parts.fragment) in pages[end].places
            if not (is_there or parts.scheme or parts.netloc):
                dead.append((page.name, link))
    return sorted(dead)


def test_every_link_within_the_pages_leads_somewhere(built: Path) -> None:
    assert dead_links(built) == []


def test_links_that_lead_nowhere_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<a href="b.html#x"></a><a href="b.html#y"></a>')
    (tmp_path / "b.html").write_text(
        '<p id="x"></p><a href="#x"></a><img src="c.png"><a href="https://d#e"></a>'
    )
    assert dead_links(tmp_path) == [("a.html", "b.html#y"), ("b.html", "c.png")]


def documented(page: Path) -> set[str]:
    return set(re.findall(r'id="(skraee\.[\w.]+)"', page.read_text(encoding="utf-8")))


def public_methods(cls: type) -> Iterator[str]:
    made = re.compile(r"set_\w+_request|get_metadata_routing|[gs]et_params")
    for name, _ in inspect.getmembers(cls, inspect.isroutine):
        if not name.startswith("_") and not made.fullmatch(name):
            yield name


@pytest.mark.parametrize("name", [c for c in skraee.__all__ if c[0].isupper()])
def test_public_class_has_all_its_methods_in_the_reference(
    name: str, built: Path
) -> None:
    methods = {f"skraee.{name}.{m}" for m in public_methods(getattr(skraee, name))}
    assert methods - documented(built / "api.html") == set()


@pytest.mark.parametrize("name", baselines.__all__)
def test_baseline_has_all_its_methods_in_the_reference(name: str, built: Path) -> None:
    found = documented(built / "api-baselines.html")
    methods = public_methods(getattr(baselines, name))
    assert {f"skraee.baselines.{name}.{m}" for m in methods} - found == set()


def test_classifiers_are_seen_to_inherit() -> None:
    methods = set(public_methods(skraee.EarlyExitClassifier))
    assert {"predict", "predict_proba", "score", "fit", "save", "load"} <= methods


def test_equations_lead_to_their_functions(built: Path) -> None:
    page = (built / "concepts" / "raee.html").read_text(encoding="utf-8")
    for name in ("exit_information", "select_votes", "neighbor_weights", "exit_scores"):
        assert f"../api-parts.html#skraee.exits.voting.{name}" in page
    assert page.count("<math ") > 20
    assert page.count('class="equation-number"') == 3
    assert re.search("<script[^>]*mathjax", page, re.IGNORECASE) is None


def test_words_are_a_glossary(built: Path) -> None:
    page = (built / "concepts" / "words.html").read_text(encoding="utf-8")
    assert '<dl class="simple glossary">' in page or '<dl class="glossary">' in page
    assert 'id="term-backbone"' in page
    raee = (built / "concepts" / "raee.html").read_text(encoding="utf-8")
    assert 'href="words.html#term-key"' in raee


def test_pictures_have_a_text_for_those_who_do_not_see_them(built: Path) -> None:
    for page in built.rglob("*.html"):
        for image in re.findall(r"<img [^>]*>", page.read_text(encoding="utf-8")):
            assert re.search(r'alt="[^"]+"', image), f"{page.name}: {image}"


def test_errors_of_the_code_stand_on_their_page(built: Path) -> None:
    page = (built / "errors.html").read_text(encoding="utf-8")
    plain = " ".join(unescape(re.sub(r"<[^>]+>", "", page)).split())
    for message in script("messages", "_ext").messages()[::10]:
        longest = max(message.parts[0].split("\0")[::2], key=len)
        assert longest.strip() in plain, message
