"""In which order SLEB removes the blocks of a backbone, found once, round by round.

The search is that of `SLEBClassifier`; its parts are called one by one, since a fit
cannot go on where an earlier one was ended.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.data import TASKS, data_folder, read_task, sample
from benchmarks.paper.case import Case
from skraee.baselines.sleb.block_removal import blocks_of, removable_blocks
from skraee.baselines.sleb.block_search import losses_without
from skraee.baselines.sleb.exercises import exercises_for

SHARE = 0.6  # of the blocks, as in the RAEE paper; SLEB's own goes up to 0.2


def removal_order(case: Case, share: float = SHARE) -> list[int]:
    """Return the blocks to remove; rounds that have no line yet are run."""
    backbone = case.loaded
    n_remove = min(int(share * n_layers(case)), len(removable_blocks(backbone)))
    removed = _rounds_done(case)
    if len(removed) >= n_remove:
        return removed[:n_remove]
    texts = calibration_texts(case.n_calibration, case.seed)
    exercises = exercises_for(backbone, texts, np.random.RandomState(case.seed))
    while len(removed) < n_remove:
        start = time.perf_counter()
        losses = losses_without(backbone, removed, exercises)
        best = min(losses, key=lambda block: losses[block])
        removed.append(best)
        case.lines.add(
            **_name(case),
            round=len(removed),
            removed=best,
            loss=round(losses[best], 4),
            losses={str(block): round(loss, 4) for block, loss in losses.items()},
            seconds=round(time.perf_counter() - start, 1),
        )
    return removed


def n_layers(case: Case) -> int:
    """Return the number of layers of a backbone."""
    return sum(map(len, blocks_of(case.loaded)))


def calibration_texts(n_texts: int, seed: int) -> list[str]:
    """Draw training texts, equally many of each task."""
    tasks = [task for task in TASKS if (data_folder() / task).is_dir()]
    texts: list[str] = []
    for number, task in enumerate(tasks, start=1):
        n_drawn = round(number * n_texts / len(tasks)) - len(texts)
        texts += sample(*read_task(task, "train"), n_drawn, seed)[0]
    return texts


def _rounds_done(case: Case) -> list[int]:
    name = _name(case)
    own = [line for line in case.lines if name.items() <= line.items()]
    by_round = {line["round"]: line["removed"] for line in reversed(own)}
    return [by_round[number] for number in sorted(by_round)]


def _name(case: Case) -> dict[str, Any]:
    return {
        "table": "sleb-order",
        "backbone": case.shown_backbone,
        "seed": case.seed,
        "n_calibration": case.n_calibration,
        "dtype": case.dtype,
    }
