"""The report in a browser: loading, keys, colours, sizes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from skraee import toy
from skraee.inspection import Report
from tests.inspection.report.conftest import GIVEN, NEW
from tests.support.browser import BROWSER, Browser, browser
from tests.support.classifiers import early_exit

pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no browser")

CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")
FOCUSED = "document.activeElement"


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as one:
        yield one


@pytest.fixture(scope="module")
def page(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    report.save(path)
    return path


@pytest.fixture(scope="module")
def wide_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of twelve classes with long names, and texts without spaces."""
    texts, _ = toy.reviews(72)
    names = np.array([f"a class whose name is long {i}" for i in range(12)])
    clf = early_exit().fit(texts, names[np.arange(72) % 12])
    texts[0] = "x" * 5_000
    path = tmp_path_factory.mktemp("page") / "report.html"
    Report.of(clf, texts, names[np.arange(72) // 6], explain=4, title="y" * 300).save(
        path
    )
    return path


def press_until(tab: Browser, found: str, most: int = 60) -> None:
    """Go on with Tab until something is true of what has the focus."""
    for _ in range(most):
        tab.press("Tab")
        if tab.run(found):
            return
    raise AssertionError(f"{most} tabs do not lead to: {found}")


def test_page_loads_without_complaints_and_asks_for_nothing_else(tab, page):
    tab.look()
    tab.open(page)
    assert tab.requests() == [page.as_uri()]
    assert tab.complaints() == []
    assert tab.run("document.querySelectorAll('.tools[hidden]').length") == 0


def test_script_of_a_text_would_not_run(tab, page, tmp_path):
    """Even if markup of a text came through: the policy holds it."""
    path = tmp_path / "attacked.html"
    attack = (
        "<script>document.title = 'attacked'</script>"
        "<img src='https://localhost/x.png' onerror=\"document.title = 'attacked'\">"
        "<p id='attack' style='color: red'>attack</p>"
    )
    html = page.read_text(encoding="utf-8").replace("<footer>", f"{attack}<footer>")
    path.write_text(html, encoding="utf-8")
    tab.look()
    tab.open(path)
    assert tab.run("document.title") != "attacked"
    colour = "getComputedStyle(document.getElementById('attack')).color"
    assert tab.run(colour) == "rgb(27, 31, 36)"
    assert len(tab.complaints()) >= 3
    assert [url for url in tab.requests() if url.startswith("https:")] == []


@pytest.mark.parametrize("key", ["Enter", " "])
def test_explanation_opens_and_closes_by_keys(key, tab, page):
    tab.look()
    tab.open(page)
    in_list = f"{FOCUSED}.matches('.texts summary')"
    press_until(tab, in_list)
    is_open = f"{FOCUSED}.parentElement.open"
    seen = f"{FOCUSED}.parentElement.querySelector('table').checkVisibility()"
    assert (tab.run(is_open), tab.run(seen)) == (False, False)
    tab.press(key)
    assert (tab.run(is_open), tab.run(seen)) == (True, True)
    tab.press(key)
    assert tab.run(is_open) is False


def test_first_tab_leads_past_the_contents(tab, page):
    tab.look()
    tab.open(page)
    tab.press("Tab")
    assert tab.run(f"{FOCUSED}.textContent") == "Skip to the results"
    assert tab.run(f"{FOCUSED}.getBoundingClientRect().left") > 0
    tab.press("Enter")
    assert tab.run("location.hash") == "#results"
    press_until(tab, f"{FOCUSED}.closest('main') !== null", most=1)


def test_what_has_the_focus_is_seen_to(tab, page):
    tab.look()
    tab.open(page)
    for found in ("nav a", "summary", "button", "input", ".scroll"):
        press_until(tab, f"{FOCUSED}.matches('{found}')")
        assert tab.run(f"getComputedStyle({FOCUSED}).outlineStyle") != "none"


def test_link_to_an_explanation_opens_it(tab, page):
    tab.look()
    tab.open(page)
    tab.run("document.querySelector('.texts .plain a').focus(); 1")
    tab.press("Enter")
    target = "document.querySelector(location.hash + ' details')"
    tab.wait(f"location.hash && {target}.open")
    tab.wait(f"{FOCUSED} === {target}.querySelector('summary')")


def test_texts_can_be_sought_and_opened_at_once(tab, page):
    tab.look()
    tab.open(page)
    items = "Array.from(document.querySelectorAll('#unsure-list > li'))"
    shown = f"{items}.filter((item) => item.getClientRects().length).length"
    before = tab.run(shown)
    tab.run("document.querySelector('[data-list=unsure-list] input').focus(); 1")
    tab.ask("Input.insertText", text="no such words")
    assert (before, tab.run(shown)) == (10, 0)
    said = "document.querySelector('[data-list=unsure-list] output').value"
    assert tab.run(said) == "0 shown"
    tab.run("document.querySelector('[data-list=wrong-list] button').click()")
    opened = "document.querySelectorAll('#wrong-list details[open]').length"
    assert tab.run(opened) == tab.run(
        "document.querySelectorAll('#wrong-list details').length"
    )
    assert tab.run(opened) > 0


def test_page_works_without_its_script(tab, page, tmp_path):
    tab.ask("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.open(page)
        assert tab.complaints() == []
        press_until(tab, f"{FOCUSED}.matches('.texts summary')")
        tab.press("Enter")
        assert tab.run(f"{FOCUSED}.parentElement.open") is True
        assert tab.run("document.querySelectorAll('.tools:not([hidden])').length") == 0
    finally:
        tab.ask("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.parametrize("media", ["screen", "print"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_is_told_from_what_lies_behind_it(scheme, media, tab, page):
    tab.look(scheme, media=media)
    tab.open(page)
    tab.run("for (const one of document.querySelectorAll('details')) one.open = true")
    found = tab.run(CONTRAST)
    assert found["faults"] == []
    assert found["seen"] > 300
    is_dark = tab.run("getComputedStyle(document.body).backgroundColor") != (
        "rgb(255, 255, 255)"
    )
    assert is_dark == (scheme == "dark" and media == "screen")


@pytest.mark.parametrize("width", [360, 768, 1400])
@pytest.mark.parametrize("name", ["page", "wide_page"])
def test_page_is_no_wider_than_the_window(name, width, tab, request):
    tab.look(width=width)
    tab.open(request.getfixturevalue(name))
    tab.run("for (const one of document.querySelectorAll('details')) one.open = true")
    assert tab.run("document.documentElement.scrollWidth") <= width
    outside = (
        "Array.from(document.querySelectorAll('main *')).filter((one) => "
        "!one.closest('.scroll, .skraee-scroll, svg') && "
        f"one.getBoundingClientRect().right > {width} + 1)"
        ".map((one) => one.outerHTML.slice(0, 80))"
    )
    assert tab.run(outside) == []


def test_what_cannot_be_seen_as_a_whole_is_reached_by_keys(tab, wide_page):
    tab.look(width=360)
    tab.open(wide_page)
    hidden = (
        "Array.from(document.querySelectorAll('.scroll')).filter((one) => "
        "one.scrollWidth > one.clientWidth).map((one) => one.tabIndex)"
    )
    found = tab.run(hidden)
    assert len(found) >= 1
    assert set(found) == {0}


def test_screen_reader_finds_names_for_pictures_and_what_is_pressed(tab, page):
    tab.look()
    tab.open(page)
    tab.ask("Accessibility.enable")
    nodes = tab.ask("Accessibility.getFullAXTree")["nodes"]
    nodes = [node for node in nodes if not node.get("ignored")]
    named = {"image", "button", "link", "searchbox", "DisclosureTriangle", "table"}
    roles: dict[str, list[str]] = {}
    for node in nodes:
        role, name = node["role"]["value"], node.get("name", {}).get("value", "")
        roles.setdefault(role, []).append(name)
    for role in named & roles.keys():
        assert all(roles[role]), (role, roles[role])
    assert {"image", "button", "link", "searchbox", "table"} <= roles.keys()
    assert "Where texts stop" in roles["image"]
    assert len(roles["main"]) == len(roles["navigation"]) == 1


def test_texts_of_the_page_are_those_of_the_data(tab, page):
    tab.look()
    tab.open(page)
    words = tab.run(
        "Array.from(document.querySelectorAll('.texts > li bdi:first-of-type'))"
        ".map((one) => one.textContent)"
    )
    assert set(words) & set(NEW)
    assert tab.run("document.querySelector('h1').textContent").endswith(
        f"on {len(GIVEN)} texts"
    )
