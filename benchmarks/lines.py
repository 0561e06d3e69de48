"""The store of results: a file of JSON lines, each a measurement with its name."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"

Line = dict[str, Any]


@dataclass(frozen=True)
class Lines:
    """A results file, read anew each time that it is asked.

    Several processes may append to it side by side.

    Attributes
    ----------
    path : Path
    naming : tuple of str
        The fields that name a line: two lines that agree in them are of the same run.
    retry : bool
        Whether a line whose work failed, which has the reason as ``failed``, counts as
        not there.
    on_add : callable or None
        Told every line that is added, without time and machine.
    """

    path: Path
    naming: tuple[str, ...] = ()
    retry: bool = False
    on_add: Callable[[Line], None] | None = None

    def __iter__(self) -> Iterator[Line]:
        if self.path.is_file():
            for line in self.path.read_text("utf-8").splitlines():
                yield json.loads(line)

    def key_of(self, line: Line) -> str:
        return json.dumps([line.get(field) for field in self.naming])

    def has(self, name: Line) -> bool:
        wanted = self.key_of(name)
        return any(
            self.key_of(line) == wanted and not (self.retry and "failed" in line)
            for line in self
        )

    def add(self, **fields: Any) -> None:
        """Append a line, with the time and the machine."""
        when = datetime.now(UTC).isoformat("T", "seconds")
        line = {"when": when, **fields, "machine": machine()}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")
        if self.on_add is not None:
            self.on_add(fields)

    def once(self, name: Line, work: Callable[[], Line]) -> None:
        """Do work and write its line, or why it failed, unless the line is there."""
        if self.has(name):
            return
        try:
            found = work()
        except Exception as error:
            found = {"failed": reason_of(error)}
        self.add(**name, **found)


def show(line: Line) -> None:
    """Print a line at once."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def machine() -> Line:
    """Return what a figure may depend on beside the code."""
    return {
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processor": platform.machine(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        **_versions(),
    }


@cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("torch", "transformers", "scikit-learn")}


def reason_of(error: Exception) -> str:
    """Return an error as one line without the machine's paths."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    for variable in ("SKRAEE_BACKBONES", "SKRAEE_DATA", "HF_HUB_CACHE", "HF_HOME"):
        if folder := os.environ.get(variable):
            text = text.replace(folder, f"${variable}")
    return text[:300]
