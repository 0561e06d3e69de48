"""What the benchmarks share: data, backbones, and where results go."""

from __future__ import annotations

import csv
import json
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

RESULTS = Path(__file__).parent / "results"


def data_folder() -> Path:
    return _folder("SKRAEE_DATA", "the data sets, one folder a task")


def backbone_folder(name: str) -> Path:
    folder = _folder("SKRAEE_BACKBONES", "the models, one folder each") / name
    if not folder.is_dir():
        sys.exit(f"no model folder {name} under $SKRAEE_BACKBONES")
    return folder


def read_task(task: str, part: str) -> tuple[list[str], np.ndarray]:
    """Texts and labels of a task's train or test file."""
    with (data_folder() / task / f"{part}.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], np.array([row["label"] for row in rows])


def sample(
    texts: list[str], labels: np.ndarray, size: int, seed: int
) -> tuple[list[str], np.ndarray]:
    """Draw without replacement, from a seed."""
    chosen = np.random.default_rng(seed).permutation(len(texts))[:size]
    return [texts[i] for i in chosen], labels[chosen]


def record(file: str, **fields: Any) -> None:
    """Append a line to a results file and show it."""
    line = {"when": datetime.now(UTC).isoformat("T", "seconds"), **fields}
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / file).open("a", encoding="utf-8") as out:
        out.write(json.dumps(line | {"machine": machine()}) + "\n")
    print(json.dumps(fields), flush=True)


def machine() -> dict[str, Any]:
    return {
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processor": platform.machine(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        **{p: version(p) for p in ("torch", "transformers", "scikit-learn")},
    }


def _folder(variable: str, what: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        sys.exit(f"set {variable} to the folder that holds {what}")
    return Path(value)
