"""Files that are written as a whole or not at all."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from skraee.text.files import check_writable, replacing


def test_a_file_is_replaced_when_the_block_ends_well(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text("before")
    path.chmod(0o640)
    with replacing(path) as beside:
        beside.write_text("after")
        assert beside.suffix == ".csv"
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["file.csv"]


def test_a_file_is_kept_when_the_block_fails(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text("before")
    with suppress(RuntimeError), replacing(path) as beside:
        beside.write_text("half of it")
        raise RuntimeError
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["file.csv"]


def test_what_a_link_leads_to_is_replaced(tmp_path):
    (tmp_path / "file").write_text("before")
    (tmp_path / "link").symlink_to("file")
    with replacing(tmp_path / "link") as beside:
        beside.write_text("after")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "after"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_written_to_and_stays(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with replacing(tmp_path / "pipe") as beside:
        assert beside == (tmp_path / "pipe").resolve()
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "is a folder; give the name of a file in it"),
        ("none/file.csv", "there is no folder .*none' to write to; make it first"),
        ("file/file.csv", "there is no folder .*file' to write to; make it first"),
    ],
)
def test_a_place_where_no_file_can_be_is_refused(name, message, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=message):
        check_writable(tmp_path / name)


@pytest.mark.parametrize("closed", ["file.csv", "."])
def test_a_place_of_another_user_is_refused(closed, tmp_path, monkeypatch):
    (tmp_path / "file.csv").touch()
    closed_path = (tmp_path / closed).resolve()
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != closed_path)
    with pytest.raises(PermissionError, match="cannot be written to by this user"):
        check_writable(tmp_path / "file.csv")
