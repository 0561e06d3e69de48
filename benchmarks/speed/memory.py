"""The memory of predict, in processes of their own (Linux)."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from unittest.mock import patch

import numpy as np

from benchmarks.speed.options import Options
from skraee import RAEEClassifier, toy

FEW, MANY = 1_000, 100_000
MIB = 2**20

Peak = Callable[[int], tuple[float, float]]

# Without what torch and malloc keep for later. Both is bounded: oneDNN keeps up to
# 1,024 kernels, one for each shape of a batch, and these lie in the heap among what is
# free again and hinder malloc from giving it back.
LEAN = {
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "0",
    "MALLOC_MMAP_THRESHOLD_": "16384",
    "MALLOC_TRIM_THRESHOLD_": "16384",
}


def memory(options: Options) -> None:
    """Bar: peak of predict beyond input and output equal within 5 %.

    In processes of their own (Linux), with the MiB that are still held afterwards:

    arrays and objects  what Python and numpy hold (tracemalloc)
    resident, lean      of a process that keeps nothing for later, see `LEAN`
    resident            of a process as it is
    """
    for what, environment, peak in (
        ("arrays and objects", {}, peak_of_objects),
        ("resident, lean", LEAN, peak_of_process),
        ("resident", {}, peak_of_process),
    ):
        found = {size: apart(peak, size, environment) for size in (FEW, MANY)}
        peaks = {n: round(median(p for p, _ in found[n]), 2) for n in found}
        kept = {n: round(median(after for _, after in found[n]), 2) for n in found}
        few, many = (peaks[n] - kept[n] for n in (FEW, MANY))
        options.lines.add(
            figure="peak of predict beyond input and output, MiB",
            memory=what,
            peak=peaks,
            kept_afterwards=kept,
            ratio=round(peaks[MANY] / peaks[FEW], 3),
            ratio_without_what_is_kept=round(many / few, 3) if few else None,
        )


def apart(
    peak: Peak, size: int, environment: Mapping[str, str]
) -> list[tuple[float, float]]:
    """Measure three times, each in a new process."""
    found = []
    for _ in range(3):
        with patch.dict(os.environ, environment), get_context("spawn").Pool(1) as pool:
            found.append(pool.apply(peak, (size,)))
    return found


def peak_of_process(size: int) -> tuple[float, float]:
    """Return MiB of resident memory in predict at its highest, and afterwards."""
    predict, texts = toy_predict(size)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = resident("VmRSS")
    out = predict(texts)
    before += out.nbytes / MIB
    return resident("VmHWM") - before, resident("VmRSS") - before


def peak_of_objects(size: int) -> tuple[float, float]:
    """Return MiB that Python and numpy hold in predict at their highest, and after."""
    predict, texts = toy_predict(size)
    tracemalloc.start()
    try:
        out = predict(texts)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (peak - out.nbytes) / MIB, (after - out.nbytes) / MIB


def toy_predict(size: int) -> tuple[Callable[[list[str]], np.ndarray], list[str]]:
    """Fit on toy texts; return predict, which has run before, and new texts."""
    X, y = toy.reviews(200)
    clf = RAEEClassifier(
        toy.backbone(),
        toy.TEMPLATES["masked"],
        label_words=toy.LABEL_WORDS,
        memory=None,
    ).fit(X, y)
    reviews = toy.reviews(size, seed=2)[0]
    # All are new, and of like length whatever the size.
    texts = [f"{text} {i:06}" for i, text in enumerate(reviews)]
    clf.predict([f"{text} again" for text in texts[:100]])
    return clf.predict, texts


def resident(what: str) -> float:
    """Return memory in MiB: VmRSS and RssAnon (its own) now, VmHWM at its highest."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(what)]
    return int(line.split()[1]) / 2**10
