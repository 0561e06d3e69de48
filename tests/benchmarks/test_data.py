"""``python -m benchmarks.data``: public files, the record, and the files they make."""

from __future__ import annotations

import io
import json
import os
import random
import re
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks import data
from benchmarks.data import data_hash, recorded
from benchmarks.data.__main__ import main
from benchmarks.data.rebuild import content_of
from benchmarks.data.recorded import (
    N_BYTES,
    PARTS,
    digests_of,
    picked,
    records,
    row_digests,
    sha256,
)
from benchmarks.data.rows import (
    Row,
    intents,
    judged_sentences,
    numbered_lines,
    queries,
    read,
    written,
)
from benchmarks.data.sources import CLINC, COLA, SOURCES, Published

PAGE = Path(__file__).parents[2] / "docs" / "data.md"
REAL = os.environ.get("SKRAEE_DATA", "")
POLARITY = ("negative", "positive")

ROWS = [("a fine, long film", "positive"), ("dull", "negative"), ("so so", "positive")]
OTHERS = [("slow", "negative"), ("warm", "positive")]

Place = Callable[..., Path]


# What the public files say


def test_numbered_lines_are_read_as_text_and_class_without_white_space_around() -> None:
    raw = b"1 a fine  film . \n0 dull\r\n"
    assert numbered_lines(raw, POLARITY) == [
        ("a fine film .", "positive"),
        ("dull", "negative"),
    ]


def test_numbered_lines_keep_the_bytes_of_latin_1_and_of_utf_8_as_characters() -> None:
    raw = b"0 caf\xe9\x85so\n1 caf\xc3\xa9 moll\xc3\xa0 ,\n"
    assert [text for text, _ in numbered_lines(raw, POLARITY)] == [
        "caf\xe9\x85so",
        "caf\xc3\xa9 moll\xc3\xa0 ,",
    ]


def test_numbered_lines_without_a_text_are_left_out() -> None:
    assert numbered_lines(b"1 \n0\n1 warm\n", POLARITY) == [("warm", "positive")]


def test_table_of_cola_gives_sentence_and_judgment() -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as out:
        table = 'gj04\t1\t\tJos\u00e9 said "no".\nbc01\t0\t*\tSaid  he so.\n'
        out.writestr("raw/dev.tsv", table)
    assert judged_sentences(archive.getvalue(), "raw/dev.tsv") == [
        ('Jos\u00e9 said "no".', "acceptable"),
        ("Said he so.", "unacceptable"),
    ]


def test_table_of_queries_gives_one_line_a_text() -> None:
    raw = 'text,category\n"\nHelp!  I, too",age_limit\nA \u00a31 fee?,Refund?\n'
    assert queries(raw.encode()) == [
        ("Help! I, too", "age_limit"),
        ("A \u00a31 fee?", "Refund?"),
    ]


def test_lists_of_intents_are_read_one_after_the_other() -> None:
    lists = {
        "train": [["hi ", "greet"]],
        "val": [["bye", "leave"]],
        "test": [["x", "y"]],
    }
    raw = json.dumps(lists).encode()
    assert intents(raw, ("train", "val")) == [("hi", "greet"), ("bye", "leave")]


def test_rows_are_read_as_they_were_written() -> None:
    rows = [('she said "no", twice', "a"), ("\x85 caf\xe9", "b")]
    assert read(written(rows)) == rows


def test_table_of_other_columns_is_refused() -> None:
    with pytest.raises(ValueError, match=r"columns text and label, got \['a', 'b'\]"):
        read(b"a,b\r\n")


# The record


def test_rows_are_found_by_their_hashes_in_the_recorded_order() -> None:
    public = [*OTHERS, *reversed(ROWS)]
    assert picked(public, row_digests(ROWS, 5)) == ROWS


def test_rows_of_one_hash_are_taken_in_the_public_order() -> None:
    # A hash of no bytes is the same for all.
    assert picked(ROWS, np.empty((2, 0), np.uint8)) == ROWS[:2]


def test_rows_that_are_not_public_are_missing_and_none_stands_for_them() -> None:
    assert picked(ROWS[:1], row_digests(ROWS, 3)) == ROWS[:1]


def test_same_text_of_another_class_is_another_row() -> None:
    assert picked([("dull", "positive")], row_digests([("dull", "negative")], 3)) == []


def test_record_has_as_many_hashes_as_its_files_have_rows() -> None:
    for name, known in records().items():
        digests = digests_of(*name.split("/"))
        if name in N_BYTES:
            assert digests is not None
            assert digests.shape == (known.n_rows, N_BYTES[name])
        else:
            assert digests is None


