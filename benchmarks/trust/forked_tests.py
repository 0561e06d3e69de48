"""Runs tests again and again, each time in a fork that has torch in memory already.

As a script (`python -m benchmarks.trust.forked_tests`, in the folder whose tests these
are) it reads a line with pytest's arguments as a JSON list and answers with a line, the
status that pytest ended with. Nothing of skraee is imported before a fork.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Self

_SECONDS = 600  # for the tests of one change; what hangs is noticed
_PRELOADED = ("torch", "transformers", "sklearn.linear_model", "pandas")
# Plugins of pytest that came in with these and whose own assertions are as they are.
_EXPECTED = ("-W", "ignore::pytest.PytestAssertRewriteWarning")


class ForkedTests:
    """The process that forks, for one folder.

    Parameters
    ----------
    root : Path
        With the tests and what they test.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        path = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
        quiet = {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
        quiet |= {"HF_HUB_OFFLINE": "1"}  # which is read when the hub's client comes in
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            cwd=root,
            env=os.environ | quiet | {"PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def fail(self, arguments: Sequence[str]) -> bool:
        """Whether pytest ends otherwise than with all tests passed."""
        asking, answer = self._process.stdin, self._process.stdout
        assert asking is not None
        assert answer is not None
        asking.write(json.dumps(list(arguments)) + "\n")
        asking.flush()
        found = answer.readline()
        if not found:
            raise RuntimeError("the process that runs the tests has ended")
        return int(found) != 0


def main() -> None:
    for name in _PRELOADED:
        import_module(name)
    for line in sys.stdin:
        sys.stdout.write(f"{_ended_with(json.loads(line))}\n")
        sys.stdout.flush()


def _ended_with(arguments: list[str]) -> int:
    """Run pytest in a fork that leads a group of its own; return its status."""
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        _be_silent()
        pytest = import_module("pytest")
        os._exit(int(pytest.main([*arguments, *_EXPECTED])))
    last = time.monotonic() + _SECONDS
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > last:
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.05)


def _be_silent() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)


if __name__ == "__main__":
    main()
