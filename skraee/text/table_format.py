"""The formats of tables, told by the endings of their files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

Format = Literal["csv", "tsv", "jsonl", "parquet"]

#: All of them, for options.
FORMATS: tuple[Format, ...] = get_args(Format)

#: The path that means the standard input, or the standard output.
STREAM = Path("-")

#: Endings of files -> their formats.
ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}

# Endings of other formats -> what to do about such a file.
_OTHERS = {
    ".json": "write one JSON object a line, as in a .jsonl file, or give "
    "--format jsonl if it is so",
    ".xlsx": "save it as CSV in UTF-8",
    ".xls": "save it as CSV in UTF-8",
    ".ods": "save it as CSV in UTF-8",
    ".gz": "unpack it first",
    ".zip": "unpack it first",
}


def format_of(
    path: Path | None, given: Format | None = None, otherwise: Format = "csv"
) -> Format:
    """Tell the format of a table.

    Parameters
    ----------
    path : Path or None
        None or ``-`` is a stream, which has no ending.
    given : {"csv", "tsv", "jsonl", "parquet"}, optional
        What the user says; it counts more than an ending.
    otherwise : {"csv", "tsv", "jsonl", "parquet"}, default="csv"
        What a stream, and a file with an ending that says nothing, is taken for.

    Returns
    -------
    {"csv", "tsv", "jsonl", "parquet"}

    Raises
    ------
    ValueError
        If the ending is that of another format, such as a spreadsheet.

    Examples
    --------
    >>> format_of(Path("texts.TSV")), format_of(Path("texts.txt"))
    ('tsv', 'csv')
    """
    if given is not None:
        return given
    if path is None or path == STREAM:
        return otherwise
    ending = path.suffix.lower()
    if ending in _OTHERS:
        raise ValueError(
            f"{path} ends in {path.suffix}, which is none of CSV, TSV, JSON lines and "
            f"Parquet; {_OTHERS[ending]}."
        )
    return ENDINGS.get(ending, otherwise)
