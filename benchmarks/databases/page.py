"""The tables of docs/how-to/large-databases.md."""

from __future__ import annotations

from pathlib import Path

from benchmarks.lines import Line, Lines
from benchmarks.pages import between_marks, table

PAGE = "how-to/large-databases.md"
NAMING = ("figure", "n", "way")

#: Of each figure its columns: what heads them, the field.
TABLES: dict[str, tuple[tuple[str, str], ...]] = {
    "search": (
        ("build, s", "build_s"),
        ("one query, ms", "alone_ms"),
        ("of 64, ms", "batch_ms"),
        ("recall@12", "recall"),
        ("keys, MiB", "keys_mib"),
        ("beside them, MiB", "more_mib"),
        ("on disk, MiB", "tables_mib"),
    ),
    "file": (
        ("file, MiB", "file_mib"),
        ("load, s", "load_s"),
        ("then in memory, MiB", "loaded_mib"),
        ("one query, ms", "alone_ms"),
        ("after 1,000, MiB", "searched_mib"),
    ),
    "share": (
        ("a text, ms", "predict_ms"),
        ("of it retrieval, ms", "search_ms"),
        ("share", "share"),
        ("mean exit", "mean_exit"),
    ),
}


def write_page(lines: Lines, docs: Path) -> None:
    """Write the newest lines of each figure between its marks of the page."""
    newest = {lines.key_of(line): line for line in lines if "failed" not in line}
    for figure, columns in TABLES.items():
        own = [line for line in newest.values() if line["figure"] == figure]
        if own:
            between_marks(docs / PAGE, figure, _tabulated(own, columns))


def _tabulated(lines: list[Line], columns: tuple[tuple[str, str], ...]) -> str:
    rows = [
        [
            f"{line['n']:,}",
            line["way"],
            *(_shown(line.get(field)) for _, field in columns),
        ]
        for line in sorted(lines, key=lambda line: (line["n"], line["way"]))
    ]
    return table(["keys", "", *(head for head, _ in columns)], rows)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:,.10g}"
