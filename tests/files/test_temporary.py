"""What is written beside a file goes with its writer, and with no other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from skraee.files.replacing import replacing
from skraee.files.temporary import temporary_folder_beside

# On Windows a file that is open cannot be removed, which says the same.
pytestmark = pytest.mark.skipif(os.name == "nt", reason="kills as POSIX does")

WRITER = """
import sys
from pathlib import Path
from skraee.files.replacing import replacing
with replacing(sys.argv[1]) as beside:
    beside.write_text("of another process")
    print(beside, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "model.skraee"


@pytest.fixture
def writer(target: Path):
    """Another process that is about to write the target."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(target)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def beside_of(process: subprocess.Popen[str]) -> Path:
    assert process.stdout is not None
    return Path(process.stdout.readline().strip())


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_next_file_clears_what_a_dead_process_left(target, writer, how):
    left = beside_of(writer)
    writer.send_signal(how)
    writer.wait()
    assert left.read_text() == "of another process"
    with replacing(target.with_name("of another name")) as beside:
        beside.write_text("new")
    assert os.listdir(target.parent) == ["of another name"]


def test_file_of_a_living_process_stays_and_takes_its_place(target, writer):
    held = beside_of(writer)
    with replacing(target) as beside:
        beside.write_text("of this one")
        assert held.exists()
    assert target.read_text() == "of this one"
    assert held.exists()
    writer.communicate("\n")
    assert target.read_text() == "of another process"
    assert os.listdir(target.parent) == [target.name]


def test_threads_leave_each_others_files_alone(target):
    start, errors = threading.Barrier(8), []

    def write(text: str) -> None:
        start.wait()
        try:
            for _ in range(5):
                with replacing(target) as beside:
                    beside.write_text(text)
        except OSError as error:
            errors.append(error)

    texts = [str(i) * 1000 for i in range(8)]
    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert target.read_text() in texts
    assert os.listdir(target.parent) == [target.name]


def test_file_that_is_cleared_before_it_is_held_is_made_again(target, monkeypatch):
    held = []

    def clear_first(descriptor: int, operation: int) -> None:
        if not held:
            (made,) = target.parent.glob(".skraee-*")
            made.unlink()
        held.append(descriptor)

    monkeypatch.setattr("fcntl.flock", clear_first)
    with replacing(target) as beside:
        beside.write_text("new")
    assert len(held) == 2
    assert target.read_text() == "new"


def test_nothing_is_cleared_where_files_have_no_locks(target, monkeypatch):
    left = target.with_name(".skraee-0123456789abcdef.tmp.skraee")
    left.touch()

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError("no locks available")

    with monkeypatch.context() as without:
        without.setattr("fcntl.flock", refuse)
        with replacing(target) as beside:
            beside.write_text("new")
    assert target.read_text() == "new"
    assert left.exists()
    with replacing(target):
        pass
    assert not left.exists()


@pytest.mark.parametrize(
    "name",
    [
        ".skraee-0123456789abcdef.tmpl",
        ".skraee-0123.tmp.skraee",
        "skraee-0123456789abcdef.tmp",
        ".skraee-0123456789abcdeF.tmp",
    ],
)
def test_files_of_other_names_stay(target, name):
    target.with_name(name).touch()
    with replacing(target):
        pass
    assert target.with_name(name).exists()


def test_what_only_bears_the_name_of_a_temporary_file_stays(target):
    name = ".skraee-0123456789abcde{}.tmp"
    outside = target.with_name("outside")
    outside.touch()
    target.with_name(name.format(0)).symlink_to(outside)
    target.with_name(name.format(1)).mkdir()
    os.mkfifo(target.with_name(name.format(2)))
    before = set(os.listdir(target.parent))
    with replacing(target):
        pass
    assert set(os.listdir(target.parent)) == before | {target.name}


FOLDER = """
import sys, time
from pathlib import Path
from skraee.files.temporary import temporary_folder_beside

with temporary_folder_beside(Path(sys.argv[1])) as beside:
    (beside / "part").write_text("half")
    print(beside, flush=True)
    time.sleep(600)
"""


def test_next_folder_clears_what_a_dead_process_left_and_nothing_else(tmp_path):
    command = [sys.executable, "-c", FOLDER, str(tmp_path / "made")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        left = Path(process.stdout.readline().strip())
        with temporary_folder_beside(tmp_path / "other") as beside:
            assert (left / "part").exists()
            (beside / "whole").touch()
    finally:
        process.kill()
        process.communicate()
    assert (left / "part").exists()
    with temporary_folder_beside(tmp_path / "made") as beside:
        (beside / "whole").touch()
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(
        ["made", "other", "whole", "whole"]
    )


def test_folder_that_another_made_meanwhile_stays(tmp_path):
    with temporary_folder_beside(tmp_path / "made") as beside:
        (beside / "mine").touch()
        (tmp_path / "made").mkdir()
        (tmp_path / "made" / "theirs").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["made", "theirs"]


def test_folder_of_a_block_that_fails_is_removed(tmp_path):
    with (
        suppress(KeyError),
        temporary_folder_beside(tmp_path / "made") as beside,
    ):
        (beside / "mine").touch()
        raise KeyError
    assert list(tmp_path.iterdir()) == []
