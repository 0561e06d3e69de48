"""Saves that are killed on their way."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.trust.trial import Count, Trial
from skraee import EarlyExitClassifier, toy

# Imports once; for every line a child of its own saves until it is killed.
_SAVES = """
import os, sys
from skraee import EarlyExitClassifier
clf = EarlyExitClassifier.load(sys.argv[1])
for _ in sys.stdin:
    child = os.fork()
    while child == 0:
        clf.save(sys.argv[2])
    print(child, flush=True)
    os.waitpid(child, 0)
    print("dead", flush=True)
"""

LOST = "files that are neither the old model nor the new one"
LEFT = "files left beside it after one more save"


def kill_saves(tries: int, seed: int) -> dict[str, Count]:
    """Kill processes that save over a model, at any moment; load what is there."""
    rng = random.Random(seed)
    counts: dict[str, Count] = {LOST: 0, LEFT: 0, "seconds": 0}
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        new, place = Path(folder, "new.skraee"), Path(folder, "place", "model.skraee")
        place.parent.mkdir()
        X, y = toy.reviews(60)
        clf = EarlyExitClassifier(toy.backbone(), budget=0.5).fit(X, y)
        clf.save(new)
        clf.save(place)
        expected = clf.predict_proba(X).tolist()
        with _saves(new, place) as saves:
            for _ in range(tries):
                _kill_one(rng, saves)
                try:
                    found = EarlyExitClassifier.load(place).predict_proba(X).tolist()
                except Exception:
                    found = []
                counts[LOST] += found != expected
        clf.save(place)
        counts[LEFT] = len(os.listdir(place.parent)) - 1
    counts["seconds"] = round(time.monotonic() - began)
    return counts


@contextmanager
def _saves(new: Path, place: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", _SAVES, str(new), str(place)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        yield process


def _kill_one(rng: random.Random, saves: subprocess.Popen[str]) -> None:
    assert saves.stdin is not None
    assert saves.stdout is not None
    saves.stdin.write("\n")
    saves.stdin.flush()
    child = int(saves.stdout.readline())
    time.sleep(rng.uniform(0.0, 0.05))
    os.kill(child, rng.choice([signal.SIGKILL, signal.SIGTERM]))
    saves.stdout.readline()


TRIALS = (
    Trial(
        "killed-saves",
        "A process that saves over a model is killed at a random moment",
        kill_saves,
        200,
        none_of=(LOST, LEFT),
    ),
)
