"""skraee leaves its process as it is: by import, by what fails, by every use."""

from __future__ import annotations

import logging
import os
import pkgutil
import random
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.trust.footprint import (
    MOST_MILLISECONDS,
    USES,
    imported,
    unusual,
)
from benchmarks.trust.process_state import changed, process_state
from skraee import EarlyExitClassifier, clear_backbones, toy
from skraee.cli.main import main
from tests.support.checkpoints import saved_toy


def test_import_takes_no_time_loads_no_torch_and_changes_nothing() -> None:
    milliseconds, heavy, others = imported()
    assert milliseconds < MOST_MILLISECONDS
    assert heavy == others == []


def every_module() -> list[str]:
    """Import all modules of skraee; return their names."""
    package = import_module("skraee")
    found = pkgutil.walk_packages(package.__path__, "skraee.")
    return [import_module(one.name).__name__ for one in found]


def test_import_of_every_module_changes_nothing() -> None:
    # The first time also runs what they import, whose settings are not ours.
    names = ["skraee", *every_module()]
    modules = {name: sys.modules.pop(name) for name in names}
    try:
        before = process_state()
        assert len(every_module()) > 150
        assert changed(before, process_state()) == []
    finally:
        sys.modules.update(modules)


@pytest.mark.parametrize("name", ["confidence", "votes", "store", "AdaInfer"])
def test_use_in_unusual_surroundings_changes_nothing(name: str, tmp_path: Path) -> None:
    with unusual(random.Random(0)):
        before = process_state()
        USES[name](tmp_path)
        assert changed(before, process_state()) == []


@pytest.mark.parametrize("fails", [False, True])
def test_load_of_a_folder_changes_nothing(fails: bool, tmp_path: Path) -> None:
    folder = saved_toy(tmp_path / "model")
    if fails:
        (folder / "model.safetensors").write_bytes(b"no weights")
    clear_backbones()
    with unusual(random.Random(1)):
        before = process_state()
        clf = EarlyExitClassifier(str(folder), threshold=0.7)
        if fails:
            with pytest.raises(Exception, match="model"):
                clf.fit(*toy.reviews(20))
        else:
            clf.fit(*toy.reviews(20))
        assert changed(before, process_state()) == []


@pytest.mark.parametrize("name", ["missing.csv", "reviews.csv"])
def test_command_changes_nothing(name: str, tmp_path: Path, capsys: Any) -> None:
    rows = zip(*toy.reviews(20), strict=True)
    text = "text,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows)
    (tmp_path / "reviews.csv").write_text(text, "utf-8")
    command = ["fit", str(tmp_path / name), "--backbone", "toy:causal:0"]
    command += ["--template", "{text}", "--exit-by", "confidence"]
    command += ["--budget", "0.5", "-o", str(tmp_path / "model.skraee")]
    with unusual(random.Random(2)):
        before = process_state()
        assert main(command) == (0 if name == "reviews.csv" else 2)
        assert changed(before, process_state()) == []
    capsys.readouterr()


def _log(level: int) -> None:
    logging.getLogger("skraee.test").setLevel(level)


CHANGES: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "environment variables": (
        lambda: os.environ.update(SKRAEE_CHANGED="1"),
        lambda: os.environ.pop("SKRAEE_CHANGED"),
    ),
    "random": (random.random, lambda: None),
    "numpy's generator": (np.random.rand, lambda: None),
    "torch's generator": (lambda: torch.rand(1), lambda: None),
    "warning filters": (
        lambda: warnings.filterwarnings("ignore", message="changed"),
        lambda: warnings.filters.pop(0),  # type: ignore[attr-defined]
    ),
    "torch's dtype": (
        lambda: torch.set_default_dtype(torch.float64),
        lambda: torch.set_default_dtype(torch.float32),
    ),
    "torch's threads": (
        lambda: torch.set_num_threads(3),
        lambda: torch.set_num_threads(1),
    ),
    "logger skraee.test": (
        lambda: _log(logging.ERROR),
        lambda: _log(logging.NOTSET),
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_changed_is_told(name: str) -> None:
    change, back = CHANGES[name]
    before = process_state()
    try:
        change()
        assert name in changed(before, process_state())
    finally:
        back()
