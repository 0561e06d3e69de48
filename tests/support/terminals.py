"""A standard error that somebody looks at."""

from __future__ import annotations

import io
import sys

import pytest


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Put a terminal there; in a fixture pytest would put its own stream back."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream
