"""Forks of a process whose threads are at work."""

from __future__ import annotations

import faulthandler
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.trust.trial import Count, Trial
from skraee import (
    EarlyExitClassifier,
    RAEEClassifier,
    clear_backbones,
    clear_sweeps,
    toy,
)

DEADLOCKS = "deadlocks"
OTHER = "other answers in the new process"
ERRORS = "errors in the new process"
BROKEN = "errors in the threads that ran on"
SLOWEST = "seconds that the slowest fork took"

_LIMIT = 120  # seconds; a child needs about one where nothing else runs
_OTHER, _ERROR = 3, 4  # exit codes of a child

X, Y = toy.reviews(40)
X_NEW, _ = toy.reviews(12, seed=1)


def fork_while_threads_run(tries: int, seed: int) -> dict[str, Count]:
    """Fork a process of threads that fit, predict, sweep and forget; use the child."""
    command = [sys.executable, "-m", __name__, str(tries), str(seed)]
    # Threads of torch and of OpenBLAS, numpy's, are in no child; and a fork ends those
    # of OpenBLAS here, too, whoever waits for them.
    alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    found = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | alone
    )
    counts: dict[str, Count] = json.loads(found.stdout)
    return counts


def _forks(tries: int, seed: int) -> dict[str, Count]:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rng = random.Random(seed)
    counts: dict[str, Count] = {
        DEADLOCKS: 0, OTHER: 0, ERRORS: 0, BROKEN: 0, SLOWEST: 0.0
    }  # fmt: skip
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        fitted = _fitted(Path(folder))
        expected = [_answers(clf) for clf in fitted]
        with _at_work(rng, fitted, counts) as is_alive:
            for _ in range(tries):
                time.sleep(rng.uniform(0.0, 0.05))
                _fork(rng, fitted, expected, counts)
            assert is_alive()
    counts["seconds"] = round(time.monotonic() - began)
    return counts


def _fitted(folder: Path) -> list[Any]:
    common: dict[str, Any] = {"k": 5, "label_words": toy.LABEL_WORDS}
    kinds: dict[toy.Kind, Any] = {"masked": "process", "causal": folder / "store"}
    made: list[Any] = [
        RAEEClassifier(toy.backbone(kind), toy.TEMPLATES[kind], memory=memory, **common)
        for kind, memory in kinds.items()
    ]
    made.append(
        EarlyExitClassifier(toy.backbone(), budget=0.5, memory=folder / "store")
    )
    return [clf.fit(X, Y) for clf in made]


def _answers(clf: Any) -> Any:
    return clf.predict_proba(X_NEW)


@contextmanager
def _at_work(
    rng: random.Random, fitted: list[Any], counts: dict[str, Count]
) -> Iterator[Callable[[], bool]]:
    """Keep threads busy with each method of each classifier."""
    until = threading.Event()

    def fit(clf: Any) -> None:
        type(clf)(**clf.get_params(deep=False)).fit(X, Y)

    def forget(clf: Any) -> None:
        clear_sweeps(clf.memory)
        if rng.random() < 0.2:
            clear_backbones()

    def work(clf: Any, calls: list[Callable[[Any], Any]]) -> None:
        while not until.is_set():
            for call in calls:
                try:
                    call(clf)
                except Exception as error:
                    counts[BROKEN] += 1
                    sys.stderr.write(f"{error!r}\n")

    threads = [
        threading.Thread(target=work, args=(clf, calls), daemon=True)
        for clf in fitted
        for calls in ([_answers, lambda clf: clf.sweep(X_NEW)], [fit, forget])
    ]
    for thread in threads:
        thread.start()
    yield lambda: all(thread.is_alive() for thread in threads)
    until.set()
    counts[DEADLOCKS] += sum(map(_is_stuck, threads))


def _is_stuck(thread: threading.Thread) -> bool:
    thread.join(_LIMIT)
    if thread.is_alive():
        faulthandler.dump_traceback()
    return thread.is_alive()


def _fork(
    rng: random.Random,
    fitted: list[Any],
    expected: list[Any],
    counts: dict[str, Count],
) -> None:
    which, anew = rng.randrange(len(fitted)), rng.random() < 0.1
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(_LIMIT / 2)
        try:
            os._exit(_use(fitted[which], expected[which], anew))
        except BaseException as error:
            sys.stderr.write(f"{error!r}\n")
            os._exit(_ERROR)
    counts[SLOWEST] = round(max(counts[SLOWEST], time.monotonic() - began), 2)
    code = _code_of(child)
    counts[DEADLOCKS] += code is None
    counts[OTHER] += code == _OTHER
    counts[ERRORS] += code not in (None, 0, _OTHER)


def _use(clf: Any, expected: Any, anew: bool) -> int:
    """Use a classifier with what the parent had loaded, and perhaps all anew."""
    found = [_answers(clf)]
    clear_sweeps(clf.memory)
    clear_backbones()
    if anew:
        found.append(_answers(type(clf)(**clf.get_params(deep=False)).fit(X, Y)))
    is_same = all(np.allclose(one, expected, atol=1e-5) for one in found)
    return 0 if is_same else _OTHER


def _code_of(child: int) -> int | None:
    """Return a process's exit code; None for one that had to be killed."""
    until = time.monotonic() + _LIMIT
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


TRIALS = (
    Trial(
        "forks",
        "A process forks while six of its threads fit, predict, sweep, load and forget",
        fork_while_threads_run,
        500,
        none_of=(DEADLOCKS, OTHER, ERRORS, BROKEN),
    ),
)

if __name__ == "__main__":
    sys.stdout.write(json.dumps(_forks(*map(int, sys.argv[1:3]))))
