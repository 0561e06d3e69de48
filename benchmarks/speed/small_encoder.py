"""A tenth of a large encoder against the whole of a small one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import mean
from typing import Any

import numpy as np

from benchmarks.data import TASKS, backbone_folder, local_backbones, read_task, sample
from benchmarks.peers import regression
from benchmarks.speed.depth import BUDGETS, On, encoding, milliseconds
from benchmarks.speed.options import Options
from benchmarks.timing import alternate, ratio
from skraee import Backbone, EarlyExitClassifier

LARGE, SMALL = "mpnet-base", "minilm-l6"
N_FIT, N_NEW = 1_000, 500


def small(options: Options) -> None:
    """Bar: mpnet at budget 0.1 in less time than MiniLM-L6, 3 points more accurate.

    MiniLM-L6 by sentence-transformers' `encode` with logistic regression, in the same
    dtype; 1,000 texts to fit, up to 500 test texts, the mean of the eight tasks.
    """
    if not {LARGE, SMALL} <= set(local_backbones()):
        return
    for dtype in options.dtypes:
        lines = [against_small(options, task, dtype) for task in TASKS]
        options.lines.add(
            figure="a tenth of mpnet against MiniLM-L6, mean of tasks",
            dtype=dtype,
            device=options.device,
            **{name: round(mean(line[name] for line in lines), 3) for name in lines[0]},
        )


def against_small(options: Options, task: str, dtype: str) -> dict[str, float]:
    X, y = sample(*read_task(task, "train"), N_FIT, seed=0)
    new, right = sample(*read_task(task, "test"), N_NEW, seed=0)
    clf = EarlyExitClassifier(
        Backbone(backbone_folder(LARGE)),
        budget=BUDGETS[0],
        dtype=dtype,
        device=options.device,
    )
    clf.fit(X, y).set_params(memory=None)
    encode = encoding(On(backbone=SMALL, dtype=dtype, device=options.device))
    assert encode is not None
    searched = regression(None).fit(encode(X), y)
    runs: dict[str, Callable[[], Any]] = {
        "ours": partial(clf.predict, new),
        "theirs": lambda: searched.predict(encode(new)),
    }
    seconds = alternate(runs, options.n_rounds)
    found = {
        "accuracy": round(100 * float(np.mean(clf.predict(new) == right)), 2),
        "accuracy_small": round(100 * float(np.mean(runs["theirs"]() == right)), 2),
        "cost": round(float(clf.cost_[clf.exit_layers(new)].mean()), 4),
        "ms_a_text": milliseconds(seconds["ours"], len(new)),
        "ms_a_text_small": milliseconds(seconds["theirs"], len(new)),
        "of_small": ratio(seconds["ours"], seconds["theirs"]),
    }
    options.lines.add(
        figure="a tenth of mpnet against MiniLM-L6",
        task=task,
        dtype=dtype,
        device=options.device,
        texts=len(new),
        **found,
    )
    return found
