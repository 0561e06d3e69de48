"""Makes a task's files of its public sources, and compares them with the recorded."""

from __future__ import annotations

import urllib.request
import zipfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from benchmarks.data.recorded import (
    PARTS,
    digests_of,
    path_of,
    picked,
    records,
    sha256,
)
from benchmarks.data.rows import read, written
from benchmarks.data.sources import SOURCES, Published

#: From a task and a public file to that file's bytes.
Fetch = Callable[[str, Published], bytes]

TIMEOUT = 60  # seconds

#: No answer, or one that is not in the source's format.
UNUSABLE = (OSError, ValueError, LookupError, zipfile.BadZipFile)


def rebuild(task: str, fetch: Fetch) -> list[str]:
    """Make a task's two files, and say of each in a sentence what became of it.

    A file that is there is never replaced: what differs from it is kept beside it.

    Parameters
    ----------
    task : str
    fetch : callable

    Returns
    -------
    list of str
        Empty where both files are the recorded ones now.
    """
    once = cache(fetch)  # both parts of a task may be in one public file
    sentences = [_rebuild_part(task, part, once) for part in PARTS]
    return [sentence for sentence in sentences if sentence]


def content_of(task: str, part: str, fetch: Fetch) -> bytes:
    """Return a task's file as its public source and our record make it.

    Parameters
    ----------
    task, part : str
    fetch : callable
    """
    published = SOURCES[task].of(part)
    rows = published.read(fetch(task, published))
    digests = digests_of(task, part)
    return written(rows if digests is None else picked(rows, digests))


def kept_in(folder: Path | None) -> Fetch:
    """Return a `fetch` that reads ``FOLDER/TASK/NAME``, or downloads it to there.

    Parameters
    ----------
    folder : Path or None
        None keeps nothing.
    """
    return partial(_from_folder, folder)


def _from_folder(folder: Path | None, task: str, published: Published) -> bytes:
    path = None if folder is None else folder / task / published.name
    if path is not None and path.is_file():
        return path.read_bytes()
    with urllib.request.urlopen(published.address, timeout=TIMEOUT) as answer:
        raw: bytes = answer.read()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
    return raw


def _rebuild_part(task: str, part: str, fetch: Fetch) -> str | None:
    known, path = records()[f"{task}/{part}"], path_of(task, part)
    if path.is_file() and sha256(path.read_bytes()) == known.sha256:
        return None
    published = SOURCES[task].of(part)
    try:
        content = content_of(task, part, fetch)
    except UNUSABLE as error:
        reason = f"{type(error).__name__}: {error}"
        return f"{task}/{part}.csv was not made, {published.address} gave {reason}."
    is_right = sha256(content) == known.sha256
    if is_right and not path.exists():
        _write(path, content)
        return None
    beside = path.with_name(f"{part}.rebuilt.csv")
    _write(beside, content)
    if is_right:
        return (
            f"{task}/{part}.csv is not the recorded file and was left as it is; the "
            f"recorded one is beside it as {beside.name}."
        )
    return (
        f"{task}/{part}.csv could not be made again from {published.address}, which "
        f"gave {len(read(content)):,} of {known.n_rows:,} rows and not the recorded "
        f"SHA-256; they are kept as {beside.name}."
    )


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
