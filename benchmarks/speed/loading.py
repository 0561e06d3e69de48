"""The memory that loading a backbone needs, each time in a new process (Linux)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

from benchmarks.data import backbone_folder, local_backbones
from benchmarks.speed.memory import MIB, resident
from benchmarks.speed.options import Options
from skraee import Backbone
from skraee.engine.agreement import believed

EVERY = 0.002  # seconds


def loading(options: Options) -> None:
    """Bar: loading takes at most 1.3 times the weights' own memory.

    MiB beyond what the process had before it, which has loaded a toy and so imported
    what it needs:

    weights   in the dtype asked for
    resident  at the highest, all of it (VmHWM): also pages of weight files that are
              mapped, which the system takes back where memory is short
    own       at the highest, without such pages (RssAnon, asked every 2 ms)
    after     what is the process's own when the backbone is loaded
    looked    own at the highest while the backbone is looked at layer by layer
    """
    for name in local_backbones():
        for dtype in options.dtypes:
            with get_context("spawn").Pool(1) as pool:
                found = pool.apply(
                    memory_of_loading, (str(backbone_folder(name)), dtype)
                )
            options.lines.add(
                figure="memory of loading, MiB",
                backbone=name,
                dtype=dtype,
                **{what: round(mib) for what, mib in found.items()},
                ratio=round(found["resident"] / found["weights"], 2),
                ratio_of_own=round(found["own"] / found["weights"], 2),
            )


def memory_of_loading(name: str, dtype: str) -> dict[str, float]:
    """Load a backbone on the CPU; return MiB as `loading` names them."""
    believed(Backbone("toy:causal:0").load(device="cpu"))
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before, own_before = resident("VmRSS"), resident("RssAnon")
    with watched() as own:
        backbone = Backbone(name).load(dtype, device="cpu")
    at_most, after = resident("VmHWM"), resident("RssAnon")
    with watched() as looked:
        believed(backbone)
    weights = sum(weight.nbytes for weight in backbone.model.parameters())
    return {
        "weights": weights / MIB,
        "resident": at_most - before,
        "own": max(own) - own_before,
        "after": after - own_before,
        "looked": max(looked) - own_before,
    }


@contextmanager
def watched() -> Iterator[list[float]]:
    """Note the process's own memory in MiB from a thread beside."""
    notes, is_over = [resident("RssAnon")], threading.Event()

    def note() -> None:
        while not is_over.wait(EVERY):
            notes.append(resident("RssAnon"))

    thread = threading.Thread(target=note)
    thread.start()
    try:
        yield notes
    finally:
        is_over.set()
        thread.join()
