"""The file format: whole or not at all, checked byte by byte, without code."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from skraee.exceptions import FileFormatError
from skraee.persistence import archive
from tests.support.files import change_manifest, rewrite

MANIFEST = {"versions": {"skraee": "0.1.0"}, "k": 5}
ARRAYS = {
    "keys": np.arange(40, dtype=np.float32).reshape(8, 5),
    "fit/labels": np.array([0, 1] * 4, dtype=np.uint8),
    "classes": np.array(["negative", "positive"]),
    "none": np.zeros((0, 3)),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "archive"
    archive.write(path, MANIFEST, ARRAYS)
    return path


def archive_sums(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as members:
        sums: dict[str, str] = json.loads(members.read("manifest.json"))["members"]
    return sums


def is_as_written(path: Path) -> bool:
    manifest, arrays = archive.read(path)
    assert MANIFEST.items() <= manifest.items()
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)
    return True


def test_what_is_written_is_read(file: Path) -> None:
    assert is_as_written(file)


def test_equal_contents_make_equal_files(file: Path, tmp_path: Path) -> None:
    archive.write(tmp_path / "other", MANIFEST, ARRAYS)
    assert (tmp_path / "other").read_bytes() == file.read_bytes()
    with zipfile.ZipFile(file) as members:
        assert {info.date_time[0] for info in members.infolist()} == {1980}


def test_members_are_stored_and_none_is_a_pickle(file: Path) -> None:
    with zipfile.ZipFile(file) as members:
        for info in members.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            content = members.read(info)
            with pytest.raises(Exception):  # noqa: B017, PT011 - whatever pickle says
                pickle.loads(content)
            if info.filename.endswith(".npy"):
                np.load(io.BytesIO(content), allow_pickle=False)
            else:
                json.loads(content)


@pytest.fixture
def _no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*args: Any, **kw: Any) -> None:
        raise AssertionError("code was run")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, run)
    for name in ("exec", "eval"):
        monkeypatch.setattr(f"builtins.{name}", run)


@pytest.mark.usefixtures("_no_code")
def test_read_runs_no_code(file: Path) -> None:
    assert is_as_written(file)


def object_array() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([Path("x")], dtype=object), allow_pickle=True)
    return stream.getvalue()


@pytest.mark.usefixtures("_no_code")
@pytest.mark.parametrize("content", [object_array(), pickle.dumps(np.zeros(3))])
def test_a_pickled_member_is_refused_though_its_sum_is_right(
    file: Path, content: bytes
) -> None:
    rewrite(file, lambda members: members.update({"keys.npy": content}))
    sums = archive_sums(file) | {"keys": hashlib.sha256(content).hexdigest()}
    change_manifest(file, members=sums)
    with pytest.raises(
        FileFormatError,
        match=r"damaged \(a(n array with a header of an| member that is no ar)",
    ):
        archive.read(file)


def test_an_object_array_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle=False"):
        archive.write(tmp_path / "file", {}, {"x": np.array([None])})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["manifest.json", *(f"{name}.npy" for name in ARRAYS)])
def test_a_flipped_byte_in_a_member_is_told(file: Path, name: str) -> None:
    with zipfile.ZipFile(file) as members:
        info = members.getinfo(name)
    content = bytearray(file.read_bytes())
    at = content.index(b"PK", info.header_offset + 4) - 30  # near the member's end
    content[at] ^= 1
    file.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"is damaged \(.*intact copy"):
        archive.read(file)


# Of an array without numbers the last byte is its header's.
@pytest.mark.parametrize("name", ["keys", "fit/labels", "classes"])
def test_a_member_that_zip_holds_right_but_is_another_is_told(
    file: Path, name: str
) -> None:
    def change(members: dict[str, bytes]) -> None:
        content = members[f"{name}.npy"]
        members[f"{name}.npy"] = content[:-1] + bytes([content[-1] ^ 1])

    rewrite(file, change)
    with pytest.raises(FileFormatError, match=rf"{name}.npy' does not match its SHA"):
        archive.read(file)


def test_no_flipped_byte_passes_unseen(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    told = 0
    for at in range(0, len(whole), 3):
        content = bytearray(whole)
        content[at] ^= 1 << (at % 8)
        file.write_bytes(content)
        try:  # a date in ZIP's own directory may change: then all is as written
            assert is_as_written(file)
        except FileFormatError:
            told += 1
    assert told > len(whole) / 3 / 2


def test_a_truncated_file_is_told_wherever_it_is_cut(file: Path) -> None:
    whole = file.read_bytes()
    for length in range(0, len(whole), 41):
        file.write_bytes(whole[:length])
        with pytest.raises(FileFormatError):
            archive.read(file)


def test_a_missing_member_is_told(file: Path) -> None:
    rewrite(file, lambda members: members.pop("keys.npy"))
    with pytest.raises(FileFormatError, match=r"'keys\.npy' is missing"):
        archive.read(file)


def test_a_compressed_member_is_refused(file: Path) -> None:
    rewrite(file, lambda _: None, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(FileFormatError, match=r"'manifest\.json' is compressed"):
        archive.read(file)


def test_a_newer_format_names_its_version_and_the_update(file: Path) -> None:
    change_manifest(file, skraee_format=6, versions={"skraee": "3.1"})
    message = r"has format 6, written by skraee 3\.1.*pip install --upgrade"
    with pytest.raises(FileFormatError, match=message):
        archive.read(file)


def test_a_file_of_something_else_is_told(tmp_path: Path) -> None:
    joblib.dump([1], tmp_path / "pickle")
    (tmp_path / "empty").touch()
    for name in ("pickle", "empty"):
        with pytest.raises(FileFormatError, match=r"no file that an est.*joblib\.load"):
            archive.read(tmp_path / name)
    np.savez(tmp_path / "arrays.npz", np.zeros(3))
    with pytest.raises(FileFormatError, match=r"it holds no manifest\.json"):
        archive.read(tmp_path / "arrays.npz")


def test_a_file_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        archive.read(tmp_path / "nothing")


def failing(*args: Any, **kw: Any) -> None:
    raise OSError("no space left on device")


def interrupted(*args: Any, **kw: Any) -> None:
    raise KeyboardInterrupt


def spoiling(descriptor: int) -> None:
    os.pwrite(descriptor, b"spoilt", 100)


@pytest.mark.parametrize(
    ("target", "failure", "error"),
    [
        ("os.replace", failing, OSError),
        ("os.replace", interrupted, KeyboardInterrupt),
        ("os.fsync", failing, OSError),
        ("os.fsync", spoiling, FileFormatError),
        ("zipfile.ZipFile.open", failing, OSError),
        ("zipfile.ZipFile.writestr", interrupted, KeyboardInterrupt),
        ("numpy.lib.format.write_array", failing, OSError),
        ("hashlib.file_digest", failing, FileFormatError),
        ("shutil.copymode", failing, OSError),
    ],
)
def test_whatever_fails_the_old_file_stays_and_nothing_else(
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    failure: Any,
    error: type[BaseException],
) -> None:
    before = file.read_bytes()
    with monkeypatch.context() as broken:
        broken.setattr(target, failure)
        with pytest.raises(error):
            archive.write(file, {"versions": {}}, {"keys": np.zeros(1000)})
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == [file.name]


def test_the_new_file_is_whole_beside_the_old_before_it_takes_its_place(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced = []

    def replace(source: Path, target: Path) -> None:
        assert source.parent == target.parent == file.parent
        assert archive.read(source)[1].keys() == {"keys"}
        assert is_as_written(target)
        replaced.append(target)

    monkeypatch.setattr("os.replace", replace)
    archive.write(file, {"versions": {}}, {"keys": np.zeros(3)})
    assert replaced == [file]


def test_write_replaces_a_file_and_keeps_its_mode_and_links(file: Path) -> None:
    file.chmod(0o640)
    link = file.with_name("link")
    link.symlink_to(file.name)
    archive.write(link, {}, {"keys": np.ones(2)})
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    np.testing.assert_array_equal(archive.read(file)[1]["keys"], [1, 1])


def test_a_folder_and_a_missing_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="give the name of a file in it"):
        archive.write(tmp_path, {}, {})
    with pytest.raises(FileNotFoundError, match="make it first"):
        archive.write(tmp_path / "no" / "file", {}, {})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_neither_replaced_nor_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="is a named pipe, which a file must not replace"):
        archive.write(pipe, {}, {})
    with pytest.raises(FileFormatError, match="is no regular file; name the file that"):
        archive.read(pipe)
    assert pipe.is_fifo()
    assert os.listdir(tmp_path) == ["pipe"]


def test_an_array_of_any_memory_order_is_read_as_it_was(tmp_path: Path) -> None:
    array = np.asfortranarray(np.arange(12.0).reshape(3, 4))[:, ::2]
    archive.write(tmp_path / "file", {}, {"x": array})
    np.testing.assert_array_equal(archive.read(tmp_path / "file")[1]["x"], array)
