"""Tables that are read in parts: the same rows, and no more of them at a time."""

from __future__ import annotations

import io
import os
import sys
import threading
import tracemalloc
from pathlib import Path

import pytest

from skraee.text.long_tables import open_table
from skraee.text.piped import Piped
from skraee.text.table_format import STREAM
from skraee.text.table_writing import write_table
from skraee.text.tables import read_table

FILES = {
    "a.csv": 'text;n\n"two\nlines";1\n\nb;2\nc;3\n',
    "excel.csv": "sep=|\ntext|n\na|1\nb|2\nc|3\n",
    "a.tsv": "text\tn\na\t1\nb\t2\nc\t3\n",
    "a.jsonl": '{"text": "a"}\n\n{"n": 1, "text": "b"}\n{"more": [1], "text": "c"}\n',
}


def file_of(folder: Path, name: str) -> Path:
    path = folder / name
    if path.suffix == ".parquet":
        pytest.importorskip("polars")
        write_table(
            path, ["text", "n"], [["a", 1], ["b", 2], ["c", 3]], format="parquet"
        )
    else:
        path.write_text(FILES[name], encoding="utf-8")
    return path


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize("name", [*FILES, "a.parquet"])
def test_parts_together_are_the_whole_table(name, size, tmp_path):
    path = file_of(tmp_path, name)
    whole, table = read_table(path), open_table(path)
    parts = list(table.parts(size))
    assert table.n_rows == 3
    assert [len(part.rows) for part in parts] == [
        min(size, 3 - start) for start in range(0, 3, size)
    ]
    assert [row for part in parts for row in part.rows] == whole.rows
    assert [line for part in parts for line in part.lines] == whole.lines
    for part in (table.head, *parts):
        assert (part.columns, part.separator, part.format, part.path) == (
            whole.columns,
            whole.separator,
            whole.format,
            whole.path,
        )
    assert table.head.rows == []
    # They can be gone through again.
    assert [part.rows for part in table.parts(size)] == [part.rows for part in parts]


def test_header_alone_has_no_parts(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text("text,n\n", encoding="utf-8")
    table = open_table(path)
    assert (table.n_rows, list(table.parts(2))) == (0, [])
    assert table.head.texts(["text"]) == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "text,n\na,1\nb\n", "line 3 of .* has 1 cell and the header 2"),
        ("a.csv", 'text,n\na,1\n"b,2\n', "in the row of line 3, unexpected end"),
        ("a.csv", "", "is empty; it needs a header line"),
        ("a.csv", b"text\na\n\xff\n", "is not in UTF-8, in line 3"),
        ("a.jsonl", '{"text": "a"}\n[]\n', "line 2 of .* holds no JSON object"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "\xff"}', "is not in UTF-8, in line 2"),
    ],
)
def test_what_is_wrong_in_a_late_row_is_told_before_the_first_is_used(
    name, content, message, tmp_path
):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message):
        open_table(path)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_memory_does_not_grow_with_the_table(name, tmp_path):
    path, text = tmp_path / name, "word " * 200
    rows = ([text, n] for n in range(4_000))
    write_table(path, ["text", "n"], rows, format="jsonl" if "json" in name else "csv")
    assert path.stat().st_size > 4_000_000
    tracemalloc.start()
    try:
        assert sum(len(part.rows) for part in open_table(path).parts(100)) == 4_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def test_standard_input_is_read_in_parts_too(monkeypatch):
    content = b"text\na\nb\nc\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    table = open_table(STREAM)
    assert [part["text"] for part in table.parts(2)] == [["a", "b"], ["c"]]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_with_a_path_is_read_once_and_named_in_errors(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=("text,n\na,1\n",))
    writer.start()
    table = read_table(path)
    writer.join()
    assert (table.columns, table.rows) == (["text", "n"], [["a", "1"]])
    assert str(Piped(b"", str(path))) == str(path)
    with pytest.raises(ValueError, match="pipe has no column 'x'"):
        table.column("x")


def test_folder_is_refused_as_one(tmp_path):
    for read in (read_table, open_table):
        with pytest.raises(IsADirectoryError, match="is a folder; give the name of a"):
            read(tmp_path)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("null", "line 4 of .* has nothing in the column 'text' in place of a text"),
        ("3.5", "line 4 of .* has the float 3.5 in the column 'text' in place of"),
    ],
)
@pytest.mark.parametrize("fields", [["text"], ["text", "more"]])
def test_cell_that_is_no_text_is_named_with_its_line(fields, cell, message, tmp_path):
    path = tmp_path / "file.jsonl"
    fine = '{"text": "a", "more": "b"}\n'
    path.write_text(f'{fine}\n{fine}{{"text": {cell}, "more": "b"}}\n', "utf-8")
    with pytest.raises(ValueError, match=f"{message}.*; write a text into it, or"):
        read_table(path).texts(fields)
