"""How a CSV file is written: its encoding, its separator, its rows and their lines."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TextIO, cast

from skraee.text.piped import Piped

# What is tried where nothing names the separator, the first of equals being taken.
_SEPARATORS = (",", ";", "\t", "|")

# Rows that are tried.
_FIRST_ROWS = 100

# Excel's own first line: "sep=;".
_SEPARATOR_LINE = re.compile(r'"?sep=([^"\r\n])"?', re.IGNORECASE)

_WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

Row = list[str]


class Writable(Protocol):
    """What text can be written to."""

    def write(self, text: str, /) -> object:
        """Take some text."""


def check_encoding(path: Path | Piped) -> None:
    """Refuse a file that is not in UTF-8.

    Parameters
    ----------
    path : Path or Piped

    Raises
    ------
    ValueError
        If it is not, with the line where that shows.
    """
    with path.open("rb") as file:
        start = file.read(4)
    # Without a mark, UTF-16 has a zero in each pair of bytes of a plain header.
    if start.startswith(_WIDE_MARKS) or b"\0" in start:
        raise ValueError(
            f"{path} is in UTF-16, or no text; save it in UTF-8, or name its format "
            "with --format."
        )
    with path.open("rb") as file:
        # Line by line: no character of UTF-8 holds the byte of a line feed.
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{path} is not in UTF-8, in line {number} ({error}); save it in "
                    "UTF-8."
                ) from error


def read_csv(
    path: Path | Piped, separator: str | None = None
) -> tuple[str, Row, list[Row], list[int]]:
    """Read a CSV file with a header line, in UTF-8; blank lines are left out.

    Parameters
    ----------
    path : Path or Piped
    separator : str, optional
        Of the cells, one character; told by the file by default.

    Returns
    -------
    separator : str
    header : list of m str
    rows : list of n lists of m str
    lines : list of n int
        In which the rows start, from 1 on.

    Raises
    ------
    ValueError
        If it has no header, is not UTF-8, or a row has too few or too many cells.
    """
    separator, header = head_of(path, separator)
    numbered = list(checked_rows(path, separator, header))
    lines, rows = [line for line, _ in numbered], [cells for _, cells in numbered]
    return separator, header, rows, lines


def head_of(path: Path | Piped, separator: str | None = None) -> tuple[str, Row]:
    """Tell the separator and the header of a CSV file.

    Parameters
    ----------
    path : Path or Piped
    separator : str, optional
        Told by the file by default.

    Returns
    -------
    separator : str
    header : list of m str

    Raises
    ------
    ValueError
        If it has no header or is not UTF-8.
    """
    check_encoding(path)
    with long_cells():
        separator = separator or separator_of(path)
        with _quotes_told(path, separator):
            found = next(rows_of(path, separator), None)
    if found is None:
        raise ValueError(f"{path} is empty; it needs a header line.")
    return separator, found[1]


def checked_rows(
    path: Path | Piped, separator: str, header: Row
) -> Iterator[tuple[int, Row]]:
    """Go through the rows below the header, each as wide as that.

    Parameters
    ----------
    path : Path or Piped
    separator : str
    header : list of m str

    Yields
    ------
    line : int
        In which the row starts, from 1 on.
    cells : list of m str

    Raises
    ------
    ValueError
        If a row has too few or too many cells, or quotes are wrong.
    """
    rows = rows_of(path, separator)
    with long_cells(), _quotes_told(path, separator):
        next(rows, None)
        for line, cells in rows:
            if len(cells) != len(header):
                raise ValueError(
                    f"line {line} of {path} has {_cells(len(cells))} and the header "
                    f"{len(header)}, separated by {separator!r}; quote texts that hold "
                    "it or a line break, or name another with --sep."
                )
            yield line, cells


def rows_of(path: Path | Piped, separator: str) -> Iterator[tuple[int, Row]]:
    """Go through the rows of a file, without blank lines and Excel's line ``sep=``.

    Parameters
    ----------
    path : Path or Piped
    separator : str

    Yields
    ------
    line : int
        In which the row starts, from 1 on; cells in quotes can span several.
    cells : list of str

    Raises
    ------
    csv.Error
        If quotes are wrong, with the line of the row.
    """
    with _opened(path) as (file, named):
        skipped = 0 if named is None else 1
        reader = csv.reader(file, delimiter=separator, strict=True)
        line = skipped + 1
        try:
            for cells in reader:
                if cells:
                    yield line, cells
                line = skipped + reader.line_num + 1
        except csv.Error as error:
            raise csv.Error(f"in the row of line {line}, {error}") from error


def separator_of(path: Path | Piped) -> str:
    """Tell what separates the cells of a file.

    Parameters
    ----------
    path : Path or Piped

    Returns
    -------
    str
        What Excel's line ``sep=`` says, or else the comma, semicolon, tab or bar under
        which the file looks most like a table.
    """
    with _opened(path) as (_, named):
        if named is not None:
            return named
    return choose_separator({each: _first_rows(path, each) for each in _SEPARATORS})


def choose_separator(split: Mapping[str, Sequence[Row]]) -> str:
    """Choose the separator under which rows look most like a table.

    One that does not split the header is out of the question. Of the others the best
    gives the largest share of rows as many cells as the header, then the most cells.
    (The standard library's sniffer goes by how often signs occur: in texts it takes
    spaces and letters for separators.)

    Parameters
    ----------
    split : mapping of str to sequence of rows
        The header and the first rows as each separator splits them.

    Returns
    -------
    str
        The first one of equals, or where none splits the header.

    Examples
    --------
    >>> by_comma, by_semicolon = [["a;b"], ["1", "2;3"]], [["a", "b"], ["1,2", "3"]]
    >>> choose_separator({",": by_comma, ";": by_semicolon})
    ';'
    """

    def fit(separator: str) -> tuple[float, int]:
        rows = split[separator]
        width = len(rows[0]) if rows else 0
        if width < 2:
            return 0.0, 0
        return sum(len(row) == width for row in rows) / len(rows), width

    return max(split, key=fit)


def write_rows(file: Writable, rows: Iterable[Sequence[Any]], separator: str) -> None:
    """Write rows so that `rows_of` reads the same cells.

    Parameters
    ----------
    file : text file
        With line ends that are written as they are.
    rows : iterable of sequence
    separator : str
    """
    writer = csv.writer(_Lines(file), delimiter=separator, lineterminator="\r\n")
    writer.writerows(rows)


@contextmanager
def long_cells() -> Iterator[None]:
    """Allow texts of more than the 128 kB that the csv module takes by itself."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


