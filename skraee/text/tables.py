"""Tables of the command line: texts and labels in, answers out."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from skraee.files.replacing import replacing
from skraee.text.csv_format import (
    Row,
    check_encoding,
    long_cells,
    rows_of,
    separator_of,
    write_rows,
)


@dataclass(frozen=True)
class Table:
    """What a CSV file holds; classifiers take it as they take a DataFrame.

    Attributes
    ----------
    path : Path
        Named in errors.
    separator : str
        Of its cells.
    columns : list of m str
        The header. A name may stand there twice, as long as nobody asks for it.
    rows : list of n lists of m str
    lines : list of n int
        The line of the file in which each row starts, from 1 on.
    """

    path: Path
    separator: str
    columns: Row
    rows: list[Row]
    lines: list[int]

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return len(self.rows), len(self.columns)

    def __getitem__(self, name: str) -> list[str]:
        return self.column(name)

    def column(self, name: str, way_out: str = "add one of this name") -> list[str]:
        """Return a column.

        Parameters
        ----------
        name : str
        way_out : str
            What to do where it is missing, for the error.

        Raises
        ------
        ValueError
            If there is no such column, or more than one.
        """
        places = [i for i, other in enumerate(self.columns) if other == name]
        if not places:
            raise ValueError(
                f"{self.path} has no column {name!r}, it has {self.columns}, separated "
                f"by {self.separator!r}; {way_out}."
            )
        if len(places) > 1:
            numbers = " and ".join(str(place + 1) for place in places)
            raise ValueError(
                f"{self.path} has {len(places)} columns {name!r}, the numbers {numbers}"
                f" of its {len(self.columns)}; rename all but the right one."
            )
        return [row[places[0]] for row in self.rows]

    def row(self, place: int) -> Table:
        """Return a table of one row, that of a place from 0 on."""
        return replace(self, rows=[self.rows[place]], lines=[self.lines[place]])

    def texts(
        self, fields: Sequence[str], text_column: str | None = None
    ) -> list[str] | Table:
        """Return what a classifier takes for a template with these fields.

        Parameters
        ----------
        fields : sequence of str
            Each takes the column of its name.
        text_column : str, optional
            Name of another column, where there is one field.

        Returns
        -------
        list of n str, or Table
            The column of the one field, or this table for several.

        Raises
        ------
        ValueError
            If a field has no column, or more than one.
        """
        if len(fields) == 1:
            name = fields[0] if text_column is None else text_column
            return self.column(name, "name the right one with --text-column")
        if text_column is not None:
            raise ValueError(
                f"--text-column {text_column} is for templates with one field, and "
                f"the fields {list(fields)} take the columns of their names; leave it "
                "out."
            )
        for name in fields:
            self.column(name, "each field of the template takes the column of its name")
        return self

    def labels(self, name: str) -> list[str]:
        """Return the column of labels, none of which is empty.

        Parameters
        ----------
        name : str

        Raises
        ------
        ValueError
            If there is no such column, or more than one, if there are no rows, or
            some without a label.
        """
        labels = self.column(name, "name the right one with --label-column")
        if not labels:
            raise ValueError(
                f"{self.path} has a header and no rows; add texts with their labels."
            )
        empty = [i for i, label in enumerate(labels) if not label.strip()]
        if empty:
            raise ValueError(
                f"{self.path} has no label in the column {name!r} of {len(empty)} of "
                f"its {len(labels)} rows, first in line {self.lines[empty[0]]}; label "
                "these texts or leave them out."
            )
        return labels


def read_table(path: Path, separator: str | None = None) -> Table:
    """Read a CSV file with a header line, in UTF-8; blank lines are left out.

    Parameters
    ----------
    path : Path
    separator : str, optional
        Of the cells, one character. By default what Excel's line ``sep=`` says, or else
        the comma, semicolon, tab or bar under which the file looks most like a table.

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
    check_encoding(path)
    with long_cells():
        separator = separator or separator_of(path)
        numbered = _numbered(path, separator)
    if not numbered:
        raise ValueError(f"{path} is empty; it needs a header line.")
    header = numbered.pop(0)[1]
    for line, cells in numbered:
        if len(cells) != len(header):
            raise ValueError(
                f"line {line} of {path} has {len(cells)} cells and the header "
                f"{len(header)}, separated by {separator!r}; quote texts that hold it "
                "or a line break, or name another with --separator."
            )
    lines, rows = [line for line, _ in numbered], [cells for _, cells in numbered]
    return Table(path, separator, header, rows, lines)


def write_table(
    path: Path | None,
    header: Sequence[str],
    rows: Iterable[Sequence[Any]],
    separator: str = ",",
) -> None:
    """Write a CSV file, in UTF-8 and as a whole or not at all.

    Parameters
    ----------
    path : Path or None
        None writes to the standard output, as that encodes.
    header : sequence of str
    rows : iterable of sequence
    separator : str, default=","
    """
    whole = chain([header], rows)
    if path is None:
        write_rows(sys.stdout, whole, separator)
        return
    with (
        replacing(path) as beside,
        beside.open(
            "w", encoding="utf-8", errors="backslashreplace", newline=""
        ) as file,
    ):
        write_rows(file, whole, separator)


def _numbered(path: Path, separator: str) -> list[tuple[int, Row]]:
    try:
        return list(rows_of(path, separator))
    except csv.Error as error:
        raise ValueError(
            f"{path} is not a CSV file separated by {separator!r}: {error}; double the "
            "quotes inside of quotes, or name another with --separator."
        ) from error
