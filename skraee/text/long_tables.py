"""Tables that are longer than memory: they are read some rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from skraee.text.csv_format import checked_rows, head_of
from skraee.text.json_lines import objects_of
from skraee.text.piped import Piped
from skraee.text.table_format import Format
from skraee.text.tables import Table, source_of, tab_or, whole_parquet

NumberedRows = Iterator[tuple[int, list[Any]]]


@dataclass(frozen=True)
class LongTable:
    """A file of texts whose rows come in parts.

    Attributes
    ----------
    head : Table
        Its columns and format, without any rows.
    n_rows : int
        How many there are.
    read : callable
        Goes through the rows, each with the line in which it starts.
    """

    head: Table
    n_rows: int
    read: Callable[[], NumberedRows]

    def parts(self, size: int) -> Iterator[Table]:
        """Cut the rows into tables, and hold one at a time.

        Parameters
        ----------
        size : int
            Rows of a table; the last one may have fewer.

        Yields
        ------
        Table
        """
        numbered = self.read()
        while some := list(islice(numbered, size)):
            lines, rows = zip(*some, strict=True)
            yield replace(self.head, rows=list(rows), lines=list(lines))


def open_table(
    path: Path, separator: str | None = None, format: Format | None = None
) -> LongTable:
    r"""Look through a file of texts, so that it can be read in parts.

    All that `read_table` refuses is refused here, before the first row is used. Of CSV,
    TSV and JSON lines no more than a row is held; a Parquet file, and what comes by a
    pipe, is held as a whole.

    Parameters
    ----------
    path : Path
        ``-`` is the standard input.
    separator : str, optional
        As in `read_table`.
    format : {"csv", "tsv", "jsonl", "parquet"}, optional
        As in `read_table`.

    Returns
    -------
    LongTable

    Raises
    ------
    OSError, ImportError, ValueError
        As `read_table` does.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "texts.csv")
    ...     _ = path.write_text("text\nfine\ndull\nwarm\n", encoding="utf-8")
    ...     table = open_table(path)
    ...     [part["text"] for part in table.parts(2)]
    [['fine', 'dull'], ['warm']]
    """
    source, kind = source_of(path, format)
    if kind == "parquet":
        return _held(whole_parquet(source))
    if kind == "jsonl":
        return _of_json_lines(source)
    separator, header = head_of(source, tab_or(separator, kind))
    read = partial(checked_rows, source, separator, header)
    return _counted(Table(source, separator, header, [], [], kind), read)


def _of_json_lines(source: Path | Piped) -> LongTable:
    names: dict[str, None] = {}
    for _, found in objects_of(source):
        names.update(dict.fromkeys(found))
    columns = list(names)

    def read() -> NumberedRows:
        for line, found in objects_of(source):
            yield line, [found.get(name) for name in columns]

    return _counted(Table(source, ",", columns, [], [], "jsonl"), read)


def _counted(head: Table, read: Callable[[], NumberedRows]) -> LongTable:
    """Go through all rows once: what is wrong with one is told now."""
    return LongTable(head, sum(1 for _ in read()), read)


def _held(table: Table) -> LongTable:
    numbered = list(zip(table.lines, table.rows, strict=True))
    return LongTable(
        replace(table, rows=[], lines=[]), len(numbered), numbered.__iter__
    )
