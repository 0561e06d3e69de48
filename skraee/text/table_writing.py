"""Tables that the command line writes: as a whole or not at all."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, Any, cast

from skraee.files.replacing import replacing
from skraee.text.csv_format import Writable, write_rows
from skraee.text.json_lines import write_json_lines
from skraee.text.parquet import write_parquet
from skraee.text.table_format import STREAM, Format


def write_table(
    path: Path | None,
    header: Sequence[str],
    rows: Iterable[Sequence[Any]],
    separator: str = ",",
    format: Format = "csv",
    frame: Any = None,
) -> None:
    """Write a file of texts, in UTF-8 and as a whole or not at all.

    Parameters
    ----------
    path : Path or None
        None or ``-`` writes to the standard output, as that encodes.
    header : sequence of str
    rows : iterable of sequence
    separator : str, default=","
        Of a CSV file.
    format : {"csv", "tsv", "jsonl", "parquet"}, default="csv"
    frame : object, optional
        That of the `Table` whose columns come first: a Parquet file keeps their types.
    """
    if format == "parquet":
        _write_binary(path, header, list(rows), frame)
    elif path is None or path == STREAM:
        _write_text(sys.stdout, header, rows, separator, format)
    else:
        with (
            replacing(path) as beside,
            beside.open(
                "w", encoding="utf-8", errors="backslashreplace", newline=""
            ) as file,
        ):
            _write_text(file, header, rows, separator, format)


def _write_text(
    file: Writable,
    header: Sequence[str],
    rows: Iterable[Sequence[Any]],
    separator: str,
    format: Format,
) -> None:
    if format == "jsonl":
        write_json_lines(file, header, rows)
    else:
        cells = ([_flat(cell) for cell in row] for row in rows)
        write_rows(file, chain([header], cells), separator)


def _write_binary(
    path: Path | None, header: Sequence[str], rows: list[Sequence[Any]], frame: Any
) -> None:
    if path is None or path == STREAM:
        stream = cast("IO[bytes]", sys.stdout.buffer)
        write_parquet(stream, header, rows, frame)
        return
    with replacing(path) as beside, beside.open("wb") as file:
        write_parquet(file, header, rows, frame)


def _flat(cell: Any) -> Any:
    """Return what a CSV file can hold of a cell: lists and objects as JSON."""
    if isinstance(cell, list | dict):
        return json.dumps(cell, ensure_ascii=False, default=str)
    return cell
