"""A pytest plugin: warnings are errors, but those of other packages about themselves.

`PYTEST_PLUGINS=tests.support.foreign_warnings python -m pytest` is for releases that
nobody has pinned. There a package may warn of what only its own next release can mend;
such a warning is counted and shown at the end. What a call of this project caused is an
error as ever. (The variable also reaches the workers of pytest-xdist before they import
the tests, which the option `-p` does not.)
"""

from __future__ import annotations

import linecache
import re
import sys
import sysconfig
import textwrap
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))

# Where torch hands a call on to the module or function of another package.
HANDS_ON = ("torch/nn/modules/module.py", "torch/utils/_contextlib.py")


_COUNTED = "foreign-warnings"


class ForeignWarnings:
    """Tells whose a warning is, and counts those of others.

    Parameters
    ----------
    root : Path
        The checkout: what lies in it and in no site-packages is ours.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.counted: Counter[tuple[str, str, str]] = Counter()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Take the place of what shows warnings."""
        shown, warnings.showwarning = warnings.showwarning, self.judge
        try:
            yield
        finally:
            warnings.showwarning = shown

    def judge(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: Any = None,
        line: str | None = None,
    ) -> None:
        """Raise a warning of ours and count any other.

        The signature is that of `warnings.showwarning`, which is called in the midst
        of `warnings.warn`: what stands above on the stack is who warns, and for whom.
        """
        if self.is_ours(filename) or self._is_caused_by_us(warns_for(sys._getframe(1))):
            raise message if isinstance(message, Warning) else category(message)
        text = textwrap.shorten(str(message), 120)
        self.counted[category.__name__, f"{short(filename)}:{lineno}", text] += 1

    def is_ours(self, filename: str) -> bool:
        """Return whether a file is of this project."""
        path = Path(filename)
        return self.root in path.parents and "site-packages" not in path.parts

    def _is_caused_by_us(self, frame: FrameType | None) -> bool:
        """Return whether the call that a package warns of is one of ours.

        That is the call which entered the package; one that only handed ours on does
        not count. Where the package was merely imported, nobody called it.
        """
        if frame is None or package_of(frame) == "_pytest":
            return False  # pytest tells again what it caught: that stack is lost
        package = package_of(frame) if warns_itself(frame) else None
        while frame is not None and not is_import(frame):
            if self.is_ours(frame.f_code.co_filename):
                return True
            if not hands_on(frame) and package_of(frame) != package:
                return False
            frame = frame.f_back
        return False

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self) -> Any:
        """Judge what importing the tests warns of."""
        with self.at_work():
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Any:
        """Judge what a test warns of, within the filters that pytest sets for it."""
        with self.at_work():
            return (yield)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Hand on what this worker counted, where it is one."""
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput[_COUNTED] = [*self.counted.items()]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Add what a worker counted."""
        for warning, times in getattr(node, "workeroutput", {}).get(_COUNTED, ()):
            self.counted[tuple(warning)] += times

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Show what was counted, the most frequent first."""
        total = self.counted.total()
        terminalreporter.section(f"warnings of other packages: {total}")
        for (category, place, text), times in self.counted.most_common():
            terminalreporter.line(f"{times:5} x {category} at {place}: {text}")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Any:
    """Let every warning through to the judge but those that the project ignores."""
    own = early_config.getini("filterwarnings")
    for line in ["always", *(line for line in own if line.startswith("ignore"))]:
        early_config.addinivalue_line("filterwarnings", line)
    judge = ForeignWarnings(early_config.rootpath)
    early_config.pluginmanager.register(judge, "foreign-warnings-judge")
    return (yield)


def warns_for(frame: FrameType | None) -> FrameType | None:
    """Return the frame that called `warnings.warn`."""
    while frame is not None and frame.f_code.co_filename == warnings.__file__:
        frame = frame.f_back
    return frame


def warns_itself(frame: FrameType) -> bool:
    """Return whether a frame calls `warn`, and not compiled code that does."""
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
    return re.search(r"warn\w*\(", line) is not None


def is_import(frame: FrameType) -> bool:
    """Return whether a frame is of the import system."""
    return frame.f_code.co_filename.startswith("<frozen importlib")


def hands_on(frame: FrameType) -> bool:
    """Return whether a frame calls what it was given, and so is nobody's own call."""
    path = Path(frame.f_code.co_filename)
    return path.as_posix().endswith(HANDS_ON) or (
        STANDARD_LIBRARY in path.parents and "site-packages" not in path.parts
    )


def package_of(frame: FrameType) -> str:
    """Return the name of a frame's top package."""
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def short(filename: str) -> str:
    """Return a file's path within site-packages."""
    return filename.replace("\\", "/").rpartition("site-packages/")[2]
