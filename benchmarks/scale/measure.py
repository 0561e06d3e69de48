"""The runs: texts and a model in a folder, and a process for each run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.data import backbone_folder
from benchmarks.lines import Line, Lines
from benchmarks.scale.work import MODEL, TEXTS
from skraee import EarlyExitClassifier, toy
from skraee.demo import shipped_task

ENGINES = ("plain", "ray", "spark", "dask")

# Rows of a file, which is the piece of work that an engine gives to a worker.
_PIECE = 8 * 1024

_BUDGET = 0.5


@dataclass(frozen=True)
class Options:
    """What a run is asked for.

    Attributes
    ----------
    lines : Lines
    backbone : str
        "toy", or a folder under SKRAEE_BACKBONES.
    rows : int
    engines : list of str
    workers : list of int
    rounds : int
    """

    lines: Lines
    backbone: str
    rows: int
    engines: list[str]
    workers: list[int]
    rounds: int


def measure(options: Options) -> None:
    """Run every engine with every number of workers, in turns."""
    with tempfile.TemporaryDirectory(prefix="skraee-scale-") as folder:
        made = False
        for turn in range(options.rounds):
            for workers in options.workers:
                for engine in options.engines:
                    name: Line = {
                        "backbone": options.backbone,
                        "engine": engine,
                        "workers": workers,
                        "rows": options.rows,
                        "round": turn,
                    }
                    if not options.lines.has(name):
                        if not made:
                            prepare(options.backbone, options.rows, Path(folder))
                            made = True
                        options.lines.add(**name, **run(engine, workers, folder))


def prepare(backbone: str, rows: int, folder: Path) -> None:
    """Write the model's file, and the texts as Parquet files."""
    import pyarrow as pa
    from pyarrow import parquet

    clf, texts = fitted(backbone, rows)
    clf.save(folder / MODEL)
    (folder / TEXTS).mkdir()
    for start in range(0, rows, _PIECE):
        piece = pa.table({"text": texts[start : start + _PIECE]})
        parquet.write_table(piece, folder / TEXTS / f"{start:012}.parquet")


def fitted(backbone: str, rows: int) -> tuple[Any, list[str]]:
    """Return a classifier, and so many texts that it was not fitted on."""
    if backbone == "toy":
        clf = EarlyExitClassifier(toy.backbone(), budget=_BUDGET, memory=None)
        return clf.fit(*toy.reviews(200)), toy.reviews(rows, seed=1)[0]
    task = shipped_task()
    clf = EarlyExitClassifier(
        str(backbone_folder(backbone)), budget=_BUDGET, memory=None
    )
    clf.fit(task.fit.texts, task.fit.labels)
    known = list(task.test.texts)
    # A number makes each its own: copies in a batch are answered once.
    return clf, [f"{known[i % len(known)]} {i}" for i in range(rows)]


def run(engine: str, workers: int, folder: str) -> Line:
    """Let a process of its own do the work, and return what it says at its end."""
    command = [sys.executable, "-m", "benchmarks.scale.work", engine, str(workers)]
    threads = {"OMP_NUM_THREADS": "1", "RAY_DISABLE_IMPORT_WARNING": "1"}
    marked = {**os.environ, **threads, "SKRAEE_SCALE_RUN": folder}
    done = subprocess.run(
        [*command, folder], env=marked, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["nothing was said"]
        return {"failed": last[0][:300]}
    return told_by(done.stdout)


def told_by(printed: str) -> Line:
    """Return the line of JSON among what a run printed; engines print lines, too."""
    lines = [line for line in printed.splitlines() if line.startswith("{")]
    if not lines:
        return {"failed": f"no figures, but {printed.strip()[-200:]!r}"}
    found: Line = json.loads(lines[-1])
    return found
