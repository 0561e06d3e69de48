"""A figure in a process of its own, and what that has in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from benchmarks.lines import Line


@dataclass(frozen=True)
class Case:
    """What is measured.

    Attributes
    ----------
    n : int
        Keys.
    way : str
        How they are searched, or loaded.
    folder : Path
        Of keys, models and tables.
    """

    n: int
    way: str
    folder: Path


def apart(measure: Callable[[Case], Line], case: Case) -> Line:
    """Measure in a new process."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (case,))


def resident(what: str = "VmRSS") -> float:
    """Return memory in MiB: all (VmRSS), its own without files (RssAnon), the peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"{what}:")]
    return int(line.split()[1]) / 2**10


def size_of(path: Path) -> float:
    """Return MiB of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(f.stat().st_size for f in files if f.is_file()) / 2**20
