"""``skraee serve`` as a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.serve.clients import is_ready

Process = subprocess.Popen[str]


@contextmanager
def service(model: Path, port: int = 0) -> Iterator[tuple[Process, int, float]]:
    """Start a service; it is killed at the end.

    Yields
    ------
    process : Popen
    port : int
    seconds : float
        Until it was ready.
    """
    command = [sys.executable, "-m", "skraee", "serve", str(model)]
    # So that the slow ones are let go within a short measurement.
    command += ["--port", str(port), "--receive-timeout", "2"]
    start = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        found = re.search(r"http://[^:]+:(\d+)", said)
        if found is None:
            raise OSError(said + process.stderr.read())
        while not is_ready(int(found[1])):
            time.sleep(0.05)
        yield process, int(found[1]), time.perf_counter() - start
    finally:
        process.kill()
        process.communicate()
