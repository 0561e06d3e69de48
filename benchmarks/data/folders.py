"""The folders of the tasks and of the models.

$SKRAEE_DATA is a folder with TASK/train.csv and TASK/test.csv, $SKRAEE_BACKBONES one
with a model folder each.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np

TASKS = ("sst2", "sst5", "mr", "cr", "mpqa", "subj", "trec", "cola")
UNEQUAL = ("cr", "mpqa")  # training files of unequal classes, test files of equal ones

INTENTS = ("banking77", "clinc150")
ALL_TASKS = (*TASKS, *INTENTS)

# Test texts where no number is given: the files of the intents are long.
N_TEST = dict.fromkeys(INTENTS, 1_000)

TITLES = {
    "gemma3-270m": "Gemma 3 270M",
    "minilm-l6": "all-MiniLM-L6-v2",
    "mpnet-base": "all-mpnet-base-v2",
    "qwen2.5-0.5b": "Qwen2.5 0.5B",
}

Labelled = tuple[list[str], np.ndarray]


def data_folder() -> Path:
    return _folder("SKRAEE_DATA", "the data sets, one folder a task")


def backbone_folder(name: str) -> Path:
    folder = _folder("SKRAEE_BACKBONES", "the models, one folder each") / name
    if not folder.is_dir():
        raise SystemExit(f"no model folder {name} under $SKRAEE_BACKBONES")
    return folder


def local_backbones() -> list[str]:
    """Return the names of the model folders under $SKRAEE_BACKBONES."""
    folder = _folder("SKRAEE_BACKBONES", "the models, one folder each")
    return sorted(path.parent.name for path in folder.glob("*/config.json"))


def located(name: str) -> str:
    """Return a folder under $SKRAEE_BACKBONES, else a path or hub name as it is."""
    folder = Path(os.environ.get("SKRAEE_BACKBONES", "")) / name
    return str(folder) if folder.is_dir() else name


def shown_name(name: str) -> str:
    """Return what results call a backbone or encoder: no path, but its last part."""
    return Path(name).name if Path(located(name)).is_dir() else name


def read_task(task: str, part: str) -> Labelled:
    """Read the texts and labels of a task's train or test file."""
    with (data_folder() / task / f"{part}.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], np.array([row["label"] for row in rows])


def read_test(task: str, size: int | None = None) -> Labelled:
    """Read a task's test file, or so many texts of it, always the same ones.

    Without a `size` it is the whole file, but 1,000 texts of a set of intents.
    """
    texts, labels = read_task(task, "test")
    size = size or N_TEST.get(task)
    if size is None or size >= len(texts):
        return texts, labels
    return sample(texts, labels, size, seed=0)


def sample(texts: list[str], labels: np.ndarray, size: int, seed: int) -> Labelled:
    """Draw without replacement, from a seed."""
    chosen = np.random.default_rng(seed).permutation(len(texts))[:size]
    return [texts[i] for i in chosen], labels[chosen]


def _folder(variable: str, what: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        raise SystemExit(f"set {variable} to the folder that holds {what}")
    return Path(value)