class _Lines:
    r"""Ends rows in "\n" that a csv writer ends in "\r\n".

    The writer puts cells into quotes that hold a character of its line ends, and must
    do so with a bare "\r", which would end the row for who reads it.
    """

    def __init__(self, file: Writable) -> None:
        self._file = file

    def write(self, row: str) -> None:
        self._file.write(row.removesuffix("\r\n") + "\n")


def _cells(number: int) -> str:
    return "1 cell" if number == 1 else f"{number} cells"


@contextmanager
def _quotes_told(path: Path | Piped, separator: str) -> Iterator[None]:
    """Tell of wrong quotes as of what else is wrong with a file."""
    try:
        yield
    except csv.Error as error:
        raise ValueError(
            f"{path} is not a CSV file separated by {separator!r}: {error}; double the "
            "quotes inside of quotes, or name another with --sep."
        ) from error


@contextmanager
def _opened(path: Path | Piped) -> Iterator[tuple[TextIO, str | None]]:
    """Open a file behind Excel's line ``sep=``, and tell what that names."""
    with cast("TextIO", path.open(encoding="utf-8-sig", newline="")) as file:
        line = _SEPARATOR_LINE.fullmatch(file.readline().rstrip("\r\n"))
        if line is None:
            file.seek(0)
        yield file, line and line[1]


def _first_rows(path: Path | Piped, separator: str) -> list[Row]:
    """Return the first rows, the last of them empty where quotes are wrong."""
    found: list[Row] = []
    try:
        for _, cells in islice(rows_of(path, separator), _FIRST_ROWS):
            found.append(cells)
    except csv.Error:
        found.append([])
    return found
