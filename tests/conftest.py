"""Settings that all tests share."""

from __future__ import annotations

import os

# Tests never ask a hub, whatever a test forgets to forbid. The library reads this when
# it is imported, so this comes before everything that imports it.
os.environ["HF_HUB_OFFLINE"] = "1"

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from skraee import clear_backbones, clear_sweeps
from skraee.engine import agreement
from skraee.engine.engine import Engine
from tests.support.models import MODELS

# What stands for the zoo where time is short: encoders, decoders and both, positions
# that are learned, rotated and relative, with windows and without. The tests of the
# other families are slow, but those that compare each model with its own forward.
OF_EVERY_FAMILY = "test_engine.py"
FIRST_FAMILIES = {"bert", "mpnet", "gpt2", "llama", "gemma3_text", "t5"}

# Tiny models gain nothing by threads, and lose much where several tests run at once.
torch.set_num_threads(1)


@pytest.hookimpl(tryfirst=True)  # before any is left out by its marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks for one of the zoo's further families."""
    further = MODELS.keys() - FIRST_FAMILIES
    for item in items:
        if item.path.name == OF_EVERY_FAMILY:
            continue
        params = getattr(item, "callspec", None)
        values = [] if params is None else params.params.values()
        if any(isinstance(value, str) and value in further for value in values):
            item.add_marker(pytest.mark.slow)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what tests counted: their properties of the name "counted"."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    counted = [
        value
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == "counted" and report.when == "call"
    ]
    if counted:
        terminalreporter.section("counted")
        for line in counted:
            terminalreporter.line(line)


@pytest.fixture
def fresh_backbones() -> Iterator[None]:
    """Let no backbone or encoder of another test be loaded, nor any stay."""
    clear_backbones()
    yield
    clear_backbones()


@pytest.fixture
def fresh_sweeps() -> Iterator[None]:
    """Let the process remember no text of another test, nor any of this."""
    clear_sweeps()
    yield
    clear_sweeps()


@pytest.fixture
def apart_from_looks(monkeypatch: pytest.MonkeyPatch) -> list[Counter[Any]]:
    """Counters in here do not count what the look at each loaded backbone runs."""
    counters: list[Counter[Any]] = []
    look = agreement.check_agreement

    def looking(backbone: Any) -> None:
        before = [counter.copy() for counter in counters]
        look(backbone)
        for counter, counted in zip(counters, before, strict=True):
            counter.clear()
            counter.update(counted)

    monkeypatch.setattr(agreement, "check_agreement", looking)
    return counters


@pytest.fixture
def rows(
    monkeypatch: pytest.MonkeyPatch, apart_from_looks: list[Counter[Any]]
) -> Counter[str]:
    """Rows that each way of running the backbone was given; "means" run no layer."""
    counted: Counter[str] = Counter()
    apart_from_looks.append(counted)
    ways = ("sweep", "run", "scores_at_every_depth", "keys")
    for name in ways:
        run = getattr(Engine, name)

        def counting(
            self: Any,
            prompts: Any,
            *args: Any,
            _run: Any = run,
            _name: str = name,
            **kw: Any,
        ) -> Any:
            is_mean = _name == "keys" and not any((*args, *kw.values()))
            counted["means" if is_mean else _name] += len(prompts)
            return _run(self, prompts, *args, **kw)

        monkeypatch.setattr(Engine, name, counting)
    return counted
