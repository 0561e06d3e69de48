"""What a command of ``skraee`` is."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

# The names of an option or argument -> what argparse is told of it.
Options = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Command:
    """A command: what it is for, what it takes, and what it does.

    Attributes
    ----------
    name : str
        As it is written behind ``skraee``.
    about : str
        What it is for, in a line.
    run : callable
        Takes what argparse understood; returns the exit status, None for 0.
    options : mapping
        Names of options and arguments -> what argparse is told of them.
    more : str
        What its own help says besides.
    """

    name: str
    about: str
    run: Callable[[argparse.Namespace], int | None]
    options: Options
    more: str = ""
