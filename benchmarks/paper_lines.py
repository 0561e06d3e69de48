"""The lines of results/paper.jsonl: each is named, written once, and found again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import record

NAME = (
    "table",
    "backbone",
    "task",
    "method",
    "setting",
    "n_fit",
    "n_test",
    "seed",
    "encoder",
    "dtype",
)
Line = dict[str, Any]


@dataclass(frozen=True)
class Lines:
    """A results file.

    Several processes may append to it side by side. A line whose work failed has the
    reason as ``failed``, and counts as done unless `retry` is set.
    """

    path: Path
    retry: bool = False

    def __iter__(self) -> Iterator[Line]:
        if self.path.is_file():
            for line in self.path.read_text("utf-8").splitlines():
                yield json.loads(line)

    def has(self, name: Line) -> bool:
        wanted = key_of(name)
        return any(
            key_of(line) == wanted and not (self.retry and "failed" in line)
            for line in self
        )

    def add(self, **fields: Any) -> None:
        record(str(self.path.resolve()), **fields)

    def once(self, name: Line, work: Callable[[], Line]) -> None:
        """Do work and write its line, unless the line is there."""
        if self.has(name):
            return
        try:
            found = work()
        except Exception as error:
            found = {"failed": reason_of(error)}
        self.add(**name, **found)


def key_of(line: Line) -> str:
    return json.dumps([line.get(field) for field in NAME])


def reason_of(error: Exception) -> str:
    """Return an error as one line without the machine's paths."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    for variable in ("SKRAEE_BACKBONES", "SKRAEE_DATA", "HF_HUB_CACHE", "HF_HOME"):
        if folder := os.environ.get(variable):
            text = text.replace(folder, f"${variable}")
    return text[:300]
