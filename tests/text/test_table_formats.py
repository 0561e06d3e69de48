"""TSV, JSON lines and Parquet: what is written is read again, with its types."""

from __future__ import annotations

import datetime
import io
import json
import sys
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from skraee.text import parquet
from skraee.text.json_lines import write_json_lines
from skraee.text.piped import Piped
from skraee.text.table_format import STREAM, format_of
from skraee.text.table_writing import write_table
from skraee.text.tables import read_table

HEADER = ["text", "number", "day"]
ROWS: list[list[Any]] = [
    ['a, \t"b"\n\u2028', 1, datetime.date(2026, 1, 2)],
    ["日本 😀", 2, None],
]


@pytest.fixture(params=["polars", "pandas"])
def package(request, monkeypatch):
    """The package that reads and writes Parquet files."""
    pytest.importorskip("pyarrow" if request.param == "pandas" else "polars")
    monkeypatch.setattr(parquet, "_package", lambda: request.param)
    return request.param


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("a.csv", None, "csv"),
        ("a.tsv", None, "tsv"),
        ("a.TAB", None, "tsv"),
        ("a.jsonl", None, "jsonl"),
        ("a.ndjson", None, "jsonl"),
        ("a.parquet", None, "parquet"),
        ("a.pq", None, "parquet"),
        ("a.txt", None, "csv"),
        ("a", None, "csv"),
        ("-", None, "csv"),
        ("-", "jsonl", "jsonl"),
        ("a.json", "jsonl", "jsonl"),
        ("a.csv", "tsv", "tsv"),
    ],
)
def test_format_is_told_by_the_ending_unless_it_is_named(name, given, expected):
    assert format_of(Path(name), given) == expected


@pytest.mark.parametrize(
    ("ending", "way_out"), [(".json", "--format jsonl"), (".xlsx", "CSV in UTF-8")]
)
def test_ending_of_another_format_is_refused(ending, way_out):
    with pytest.raises(ValueError, match=f"ends in {ending}, which is none.*{way_out}"):
        format_of(Path(f"a{ending}"))


@pytest.mark.parametrize("name", ["file.csv", "file.tsv"])
def test_text_formats_give_cells_back_as_text(name, tmp_path):
    path = tmp_path / name
    kind = format_of(path)
    write_table(path, HEADER, ROWS, "\t" if kind == "tsv" else ",", kind)
    table = read_table(path)
    assert table.columns == HEADER
    assert table.rows == [
        ["" if cell is None else str(cell) for cell in row] for row in ROWS
    ]


def test_tsv_with_commas_in_its_header_is_split_at_tabs(tmp_path):
    path = tmp_path / "file.tsv"
    path.write_text("a,b,c\ttext\nx,y,z\tfine\n", encoding="utf-8")
    assert read_table(path).columns == ["a,b,c", "text"]


def test_json_lines_give_back_what_json_holds(tmp_path):
    path = tmp_path / "file.jsonl"
    rows: list[list[Any]] = [
        ["\u2028 日本", 1, {"a": [1.5, None]}],
        ["\ud800", True, []],
    ]
    write_table(path, HEADER, rows, format="jsonl")
    table = read_table(path)
    assert (table.columns, table.rows, table.lines) == (HEADER, rows, [1, 2])


def test_json_lines_with_other_names_fill_up_with_none(tmp_path):
    path = tmp_path / "file.jsonl"
    path.write_text('\ufeff{"text": "a"}\r\n\n{"id": 1, "text": "b"}\n', "utf-8")
    table = read_table(path)
    assert table.columns == ["text", "id"]
    assert table.rows == [["a", None], ["b", 1]]
    assert table.lines == [1, 3]


def test_json_lines_hold_no_number_that_json_has_not():
    file = io.StringIO()
    write_json_lines(file, ["a", "b"], [[float("nan"), datetime.date(2026, 1, 2)]])
    assert json.loads(file.getvalue()) == {"a": None, "b": "2026-01-02"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "a"}\n{"text": ', "line 2 of .* is no JSON"),
        ('[{"text": "a"}]', "line 1 of .* holds no JSON object but a list"),
        ("text\n", "line 1 of .* is no JSON"),
    ],
)
def test_line_that_is_no_json_object_is_named(content, message, tmp_path):
    path = tmp_path / "file.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_table(path)


def test_json_lines_without_a_label_name_the_line(tmp_path):
    path = tmp_path / "file.jsonl"
    path.write_text('{"text": "a", "label": 0}\n\n{"text": "b"}\n', encoding="utf-8")
    with pytest.raises(ValueError, match="of 1 of its 2 rows, first in line 3; label"):
        read_table(path).labels("label")


