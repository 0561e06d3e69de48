"""The page as a whole: what it may do, how it looks, what stands where."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

from skraee.inspection.markup import in_a_line, isolated
from skraee.inspection.report import sections, text_sections
from skraee.inspection.report.findings import Findings
from skraee.inspection.story import STYLE

#: What says in a page that a report made it.
GENERATOR = "skraee report"

# Sections by their ids: what the contents call them, and who writes them.
_SECTIONS = {
    "classes": ("Classes", sections.classes),
    "confusion": ("Confusion", sections.confusion),
    "cost": ("Cost and accuracy", sections.cost),
    "exits": ("Exits", sections.exits),
    "calibration": ("Calibration", sections.calibration),
    "wrong": ("Wrong answers", text_sections.wrong),
    "unsure": ("Least sure", text_sections.unsure),
    "deep": ("Deepest", text_sections.deep),
    "classifier": ("The classifier", sections.classifier),
}


def page_of(found: Findings) -> str:
    """Return a report as a page that needs nothing else.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    str
        HTML. Its policy lets its own style and its own script work, by their hashes,
        and nothing else: no text of a user can do anything, should it ever become
        markup.
    """
    style, script = _file("report.css") + STYLE, _file("report.js")
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="generator" content="{GENERATOR}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{in_a_line(found.title, 200)}</title>\n<style>{style}</style>\n"
        f"</head>\n<body>\n{_body(found)}\n<script>{script}</script>\n</body>\n</html>\n"
    )


def _body(found: Findings) -> str:
    links = "".join(
        f'<li><a href="#{name}">{title}</a></li>'
        for name, (title, _) in _SECTIONS.items()
    )
    main = sections.summary(found) + "".join(
        _section(name, title, write(found))
        for name, (title, write) in _SECTIONS.items()
    )
    return (
        '<a class="skip" href="#results">Skip to the results</a>\n'
        f"<header><h1>{isolated(found.title, 200)}</h1></header>\n"
        f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n'
        f'<main id="results" tabindex="-1">{main}</main>\n'
        f"<footer><p>{sections.colophon(found)}</p></footer>"
    )


def _section(name: str, title: str, content: str) -> str:
    return (
        f'\n<section aria-labelledby="{name}"><h2 id="{name}">{title}</h2>'
        f"{content}</section>"
    )


def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
