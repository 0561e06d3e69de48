"""Parquet files, through pyarrow or polars, whichever is installed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from skraee.text.json_lines import Rows, refuse_repeated
from skraee.text.piped import Piped


def read_parquet(source: Path | Piped) -> tuple[list[str], Rows, Any]:
    """Read a Parquet file.

    Parameters
    ----------
    source : Path or Piped

    Returns
    -------
    columns : list of m str
    rows : list of n lists of m objects
        As Python has them.
    frame : object
        The same with its types, for `write_parquet`.

    Raises
    ------
    ImportError
        If neither pyarrow nor polars is installed.
    ValueError
        If it is no Parquet file.
    """
    with source.open("rb") as file:
        try:
            if _package() == "pyarrow":
                columns, cells, frame = _by_pyarrow(file)
            else:
                columns, cells, frame = _by_polars(file)
        except ImportError:
            raise
        except Exception as error:  # each has errors of its own
            raise ValueError(
                f"{source} cannot be read as a Parquet file ({error}); name another "
                "format with --format."
            ) from error
    return columns, [list(row) for row in zip(*cells, strict=True)], frame


def write_parquet(
    file: IO[bytes],
    header: Sequence[str],
    rows: Sequence[Sequence[Any]],
    frame: Any = None,
) -> None:
    """Write a Parquet file.

    Parameters
    ----------
    file : binary file
    header : sequence of m str
        Names, each once.
    rows : sequence of sequence
    frame : object, optional
        What `read_parquet` returned; its columns are the first ones and keep their
        types.

    Raises
    ------
    ImportError
        If neither pyarrow nor polars is installed.
    ValueError
        If a name stands in the header twice, or a column holds values of several types.
    """
    refuse_repeated(header, "a Parquet file")
    columns = {name: [row[i] for row in rows] for i, name in enumerate(header)}
    if _package() == "pyarrow":
        _write_by_pyarrow(file, columns, frame)
    else:
        _write_by_polars(file, columns, frame)


def _package() -> str:
    for name in ("pyarrow", "polars"):
        if find_spec(name) is not None:
            return name
    raise ImportError(
        "Parquet files need the package pyarrow or polars, and neither is installed; "
        "install one (pip install pyarrow), or use CSV or JSON lines."
    )


def _by_pyarrow(file: IO[bytes]) -> tuple[list[str], list[list[Any]], Any]:
    import pyarrow.parquet as pq

    frame = pq.read_table(file)
    cells = [column.to_pylist() for column in frame.columns]
    return list(frame.column_names), cells, frame


def _by_polars(file: IO[bytes]) -> tuple[list[str], list[list[Any]], Any]:
    import polars as pl

    frame = pl.read_parquet(file)
    return list(frame.columns), [column.to_list() for column in frame], frame


def _write_by_pyarrow(
    file: IO[bytes], columns: dict[str, list[Any]], frame: Any
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if frame is None:
            frame = pa.table(columns)
        else:
            for name in list(columns)[frame.num_columns :]:
                frame = frame.append_column(name, [columns[name]])
    except pa.ArrowException as error:
        raise _several_types(error) from error
    pq.write_table(frame, file)


def _write_by_polars(
    file: IO[bytes], columns: dict[str, list[Any]], frame: Any
) -> None:
    import polars as pl

    try:
        if frame is None:
            frame = pl.DataFrame(columns, strict=True)
        else:
            new = list(columns)[frame.width :]
            frame = frame.with_columns([pl.Series(n, columns[n]) for n in new])
    except (TypeError, pl.exceptions.PolarsError) as error:
        raise _several_types(error) from error
    frame.write_parquet(file)


def _several_types(error: Exception) -> ValueError:
    return ValueError(
        f"a column of a Parquet file holds one type of value ({error}); write CSV or "
        "JSON lines."
    )
