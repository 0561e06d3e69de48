"""Tables of the command line: texts and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from skraee.text.csv_format import read_csv
from skraee.text.json_lines import read_json_lines
from skraee.text.parquet import read_parquet
from skraee.text.piped import Piped
from skraee.text.table_format import STREAM, Format, format_of


@dataclass(frozen=True)
class Table:
    """What a file of texts holds; classifiers take it as they take a DataFrame.

    Attributes
    ----------
    path : Path or Piped
        Named in errors.
    separator : str
        Of its cells, where it is a CSV or TSV file.
    columns : list of m str
        The header. A name may stand there twice, as long as nobody asks for it.
    rows : list of n lists of m objects
        All str from CSV and TSV files.
    lines : list of n int
        The line of the file in which each row starts, from 1 on; of a Parquet file the
        number of the row.
    format : {"csv", "tsv", "jsonl", "parquet"}
        Of the file.
    frame : object
        What a Parquet file holds with its types.
    """

    path: Path | Piped
    separator: str
    columns: list[str]
    rows: list[list[Any]]
    lines: list[int]
    format: Format = "csv"
    frame: Any = field(default=None, compare=False, repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return len(self.rows), len(self.columns)

    def __getitem__(self, name: str) -> list[Any]:
        return self.column(name)

    def column(self, name: str, way_out: str = "add one of this name") -> list[Any]:
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
            split = ""
            if self.format in ("csv", "tsv"):
                split = f", separated by {self.separator!r}"
            raise ValueError(
                f"{self.path} has no column {name!r}, it has {self.columns}{split}; "
                f"{way_out}."
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
        self, fields: Sequence[str], columns: str | Sequence[str] | None = None
    ) -> list[Any] | Table:
        """Return what a classifier takes for a template with these fields.

        Parameters
        ----------
        fields : sequence of str
        columns : str or sequence of str, optional
            One column for each field, in their order; several columns for one field
            are joined with a space. By default each field takes the column of its name.

        Returns
        -------
        list of n str, or Table
            The column of the one field, or a table with those of several.

        Raises
        ------
        ValueError
            If there is no such column, or more than one, or not one for each field, or
            a cell of it is no text.
        """
        names = [columns] if isinstance(columns, str) else list(columns or fields)
        if len(fields) > 1 and len(names) != len(fields):
            raise ValueError(
                f"the template has {len(fields)} fields, {list(fields)}, and "
                f"--text-column names {len(names)} of the columns; name one for each, "
                "in this order, or leave it out where columns have the fields' names."
            )
        way_out = "name the right one with --text-column"
        if len(fields) > 1 and columns is None:
            way_out = "each field takes the column of its name, or of --text-column"
        found = [self.column(name, way_out) for name in names]
        if len(fields) == 1 < len(names):
            joined = zip(*found, strict=True)
            return [" ".join(self._as_text(cell) for cell in row) for row in joined]
        for name, cells in zip(names, found, strict=True):
            self._refuse_other_than_text(name, cells)
        if len(names) == 1:
            return found[0]
        rows = [list(row) for row in zip(*found, strict=True)]
        return replace(self, columns=list(fields), rows=rows, frame=None)

    def labels(self, name: str) -> list[Any]:
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
        labels = self.column(name, "name the right one with --label")
        if not labels:
            raise ValueError(
                f"{self.path} has a header and no rows; add texts with their labels."
            )
        empty = [i for i, label in enumerate(labels) if _is_missing(label)]
        if empty:
            raise ValueError(
                f"{self.path} has no label in the column {name!r} of {len(empty)} of "
                f"its {len(labels)} rows, first in {self._place(empty[0])}; "
                "label these texts or leave them out."
            )
        return labels

    def _refuse_other_than_text(self, name: str, cells: list[Any]) -> None:
        others = [i for i, cell in enumerate(cells) if not isinstance(cell, str)]
        if others:
            first = cells[others[0]]
            what = "nothing" if first is None else f"the {type(first).__name__} {first}"
            raise ValueError(
                f"{self._place(others[0])} of {self.path} has {what} in the column "
                f"{name!r} in place of a text; write a text into it, or leave the row "
                "out."
            )

    def _place(self, row: int) -> str:
        kind = "row" if self.format == "parquet" else "line"
        return f"{kind} {self.lines[row]}"

    @staticmethod
    def _as_text(cell: Any) -> str:
        return "" if cell is None else str(cell)


def read_table(
    path: Path, separator: str | None = None, format: Format | None = None
) -> Table:
    """Read a file of texts.

    Parameters
    ----------
    path : Path
        ``-`` is the standard input.
    separator : str, optional
        Of the cells of a CSV file, one character. By default what Excel's line
        ``sep=`` says, or else the comma, semicolon, tab or bar under which the file
        looks most like a table.
    format : {"csv", "tsv", "jsonl", "parquet"}, optional
        By default what its ending says, or else CSV.

    Returns
    -------
    Table

    Raises
    ------
    OSError
        If there is no such file.
    ImportError
        If it is a Parquet file and no package reads it.
    ValueError
        If it is no such file, has no header, is not UTF-8, or a row has too few or too
        many cells.
    """
    source, kind = source_of(path, format)
    if kind == "jsonl":
        return Table(source, ",", *read_json_lines(source), kind)
    if kind == "parquet":
        return whole_parquet(source)
    found = read_csv(source, tab_or(separator, kind))
    return Table(source, *found, kind)


def source_of(path: Path, format: Format | None) -> tuple[Path | Piped, Format]:
    """Return what a table is read from, and its format.

    Parameters
    ----------
    path : Path
        ``-`` is the standard input; a pipe, as a shell's ``<(...)`` makes it, is read
        at once.
    format : {"csv", "tsv", "jsonl", "parquet"} or None
        None: told by the ending, or else CSV.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If the ending is that of another format.
    """
    if path.is_dir():
        raise IsADirectoryError(
            f"{str(path)!r} is a folder; give the name of a file in it."
        )
    is_piped = path == STREAM or path.is_fifo()
    if not is_piped and not path.is_file():
        raise OSError(f"there is no file {str(path)!r}; check the path.")
    kind = format_of(path, format)
    return (Piped.read(path) if is_piped else path), kind


def tab_or(separator: str | None, kind: Format) -> str | None:
    """Return what separates cells, as far as it is known before a look at the file.

    Parameters
    ----------
    separator : str or None
        As it was named.
    kind : {"csv", "tsv"}
    """
    return separator or ("\t" if kind == "tsv" else None)


def whole_parquet(source: Path | Piped) -> Table:
    """Read a Parquet file.

    Parameters
    ----------
    source : Path or Piped
    """
    header, rows, frame = read_parquet(source)
    lines = list(range(1, len(rows) + 1))
    return Table(source, ",", header, rows, lines, "parquet", frame)


def _is_missing(label: Any) -> bool:
    if isinstance(label, str):
        return not label.strip()
    return label is None or label != label  # NaN is not itself
