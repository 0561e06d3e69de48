"""The tables of docs/service.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.lines import Line, Lines
from benchmarks.pages import between_marks, table

PAGE = "service.md"
NAMING = ("figure", "backbone", "clients")

#: Of each figure its title, and its columns: what heads them, the field.
TABLES: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "load": (
        "One text a request",
        (
            ("clients", "clients"),
            ("texts a second", "texts_per_s"),
            ("predict, as many texts a call", "direct"),
            ("of that", "of_direct"),
            ("predict, all in one call", "direct_whole"),
            ("texts a batch", "texts_a_batch"),
            ("p50, ms", "p50_ms"),
            ("p99, ms", "p99_ms"),
            ("answered", "n"),
            ("lost", "lost"),
            ("other than predict", "wrong"),
        ),
    ),
    "junk": (
        "Beside 30 clients that are slow, leave early or send junk",
        (
            ("clients", "clients"),
            ("texts a second", "texts_per_s"),
            ("p50, ms", "p50_ms"),
            ("p99, ms", "p99_ms"),
            ("lost", "lost"),
            ("other than predict", "wrong"),
            ("files open more than before", "more_files"),
            ("MiB more", "more_mib"),
            ("texts left waiting", "waiting"),
        ),
    ),
    "kill": (
        "Killed under load, and started again on its port",
        (
            ("clients", "clients"),
            ("answered", "n"),
            ("cut off in an answer", "lost"),
            ("other than predict", "wrong"),
            ("asked again", "refused"),
            ("seconds until ready", "seconds_until_ready"),
        ),
    ),
    "stop": (
        "Stopped by SIGTERM under load",
        (
            ("clients", "clients"),
            ("answered", "n"),
            ("cut off in an answer", "lost"),
            ("other than predict", "wrong"),
            ("seconds to stop", "seconds_to_stop"),
        ),
    ),
}


def write_page(lines: Lines, docs: Path) -> None:
    """Write the newest lines of each figure between the marks of the page."""
    newest = {lines.key_of(line): line for line in lines}
    parts = []
    for figure, (title, columns) in TABLES.items():
        own = [line for line in newest.values() if line["figure"] == figure]
        if own:
            parts += [f"## {title}\n", _tabulated(own, columns)]
    between_marks(docs / PAGE, "service", "\n".join(parts))


def _tabulated(lines: Sequence[Line], columns: Sequence[tuple[str, str]]) -> str:
    ordered = sorted(lines, key=lambda line: (line["backbone"], line["clients"]))
    rows = [
        [line["backbone"], *(_shown(line.get(field)) for _, field in columns)]
        for line in ordered
    ]
    return table(["backbone", *(head for head, _ in columns)], rows)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:,.10g}"