def test_record_is_small_and_holds_nothing_but_numbers() -> None:
    assert recorded.ROWS.stat().st_size < 300_000
    with np.load(recorded.ROWS, allow_pickle=False) as known:
        assert {known[name].dtype for name in known} == {np.dtype(np.uint8)}


@pytest.mark.parametrize("task", [t for t in SOURCES if f"{t}/test" in N_BYTES])
def test_no_two_rows_of_a_draw_share_a_hash_but_the_same_texts(task: str) -> None:
    if not REAL:
        pytest.skip("needs SKRAEE_DATA")
    both = [read((Path(REAL) / task / f"{part}.csv").read_bytes()) for part in PARTS]
    rows = {*both[0], *both[1]}
    assert len({d.tobytes() for d in row_digests(rows, 5)}) == len(rows)


# The command


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Record the files of a toy cr and sst2, and forget them; raw files lie beside."""

    def make(*, raw: bytes | None = None) -> Path:
        monkeypatch.setattr(recorded, "FILES", tmp_path / "files.json")
        monkeypatch.setattr(recorded, "ROWS", tmp_path / "rows.npz")
        monkeypatch.setattr(
            recorded, "SOURCES", {t: SOURCES[t] for t in ("cr", "sst2")}
        )
        monkeypatch.setenv("SKRAEE_DATA", str(tmp_path / "made"))
        for task in ("cr", "sst2"):
            for part, rows in (("train", ROWS), ("test", OTHERS)):
                path = tmp_path / "made" / task / f"{part}.csv"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(written(rows))
        main(["--record"])
        for path in (tmp_path / "made").glob("*/*.csv"):
            path.unlink()
        public = lines([OTHERS[1], *reversed(ROWS), OTHERS[0], ("flat", "negative")])
        keep(tmp_path / "raw" / "cr" / "custrev.all", public if raw is None else raw)
        keep(tmp_path / "raw" / "sst2" / "stsa.binary.train", lines([*OTHERS, *ROWS]))
        keep(tmp_path / "raw" / "sst2" / "stsa.binary.dev", lines(OTHERS))
        return tmp_path

    records.cache_clear()
    yield make
    records.cache_clear()


def lines(rows: list[Row]) -> bytes:
    joined = "\n".join(f"{POLARITY.index(label)} {text} " for text, label in rows)
    return joined.encode("latin-1") + b"\n"


def keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def rebuilt(place: Path, *tasks: str) -> int:
    return main(["--tasks", *tasks, "--raw", str(place / "raw")])


def test_public_files_and_the_record_make_the_same_files(place: Place) -> None:
    folder = place()
    assert rebuilt(folder, "cr", "sst2") == 0
    for task in ("cr", "sst2"):
        made = [read((folder / "made" / task / f"{p}.csv").read_bytes()) for p in PARTS]
        assert made == [ROWS, OTHERS]
    assert main(["--check", "--tasks", "cr", "sst2"]) == 0


def test_source_that_lacks_rows_is_told_and_what_it_gave_is_kept_beside(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = place(raw=lines([*OTHERS, *ROWS[:2]]))
    assert rebuilt(folder, "cr") == 1
    said = capsys.readouterr().out
    assert "cr/train.csv could not be made again" in said
    assert "gave 2 of 3 rows" in said
    found = sorted(path.name for path in (folder / "made" / "cr").iterdir())
    assert found == ["test.csv", "train.rebuilt.csv"]


def test_file_that_is_there_is_never_replaced(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = place()
    mine = folder / "made" / "cr" / "train.csv"
    keep(mine, b"mine")
    assert rebuilt(folder, "cr") == 1
    assert mine.read_bytes() == b"mine"
    assert read(mine.with_name("train.rebuilt.csv").read_bytes()) == ROWS
    assert "was left as it is" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("raw", "reason"), [(b"9 x\n", "IndexError"), (b"no number\n", "ValueError")]
)
def test_source_in_another_format_is_told(
    place: Place, capsys: pytest.CaptureFixture[str], raw: bytes, reason: str
) -> None:
    folder = place(raw=raw)
    assert rebuilt(folder, "cr") == 1
    assert (
        f"cr/train.csv was not made, {SOURCES['cr'].train.address} gave {reason}"
        in (capsys.readouterr().out)
    )


def test_public_file_is_downloaded_once_and_kept(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = place()
    raw = folder / "raw" / "cr" / "custrev.all"
    content, asked = raw.read_bytes(), []
    raw.unlink()

    def answer(address: str, timeout: float) -> io.BytesIO:
        asked.append(address)
        return io.BytesIO(content)

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    assert rebuilt(folder, "cr") == 0
    assert asked == [SOURCES["cr"].train.address]
    assert raw.read_bytes() == content


def test_missing_network_is_told_in_a_sentence(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(address: str, timeout: float) -> None:
        raise OSError("no route")

    place()
    monkeypatch.setattr(urllib.request, "urlopen", fail)
    assert main(["--tasks", "sst2"]) == 1
    assert "stsa.binary.train gave OSError: no route." in capsys.readouterr().out


def test_check_tells_missing_and_changed_files_and_makes_none(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = place()
    keep(folder / "made" / "cr" / "test.csv", b"changed")
    assert main(["--check", "--tasks", "cr"]) == 1
    said = capsys.readouterr().out
    assert "cr/train.csv is missing." in said
    assert f"cr/test.csv has the SHA-256 {sha256(b'changed')[:12]}..." in said
    assert [p.name for p in (folder / "made" / "cr").iterdir()] == ["test.csv"]


def test_hash_of_a_task_changes_with_each_of_its_files(place: Place) -> None:
    folder = place()
    rebuilt(folder, "cr", "sst2")
    assert data_hash("cr") == data_hash("sst2")  # toys of the same rows
    before = data_hash("cr")
    assert re.fullmatch("[0-9a-f]{12}", before)
    for part in PARTS:
        path = folder / "made" / "cr" / f"{part}.csv"
        kept = path.read_bytes()
        path.write_bytes(kept + b"\r\n")
        assert data_hash("cr") != before
        path.write_bytes(kept)


# The real files, from public ones that are pretended


def pretended(task: str, published: Published) -> bytes:
    """Make a public file of ours: with rows that ours leaves out, in another order."""
    rows = {part: ours(task, part) for part in PARTS}
    is_train = published == SOURCES[task].train
    if published == SOURCES[task].test and f"{task}/test" in N_BYTES:
        mixed = [
            *rows["train"],
            *rows["test"],
            *(("x" + t, c) for t, c in rows["test"]),
        ]
        random.Random(0).shuffle(mixed)
        return in_lines(task, mixed)
    if task == "clinc150":
        train = [*rows["train"], *((f"x {t}", c) for t, c in rows["train"])]
        random.Random(0).shuffle(train)
        parts = {"train": train[:4000], "val": train[4000:], "test": rows["test"]}
        assert published.address == CLINC
        return json.dumps(parts).encode()
    repeats = [*rows["train"][:50], *rows["test"][:9], *rows["train"][50:]]
    if task == "cola":
        assert published.address == COLA
        return archived({"train": repeats, "dev": rows["test"]})
    wanted = repeats if is_train else rows["test"]
    if task == "banking77":
        return written(wanted).replace(b"text,label", b"text,category", 1)
    return in_lines(task, wanted)


def ours(task: str, part: str) -> list[Row]:
    return read((Path(REAL) / task / f"{part}.csv").read_bytes())


def in_lines(task: str, rows: list[Row]) -> bytes:
    reader = SOURCES[task].train.read
    classes = reader.keywords["classes"]  # type: ignore[attr-defined]
    joined = "".join(f"{classes.index(label)} {text} \n" for text, label in rows)
    return joined.encode("latin-1")


def archived(parts: dict[str, list[Row]]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for part, rows in parts.items():
            table = "".join(
                f"src\t{int(label == 'acceptable')}\t\t{text}\n" for text, label in rows
            )
            archive.writestr(f"cola_public/raw/in_domain_{part}.tsv", table)
    return out.getvalue()


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("task", SOURCES)
def test_real_file_is_made_again_to_the_byte(task: str, part: str) -> None:
    if not REAL:
        pytest.skip("needs SKRAEE_DATA")
    content = content_of(task, part, pretended)
    assert sha256(content) == records()[f"{task}/{part}"].sha256


# The page


def test_page_has_the_numbers_and_the_licence_of_every_task() -> None:
    page = PAGE.read_text("utf-8")
    for task, source in SOURCES.items():
        train, test = (f"{records()[f'{task}/{part}'].n_rows:,}" for part in PARTS)
        row = re.search(rf"^\| `{task}` \|.*$", page, re.MULTILINE)
        assert row is not None, task
        cells = [cell.strip() for cell in row[0].strip("|").split("|")]
        assert cells[2:5] == [train, test, source.licence], task
        assert cells[5] == source.ours, task


def test_names_of_before_are_still_there() -> None:
    assert set(data.TASKS) | {"banking77", "clinc150"} == set(SOURCES)
    assert all(hasattr(data, name) for name in data.__all__)
