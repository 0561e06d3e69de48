"""CSV files: encodings, separators, lines, and cells that come back as they were."""

from __future__ import annotations

import csv
from itertools import product
from pathlib import Path

import pytest

from skraee.text.csv_format import choose_separator
from skraee.text.inputs import check_texts
from skraee.text.table_writing import write_table
from skraee.text.tables import Table, read_table

# All that has a meaning in some CSV file, a spreadsheet or a terminal.
SIGNS = [
    *(",", ";", "\t", "|", '"', "'", "\\", "\r", "\n", "\r\n", "\0", " "),
    *(
        "=1+1",
        "@",
        "-2",
        "#",
        "\ufeff",
        "\u2028",
        "\x0b",
        "\x1c",
        "é",
        "日本",
        "😀",
        "",
    ),
]


def file_of(folder: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    path = folder / "file.csv"
    path.write_bytes(
        content if isinstance(content, bytes) else content.encode(encoding)
    )
    return path


def table_of(folder: Path, content: str) -> Table:
    return read_table(file_of(folder, content))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", ":", "é"])
def test_cells_that_are_written_are_read_as_they_were(separator, tmp_path):
    cells = ["".join(parts) for parts in product(SIGNS, ["", "a"], SIGNS)]
    rows = [[cell, f"{number}"] for number, cell in enumerate(cells)]
    path = tmp_path / "file.csv"
    write_table(path, ["text", "number"], rows, separator)
    table = read_table(path, separator)
    assert table.columns == ["text", "number"]
    assert table.rows == rows


def test_a_column_of_its_own_keeps_its_empty_cells(tmp_path):
    rows = [["a"], [""], ["\r"], [" "]]
    write_table(tmp_path / "file.csv", ["text"], rows)
    assert read_table(tmp_path / "file.csv").rows == rows


def test_a_bare_carriage_return_is_written_in_quotes(tmp_path):
    write_table(tmp_path / "file.csv", ["text", "label"], [["one\rtwo", "a"]])
    assert (tmp_path / "file.csv").read_bytes() == b'text,label\n"one\rtwo",a\n'


def test_other_cells_are_written_as_they_are(tmp_path):
    write_table(tmp_path / "file.csv", ["text", "n"], [[" =1+1", 2], ["it's", 0.5]])
    assert (tmp_path / "file.csv").read_bytes() == b"text,n\n =1+1,2\nit's,0.5\n"


def test_a_class_of_half_a_character_is_written_and_loses_no_row(tmp_path):
    write_table(tmp_path / "file.csv", ["label"], [["\ud800"], ["b"]])
    assert (tmp_path / "file.csv").read_text("utf-8") == "label\n\\ud800\nb\n"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_told_from_header_and_rows(separator, mark, end, tmp_path):
    # Each text holds all the other separators.
    others = [sign for sign in ",;\t|" if sign != separator]
    lines = [f"{''.join(others) * n}film{separator}good" for n in range(3)]
    lines.append(f'"with {separator} and {end} in quotes"{separator}good')
    table = table_of(tmp_path, mark + end.join([f"text{separator}label", *lines]))
    assert table.separator == separator
    assert table.columns == ["text", "label"]
    assert table.column("label") == ["good"] * 4


@pytest.mark.parametrize(
    ("content", "separator"),
    [
        (
            "text;label, long\na;b\nc, d, e;f\n",
            ";",
        ),  # commas fit one row of two
        ("id;text;label, long\n1;a;b, c\n2;d;e, f\n", ";"),  # both fit: the wider one
        ('"text; long",label\na,b\n', ","),  # quoted, so no separator
        ('"a";"b"\n"x,y";"z"\n', ";"),  # with commas the quotes would be wrong
        ("a|b,c\nx|y,z\n", ","),  # equals: the first
        ("text\nno; separator\n", ","),  # splits no header
        ("text,label\na;b,c\nd;e;f,g\n", ","),
        ("text\tlabel\n", "\t"),
        ("text|label", "|"),
    ],
)
def test_the_separator_of_doubtful_files(content, separator, tmp_path):
    assert table_of(tmp_path, content).separator == separator


def test_the_separator_goes_by_the_share_of_rows_not_by_their_number():
    rows = [["a", "b"], ["c"], ["d"], ["e", "f"]]
    assert choose_separator({",": rows, ";": rows[:1]}) == ";"


def test_a_text_beyond_128_kilobytes_does_not_hide_the_separator(tmp_path):
    before = csv.field_size_limit()
    table = table_of(tmp_path, f"text;label\n{'long, ' * 40_000};a\n")
    assert (table.separator, table.rows[0][1]) == (";", "a")
    assert csv.field_size_limit() == before


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"', "\ufeffsep=;"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_first_line_of_excel_names_the_separator(first, end, tmp_path):
    table = table_of(tmp_path, end.join([first, "a,b;c", "d,e;f", ""]))
    assert (table.separator, table.columns) == (";", ["a,b", "c"])
    assert (table.rows, table.lines) == ([["d,e", "f"]], [3])


def test_a_separator_that_is_given_counts_more_than_that_of_excel(tmp_path):
    path = file_of(tmp_path, "sep=;\na;b,c\nd;e,f\n")
    assert read_table(path, ",").columns == ["a;b", "c"]


def test_lines_are_those_of_the_file(tmp_path):
    table = table_of(tmp_path, '\ntext,label\n"two\nlines",a\n\n"\r\n\r\n",b\nc,d\n')
    assert table.lines == [3, 6, 9]
    assert table.shape == (3, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            'text,label\n"two\nlines",a\nyes, no,b\n',
            "line 4 of .* has 3 cells and the header 2, separated by ','; quote texts "
            "that hold it or a line break, or name another with --sep",
        ),
        ("sep=;\ntext;label\na;b;c\n", "line 3 of .* has 3 cells .* separated by ';'"),
        ("text\tlabel\na\tb\n\nc\n", r"line 4 of .* has 1 cell .* separated by '\\t'"),
        (
            'text,label\na,b\n"open,a\n\nb,c\n',
            "is not a CSV file separated by ',': in the row of line 3, unexpected end",
        ),
        ('text,label\na,b\n"so" he said,a\n', "in the row of line 3, ',' expected"),
        (
            b"text,label\na,b\n\xff,a\n",
            "not in UTF-8, in line 3 .* save it in UTF-8",
        ),
        ("", "is empty; it needs a header line"),
        ("\ufeff", "is empty; it needs a header line"),
        ("\n\n", "is empty; it needs a header line"),
        ("sep=;\n", "is empty; it needs a header line"),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_its_line(content, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read_table(file_of(tmp_path, content))


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
def test_a_file_in_utf_16_or_32_is_refused(encoding, tmp_path):
    with pytest.raises(ValueError, match="is in UTF-16, or no text; save it in UTF-8"):
        read_table(file_of(tmp_path, "text,label\na,b\n", encoding))


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "shift-jis"])
def test_a_file_of_another_code_page_is_refused_with_its_line(encoding, tmp_path):
    text = "日本" if encoding == "shift-jis" else "très"
    with pytest.raises(ValueError, match="is not in UTF-8, in line 2"):
        read_table(file_of(tmp_path, f"text,label\n{text},a\n", encoding))


