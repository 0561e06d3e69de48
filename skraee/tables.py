"""CSV files of the command line: texts and labels in, answers out."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO


@dataclass(frozen=True)
class Table:
    """The columns of a CSV file.

    Attributes
    ----------
    path : Path
        Named in errors.
    columns : dict of str to list of str
    """

    path: Path
    columns: dict[str, list[str]]

    def column(self, name: str) -> list[str]:
        """Return a column.

        Parameters
        ----------
        name : str

        Raises
        ------
        ValueError
            If there is no such column.
        """
        if name not in self.columns:
            raise ValueError(
                f"{self.path} has no column {name!r}, it has {list(self.columns)}; "
                "name the right one with --text-column or --label-column."
            )
        return self.columns[name]


def read_table(path: Path) -> Table:
    """Read a CSV file with a header line, in UTF-8.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Table

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If it has no header, is not UTF-8, or a row has too few or too many cells.
    """
    if not path.is_file():
        raise OSError(f"there is no file {str(path)!r}; check the path.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file, _long_cells():
            header, *rows = csv.reader(file, strict=True)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not in UTF-8 ({error}); convert it.") from error
    except csv.Error as error:
        raise ValueError(f"{path} is not a CSV file ({error}); check it.") from error
    except ValueError as error:  # nothing to unpack
        raise ValueError(f"{path} is empty; it needs a header line.") from error
    rows = [row for row in rows if row]  # as csv.DictReader does with blank lines
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise ValueError(
                f"{path} has {len(row)} cells in its row {number} but "
                f"{len(header)} columns; quote texts that hold commas."
            )
    columns = {name: [row[i] for row in rows] for i, name in enumerate(header)}
    return Table(path, columns)


def write_table(
    path: Path | None, header: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Write a CSV file, in UTF-8.

    Parameters
    ----------
    path : Path or None
        None writes to the standard output.
    header : sequence of str
    rows : iterable of sequence
    """
    if path is None:
        _write(sys.stdout, header, rows)
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        _write(file, header, rows)


def _write(file: TextIO, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)


@contextmanager
def _long_cells() -> Iterator[None]:
    """Allow texts of more than the 128 kB that the csv module takes by itself."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)
