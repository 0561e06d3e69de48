"""What compiled layers gain, and what compiling them takes."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.data import backbone_folder
from benchmarks.speed.depth import (
    BUDGETS,
    FullForward,
    On,
    each,
    matrix_rate,
    milliseconds,
    texts,
)
from benchmarks.speed.options import Options
from benchmarks.timing import alternate, ratio, seconds_of
from skraee import Backbone, EarlyExitClassifier

N_NEW = 500
N_WARM = 200  # what a process runs before it compiles, and then again


def compiling(options: Options) -> None:
    """Bar: full depth, compiled, at least 1.5 times as fast as the plain forward.

    And compiled in at most 40 s, found on disk by a new process in at most 3 s: by so
    much the first call takes longer than the next one with the same texts.
    """
    new = texts()[1][:N_NEW]
    for on in each(options):
        full = FullForward(on)
        plain, compiled = (to_full_depth(on, compile) for compile in (False, True))
        budget = to_full_depth(on, compile=True)
        budget.set_params(min_exit=0, budget=BUDGETS[-1]).fit(*texts()[0])
        budget.set_params(memory=None)
        runs: dict[str, Callable[[], Any]] = {
            "full": partial(full, new),
            "plain": partial(plain.predict, new),
            "compiled": partial(compiled.predict, new),
            "budget": partial(budget.predict, new),
            "plain budget": partial(not_compiled, budget, new),
        }
        seconds = alternate(runs, options.n_rounds)
        rate = full.operations(new) / min(seconds["compiled"]) / matrix_rate(on)
        with TemporaryDirectory() as folder:
            first, again = (in_new_process(on, folder) for _ in range(2))
        options.lines.add(
            figure="layers compiled",
            **on,
            texts=len(new),
            ms_a_text_full=milliseconds(seconds["full"], len(new)),
            plain_as_fast_as_full=ratio(seconds["full"], seconds["plain"]),
            compiled_as_fast_as_full=ratio(seconds["full"], seconds["compiled"]),
            budget=BUDGETS[-1],
            as_fast_at_budget=ratio(seconds["plain budget"], seconds["budget"]),
            share_of_rate_compiled=round(rate, 3),
            seconds_to_compile=round(first, 1),
            seconds_from_disk=round(again, 1),
        )


def not_compiled(clf: EarlyExitClassifier, new: list[str]) -> None:
    clf.set_params(compile=False).predict(new)
    clf.set_params(compile=True)


def to_full_depth(on: On, compile: bool) -> EarlyExitClassifier:
    """Return a classifier by which no text stops early."""
    (X, y), _ = texts()
    clf = EarlyExitClassifier(
        Backbone(backbone_folder(on["backbone"])),
        dtype=on["dtype"],
        device=on["device"],
        compile=False,
    )
    clf.fit(X, y)
    clf.set_params(min_exit=clf.n_layers_, compile=compile, memory=None)
    return clf


def in_new_process(on: On, folder: str) -> float:
    """Return the seconds that compiling takes in a process, with what a folder has."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(seconds_to_compile, (on, folder))


def seconds_to_compile(on: On, folder: str) -> float:
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
    new = texts()[1][:N_WARM]
    clf = to_full_depth(on, compile=False)
    clf.predict(new)
    clf.set_params(compile=True)
    first, second = (seconds_of(partial(clf.predict, new)) for _ in range(2))
    return first - second
