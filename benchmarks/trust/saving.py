"""Saves that are killed on their way."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.trust.trial import Count, Trial
from skraee import EarlyExitClassifier, toy

_SAVES = """
import sys
from skraee import EarlyExitClassifier
clf = EarlyExitClassifier.load(sys.argv[1])
print("ready", flush=True)
while True:
    clf.save(sys.argv[2])
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
        for _ in range(tries):
            _killed(rng, new, place)
            try:
                found = EarlyExitClassifier.load(place).predict_proba(X).tolist()
            except Exception:
                found = []
            counts[LOST] += found != expected
        clf.save(place)
        counts[LEFT] = len(os.listdir(place.parent)) - 1
    counts["seconds"] = round(time.monotonic() - began)
    return counts


def _killed(rng: random.Random, new: Path, place: Path) -> None:
    command = [sys.executable, "-c", _SAVES, str(new), str(place)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(rng.uniform(0.0, 0.05))
    process.send_signal(rng.choice([signal.SIGKILL, signal.SIGTERM]))
    process.wait()
    process.stdout.close()


TRIALS = (
    Trial(
        "killed-saves",
        "A process that saves over a model is killed at a random moment",
        kill_saves,
        200,
        none_of=(LOST, LEFT),
    ),
)
