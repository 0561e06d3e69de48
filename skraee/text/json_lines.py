"""JSON lines: one object a line, a table if the names are those of columns."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from skraee.text.csv_format import Writable, check_encoding
from skraee.text.piped import Piped

Rows = list[list[Any]]


def read_json_lines(source: Path | Piped) -> tuple[list[str], Rows, list[int]]:
    r"""Read a file with a JSON object on each line; blank lines are left out.

    Parameters
    ----------
    source : Path or Piped
        In UTF-8.

    Returns
    -------
    columns : list of m str
        All names, in the order in which they first come.
    rows : list of n lists of m objects
        None where a line lacks a name.
    lines : list of n int
        Where they stand, from 1 on.

    Raises
    ------
    ValueError
        If a line is no JSON object, or the file is not in UTF-8.
    """
    numbered = list(objects_of(source))
    columns = list(dict.fromkeys(name for _, one in numbered for name in one))
    rows = [[one.get(name) for name in columns] for _, one in numbered]
    return columns, rows, [line for line, _ in numbered]


def objects_of(source: Path | Piped) -> Iterator[tuple[int, dict[str, Any]]]:
    """Go through the objects of a file, one a line; blank lines are left out.

    Parameters
    ----------
    source : Path or Piped
        In UTF-8.

    Yields
    ------
    line : int
        From 1 on.
    found : dict

    Raises
    ------
    ValueError
        If a line is no JSON object, or the file is not in UTF-8.
    """
    check_encoding(source)
    # JSON may hold U+2028 and the like as they are, and only "\n" ends a line.
    with source.open("r", encoding="utf-8-sig", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, _object(line, number, source)


def write_json_lines(
    file: Writable, header: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Write rows as JSON objects, one a line.

    Parameters
    ----------
    file : text file
    header : sequence of str
        Names, each once.
    rows : iterable of sequence
        Numbers that are not finite become null, dates and the like their text.

    Raises
    ------
    ValueError
        If a name stands in the header twice.
    """
    refuse_repeated(header, "a JSON object")
    for row in rows:
        cells = {name: _cell(cell) for name, cell in zip(header, row, strict=True)}
        file.write(json.dumps(cells, ensure_ascii=False, default=str) + "\n")


def refuse_repeated(header: Sequence[str], what: str) -> None:
    """Refuse names that stand in a header twice, where each must be another.

    Parameters
    ----------
    header : sequence of str
    what : str
        That cannot hold them, for the error.

    Raises
    ------
    ValueError
        If there is one.
    """
    for name in header:
        if (count := header.count(name)) > 1:
            raise ValueError(
                f"{what} has each name once, and there are {count} columns {name!r}; "
                "rename all but one, or write CSV."
            )


def _object(line: str, number: int, source: Path | Piped) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise ValueError(
            f"line {number} of {source} is no JSON ({error}); write one object a line, "
            "or name another format with --format."
        ) from error
    if not isinstance(found, dict):
        raise ValueError(
            f"line {number} of {source} holds no JSON object but a "
            f'{type(found).__name__}; write one object a line, as in {{"text": "..."}}.'
        )
    return found


def _cell(cell: Any) -> Any:
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell
