"""What was asked for on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.lines import Lines


@dataclass(frozen=True)
class Options:
    """Where figures go, and on what they are measured."""

    lines: Lines
    shapes: Sequence[str]
    dtypes: Sequence[str]
    device: str
    n_texts: int
    n_rounds: int