def test_missing_column_of_json_lines_is_told_without_a_separator(tmp_path):
    path = tmp_path / "file.jsonl"
    path.write_text('{"text": "a"}\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"'label', it has \['text'\]; name the right"):
        read_table(path).labels("label")


def test_parquet_gives_back_cells_with_their_types(package, tmp_path):
    path = tmp_path / "file.parquet"
    write_table(path, HEADER, ROWS, format="parquet")
    table = read_table(path)
    assert (table.columns, table.rows, table.lines) == (HEADER, ROWS, [1, 2])


def test_parquet_keeps_the_types_of_its_columns_beside_new_ones(package, tmp_path):
    import polars as pl

    path, out = tmp_path / "file.parquet", tmp_path / "out.parquet"
    frame = pl.DataFrame({"text": ["a", "b"], "small": [1, None]}).with_columns(
        pl.col("small").cast(pl.Int8)
    )
    frame.write_parquet(path)
    table = read_table(path)
    rows = [[*row, 0.5] for row in table.rows]
    write_table(out, ["text", "small", "p"], rows, format="parquet", frame=table.frame)
    written = pl.read_parquet(out)
    assert written.columns == ["text", "small", "p"]
    assert written["small"].dtype == pl.Int8
    assert written.rows() == [("a", 1, 0.5), ("b", None, 0.5)]


def test_file_that_is_no_parquet_is_refused(package, tmp_path):
    path = tmp_path / "file.parquet"
    path.write_text("text\na\n", encoding="utf-8")
    with pytest.raises(ValueError, match="cannot be read as a Parquet file"):
        read_table(path)


def test_parquet_column_of_several_types_is_refused(package, tmp_path):
    path = tmp_path / "file.parquet"
    with pytest.raises(ValueError, match="one type of value"):
        write_table(path, ["a"], [[1], ["b"]], format="parquet")
    assert not path.exists()


def test_parquet_without_a_package_for_it_is_one_sentence(tmp_path, monkeypatch):
    path = tmp_path / "file.parquet"
    path.write_bytes(b"PAR1")
    monkeypatch.setattr(parquet, "find_spec", lambda name: None)
    with pytest.raises(
        ImportError, match="need polars, or pandas with pyarrow, and neither"
    ):
        read_table(path)


@pytest.mark.parametrize(
    ("installed", "taken"),
    [("pandas pyarrow", "pandas"), ("polars pandas", "polars"), ("polars", "polars")],
)
def test_parquet_takes_the_package_that_is_there(installed, taken, monkeypatch):
    spec = util.find_spec("json")
    monkeypatch.setattr(
        parquet, "find_spec", lambda name: spec if name in installed.split() else None
    )
    assert parquet._package() == taken


def test_parquet_is_not_read_by_pandas_alone(monkeypatch):
    spec = util.find_spec("json")
    monkeypatch.setattr(
        parquet, "find_spec", lambda name: spec if name == "pandas" else None
    )
    with pytest.raises(ImportError, match=r"the extra with: pip install 'skraee\[par"):
        parquet._package()


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_two_columns_of_one_name_are_refused_where_names_are_keys(kind, tmp_path):
    with pytest.raises(ValueError, match="there are 2 columns 'a'; rename all but one"):
        write_table(tmp_path / "file", ["a", "a"], [["b", "c"]], format=kind)


def test_cells_that_are_lists_are_json_in_a_csv_file(tmp_path):
    path = tmp_path / "file.csv"
    write_table(path, ["a"], [[["é", 1]]])
    assert read_table(path).rows == [['["é", 1]']]


def standard_input(content: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(content), encoding="ascii")


@pytest.mark.parametrize(
    ("content", "kind", "expected"),
    [
        ("text;id\né;1\n".encode(), None, [["é", "1"]]),
        (b'{"text": "a", "id": 1}', "jsonl", [["a", 1]]),
        (b"text\tid\na\t1\n", "tsv", [["a", "1"]]),
    ],
)
def test_standard_input_is_read_as_a_file_is(content, kind, expected, monkeypatch):
    monkeypatch.setattr(sys, "stdin", standard_input(content))
    table = read_table(STREAM, format=kind)
    assert (table.columns, table.rows) == (["text", "id"], expected)


def test_errors_of_the_standard_input_name_it(monkeypatch):
    monkeypatch.setattr(sys, "stdin", standard_input(b"text\na,b\n"))
    with pytest.raises(ValueError, match="line 2 of the standard input has 2 cells"):
        read_table(STREAM, ",")


def test_standard_input_that_is_closed_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(OSError, match="the standard input is closed"):
        Piped.read()


def test_columns_of_several_fields_are_taken_in_their_order(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text("a,b,c\n1,2,3\n", encoding="utf-8")
    table = read_table(path).texts(["first", "second"], ["c", "a"])
    assert not isinstance(table, list)
    assert (table.columns, table.rows) == (["first", "second"], [["3", "1"]])


def test_several_columns_of_one_field_are_joined(tmp_path):
    path = tmp_path / "file.jsonl"
    path.write_text('{"a": "x", "b": null, "c": "z"}', encoding="utf-8")
    assert read_table(path).texts(["text"], ["c", "b", "a"]) == ["z  x"]
