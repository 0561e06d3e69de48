"""Files that are written as a whole or not at all."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import chdir, suppress
from pathlib import Path

import pytest

from skraee.files.replacing import check_writable, replacing


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


def make_socket(path):
    # A socket's path may be shorter than that of a folder for tests.
    with chdir(path.parent), socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path.name)


@pytest.mark.skipif(os.name == "nt", reason="this system has no such files")
@pytest.mark.parametrize(
    ("make", "what"), [(os.mkfifo, "a named pipe"), (make_socket, "a socket")]
)
@pytest.mark.parametrize("through_link", [False, True])
def test_what_is_no_file_is_refused_and_stays(make, what, through_link, tmp_path):
    path = tmp_path / "it"
    make(path)
    if through_link:
        path = tmp_path / "link"
        path.symlink_to("it")
    before = sorted((name, os.lstat(tmp_path / name)) for name in os.listdir(tmp_path))
    message = f"{path.name}' is {what}, which a file must not replace; name another pl"
    with pytest.raises(OSError, match=message), replacing(path, streams=False):
        raise AssertionError
    after = sorted((name, os.lstat(tmp_path / name)) for name in os.listdir(tmp_path))
    assert after == before


@pytest.mark.skipif(os.name == "nt", reason="this system has no sockets that are files")
def test_a_socket_is_no_stream(tmp_path):
    make_socket(tmp_path / "socket")
    with pytest.raises(OSError, match="is a socket, which"):
        check_writable(tmp_path / "socket")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_replacing_a_pipe_that_has_no_path_of_its_own_writes_to_it():
    reading, writing = os.pipe()
    path = Path(f"/proc/self/fd/{writing}")  # as /dev/stdout before a "|"
    assert check_writable(path) == path
    with replacing(path) as beside:
        beside.write_text("rows", encoding="utf-8")
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as file:
        assert file.read() == "rows"


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="needs /dev/null")
def test_a_device_is_a_stream_and_no_place_for_a_file():
    assert check_writable("/dev/null") == Path("/dev/null")
    with pytest.raises(OSError, match="'/dev/null' is a device, which a file must not"):
        check_writable("/dev/null", streams=False)


def test_a_link_to_nothing_gets_what_it_names(tmp_path):
    (tmp_path / "link").symlink_to("new")
    with replacing(tmp_path / "link", streams=False) as beside:
        beside.write_text("after")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "new").read_text() == "after"


def test_a_link_through_a_linked_folder_is_followed_to_the_end(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_text("before")
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "link").symlink_to("folder/file")
    with replacing(tmp_path / "link") as beside:
        beside.write_text("after")
        assert beside.parent == (tmp_path / "real").resolve()
    assert (tmp_path / "real" / "file").read_text() == "after"
    assert sorted(os.listdir(tmp_path)) == ["folder", "link", "real"]


def test_a_link_that_leads_back_to_itself_is_refused_and_stays(tmp_path):
    (tmp_path / "one").symlink_to("other")
    (tmp_path / "other").symlink_to("one")
    with pytest.raises(OSError, match="one' is a link that leads back to itself"):
        check_writable(tmp_path / "one")
    assert sorted(os.listdir(tmp_path)) == ["one", "other"]


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