def test_a_wanted_column_that_stands_twice_is_refused(tmp_path):
    table = table_of(tmp_path, "text,label,text\na,b,c\n")
    assert table.column("label") == ["b"]
    message = "has 2 columns 'text', the numbers 1 and 3 of its 3; rename all but"
    for wanted in (
        lambda: table.column("text"),
        lambda: table["text"],
        lambda: table.texts(["text"]),
        lambda: table.texts(["field"], "text"),
        lambda: table.texts(["label", "text"]),
        lambda: table.labels("text"),
    ):
        with pytest.raises(ValueError, match=message):
            wanted()


def test_a_missing_column_is_refused_with_those_there_and_a_way_out(tmp_path):
    table = table_of(tmp_path, "text,label\na,b\n")
    there = r"no column 'x', it has \['text', 'label'\], separated by ','; "
    with pytest.raises(ValueError, match=there + "name the right one with --text-col"):
        table.texts(["x"])
    with pytest.raises(ValueError, match=there + "name the right one with --text-col"):
        table.texts(["text"], "x")
    with pytest.raises(ValueError, match=there + "name the right one with --label"):
        table.labels("x")
    with pytest.raises(ValueError, match=there + "each field takes the col"):
        table.texts(["text", "x"])
    with pytest.raises(ValueError, match=there + "add one of this name"):
        table.column("x")


def test_a_text_column_for_several_fields_is_refused(tmp_path):
    table = table_of(tmp_path, "a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"2 fields, .*, and --text-column names 1 of"):
        table.texts(["a", "b"], "a")


@pytest.mark.parametrize("label", ["", " ", "\t", '"\n"', "\u00a0"])
def test_rows_without_a_label_are_refused_with_line_and_count(label, tmp_path):
    content = f'text,label\n"two\nlines",a\nbye,{label}\nno,b\nbye,{label}\n'
    table = table_of(tmp_path, content)
    message = "has no label in the column 'label' of 2 of its 4 rows, first in line 4; "
    with pytest.raises(ValueError, match=message + "label these texts or leave"):
        table.labels("label")


def test_a_header_alone_has_no_labels(tmp_path):
    with pytest.raises(ValueError, match="a header and no rows; add texts with their"):
        table_of(tmp_path, "text,label\n").labels("label")


def test_a_table_is_a_frame_of_several_fields(tmp_path):
    table = table_of(tmp_path, "id,second,first\n0,b,a\n1,d,c\n")
    texts = check_texts(table.texts(["first", "second"]), ["first", "second"])
    assert list(texts) == [("a", "b"), ("c", "d")]
    assert table.texts(["first"]) == ["a", "c"]
