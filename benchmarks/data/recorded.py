"""What is known of the files that the results were made on: hashes, never texts.

``files.json`` has the SHA-256 and the number of rows of each file. ``rows.npz`` has, of
each file that is not a public one row for row, the first bytes of every row's SHA-256
in the file's order: with the public rows they make the file again, whatever drew it.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.data.folders import data_folder
from benchmarks.data.rows import Row, read
from benchmarks.data.sources import SOURCES

FILES = Path(__file__).parent / "files.json"
ROWS = Path(__file__).parent / "rows.npz"
PARTS = ("train", "test")

# The bytes that tell the rows of a file apart: of one that has a draw's order, and of
# one that has its source's, where only a row that was left out could be mistaken.
N_BYTES = {
    **{f"{task}/{part}": 5 for task in ("mr", "cr", "mpqa", "subj") for part in PARTS},
    "trec/test": 5,
    "clinc150/train": 5,
    **{f"{task}/train": 3 for task in ("sst2", "sst5", "trec", "cola", "banking77")},
}

Digests = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class FileRecord:
    """A file as it was when the results were made."""

    sha256: str
    n_rows: int


def data_hash(task: str) -> str:
    """Return what names the data of a task: both of its files, as they are at hand.

    Parameters
    ----------
    task : str
        A folder of $SKRAEE_DATA.

    Returns
    -------
    str
        Twelve hexadecimal digits.
    """
    both = "".join(sha256(path_of(task, part).read_bytes()) for part in PARTS)
    return sha256(both.encode())[:12]


def complaint(task: str, part: str) -> str | None:
    """Say in a sentence why a file at hand is not the recorded one, if it is not.

    Parameters
    ----------
    task, part : str
    """
    path, known = path_of(task, part), records()[f"{task}/{part}"]
    if not path.is_file():
        return f"{task}/{part}.csv is missing."
    found = sha256(path.read_bytes())
    if found == known.sha256:
        return None
    return (
        f"{task}/{part}.csv has the SHA-256 {found[:12]}..., and the results were made "
        f"on {known.sha256[:12]}... of {known.n_rows:,} rows."
    )


@cache
def records() -> dict[str, FileRecord]:
    """Return what is known of each file, under TASK/PART."""
    known = json.loads(FILES.read_text("utf-8"))
    return {name: FileRecord(**fields) for name, fields in known.items()}


def digests_of(task: str, part: str) -> Digests | None:
    """Return the rows' hashes (n, n_bytes); None where the public file is ours.

    Parameters
    ----------
    task, part : str
    """
    if f"{task}/{part}" not in N_BYTES:
        return None
    with np.load(ROWS) as known:
        digests: Digests = known[f"{task}/{part}"]
    return digests


def picked(rows: Iterable[Row], digests: Digests) -> list[Row]:
    """Return the rows that have the hashes, in the order of these.

    Where several rows have one hash, the first that is left is taken.

    Parameters
    ----------
    rows : iterable of (text, label)
    digests : ndarray of shape (n, n_bytes), uint8

    Returns
    -------
    list of (text, label)
        Shorter than `digests` where a row is not there.
    """
    n_bytes = digests.shape[1]
    waiting: dict[bytes, deque[Row]] = defaultdict(deque)
    for row in rows:
        waiting[_digest(row, n_bytes)].append(row)
    found = [waiting[digest.tobytes()] for digest in digests]
    return [rows.popleft() for rows in found if rows]


def row_digests(rows: Iterable[Row], n_bytes: int) -> Digests:
    """Return the first bytes of each row's SHA-256.

    Parameters
    ----------
    rows : iterable of (text, label)
    n_bytes : int

    Returns
    -------
    ndarray of shape (n, n_bytes), uint8
    """
    joined = b"".join(_digest(row, n_bytes) for row in rows)
    return np.frombuffer(joined, np.uint8).reshape(-1, n_bytes)


def record() -> None:
    """Write `FILES` and `ROWS` anew, of the files at hand."""
    files, digests = {}, {}
    for name in (f"{task}/{part}" for task in SOURCES for part in PARTS):
        content = path_of(*name.split("/")).read_bytes()
        rows = read(content)
        files[name] = {"sha256": sha256(content), "n_rows": len(rows)}
        if name in N_BYTES:
            digests[name] = row_digests(rows, N_BYTES[name])
    FILES.write_text(json.dumps(files, indent=1) + "\n", encoding="utf-8")
    np.savez(ROWS, allow_pickle=False, **digests)


def path_of(task: str, part: str) -> Path:
    return data_folder() / task / f"{part}.csv"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _digest(row: Row, n_bytes: int) -> bytes:
    text, label = row
    return hashlib.sha256(f"{label}\t{text}".encode()).digest()[:n_bytes]
