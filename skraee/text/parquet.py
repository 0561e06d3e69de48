"""Parquet files, through polars or pandas with pyarrow, whichever is installed."""

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
        If neither polars nor pandas with pyarrow is installed.
    ValueError
        If it is no Parquet file.
    """
    with source.open("rb") as file:
        try:
            if _package() == "pandas":
                columns, cells, frame = _by_pandas(file)
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
        If neither polars nor pandas with pyarrow is installed.
    ValueError
        If a name stands in the header twice, or a column holds values of several types.
    """
    refuse_repeated(header, "a Parquet file")
    columns = {name: [row[i] for row in rows] for i, name in enumerate(header)}
    if _package() == "pandas":
        _write_by_pandas(file, columns, frame)
    else:
        _write_by_polars(file, columns, frame)


def _package() -> str:
    for name, needed in (("polars", ["polars"]), ("pandas", ["pandas", "pyarrow"])):
        if all(find_spec(one) is not None for one in needed):
            return name
    raise ImportError(
        "Parquet files need polars, or pandas with pyarrow, and neither is installed; "
        "install the extra with: pip install 'skraee[parquet]', or use CSV or JSON "
        "lines."
    )


def _by_pandas(file: IO[bytes]) -> tuple[list[str], list[list[Any]], Any]:
    import pandas as pd

    # In numpy's types whole numbers would be floats beside a missing one.
    frame = pd.read_parquet(file, engine="pyarrow", dtype_backend="pyarrow")
    cells = [
        [None if cell is pd.NA else cell for cell in frame[name].tolist()]
        for name in frame.columns
    ]
    return list(frame.columns), cells, frame


def _by_polars(file: IO[bytes]) -> tuple[list[str], list[list[Any]], Any]:
    import polars as pl

    frame = pl.read_parquet(file)
    return list(frame.columns), [column.to_list() for column in frame], frame


def _write_by_pandas(
    file: IO[bytes], columns: dict[str, list[Any]], frame: Any
) -> None:
    import pandas as pd

    if frame is None:
        frame = pd.DataFrame(columns)
    else:
        new = list(columns)[len(frame.columns) :]
        frame = frame.assign(**{name: columns[name] for name in new})
    try:
        frame.to_parquet(file, engine="pyarrow")
    except (TypeError, ValueError) as error:  # those of pyarrow are among them
        raise _several_types(error) from error


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
