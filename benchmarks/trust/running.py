"""A process that is left running: what it holds after many calls."""

from __future__ import annotations

import gc
import os
import tempfile
import time
import weakref
from pathlib import Path
from typing import Any

import torch

from benchmarks.trust.trial import Count, Trial
from skraee import (
    Backbone,
    EarlyExitClassifier,
    RAEEClassifier,
    clear_sweeps,
    toy,
)
from skraee.backbone import tiny

HELD = "models given as objects that outlived their last user"
THREADS = "threads more at the end than after a tenth"
FILES = "open files more"
GROWN = "megabytes more"
TOO_MUCH = "times that this was above 16 MB"

X, Y = toy.reviews(40)
_PER_CYCLE = 40  # predicts
_MOST = 16 * 2**20


def leave_running(tries: int, seed: int) -> dict[str, Count]:
    """Predict so many times and fit and forget a fortieth as often."""
    counts: dict[str, Count] = {HELD: 0}
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        fitted = _fitted(folder, seed)
        counts |= _grown(tries, lambda n: _predict(fitted, n), "predicts")
        n_cycles = max(1, tries // _PER_CYCLE)

        def cycle(n: int) -> None:
            counts[HELD] += _fit_and_forget(folder, seed, n)

        counts |= _grown(n_cycles, cycle, "cycles")
    counts["seconds"] = round(time.monotonic() - began)
    return counts


def _fitted(folder: str, seed: int) -> list[Any]:
    words: dict[str, Any] = {"k": 5, "label_words": toy.LABEL_WORDS}
    template = toy.TEMPLATES["masked"]
    backbone = toy.backbone(seed=seed)
    made = [
        EarlyExitClassifier(backbone, budget=0.5),
        RAEEClassifier(backbone, template, memory=folder, **words),
    ]
    return [clf.fit(X, Y) for clf in made]


def _predict(fitted: list[Any], n: int) -> None:
    fitted[n % len(fitted)].predict([f"{X[n % len(X)]} {n}"])


def _fit_and_forget(folder: str, seed: int, n: int) -> bool:
    """Fit on a model of one's own; say whether it is there when all is forgotten."""
    model, tokenizer, _ = tiny.read(tiny.name_of("masked", seed), torch.float32)
    gone = weakref.ref(model)
    memory = folder if n % 2 else "process"
    clf = EarlyExitClassifier(Backbone(model, tokenizer), budget=0.5, memory=memory)
    clf.fit([f"{text} {n}" for text in X], Y).predict(X[:4])
    clear_sweeps(memory)
    del clf, model, tokenizer
    gc.collect()
    return gone() is not None


def _grown(n_calls: int, call: Any, what: str) -> dict[str, Count]:
    """Call so many times; return what is held more than after the first tenth."""
    before = _held()
    for n in range(n_calls):
        if n == n_calls // 10:
            before = _held()
        call(n)
    more = {name: held - before[name] for name, held in _held().items()}
    return {
        what: n_calls,
        f"{THREADS} ({what})": max(0, more["threads"]),
        f"{FILES} ({what})": max(0, more["files"]),
        f"{GROWN} ({what})": round(more["bytes"] / 2**20, 1),
        f"{TOO_MUCH} ({what})": int(n_calls >= 200 and more["bytes"] > _MOST),
    }


def _held() -> dict[str, int]:
    gc.collect()
    process = Path("/proc/self")  # this trial is for Linux
    pages = int((process / "statm").read_text().split()[1])
    return {
        "threads": len(os.listdir(process / "task")),
        "files": len(os.listdir(process / "fd")),
        "bytes": pages * os.sysconf("SC_PAGE_SIZE"),
    }


TRIALS = (
    Trial(
        "left-running",
        "A process predicts, and fits on models of its own and forgets them, for long",
        leave_running,
        20_000,
        none_of=(
            HELD,
            *(
                f"{count} ({what})"
                for count in (THREADS, FILES, TOO_MUCH)
                for what in ("predicts", "cycles")
            ),
        ),
    ),
)
