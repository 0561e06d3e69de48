"""Rows that go on are packed again, and answer as they did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from skraee.engine import packing, prompt_batches
from skraee.engine.engine import Engine
from skraee.engine.exit_policy import AtGivenDepths
from skraee.engine.rows import Parked
from skraee.text.prompt import Prompt
from tests.support.models import MODELS, loaded
from tests.support.prompts import prompts_for
from tests.support.ways import WAYS, on_the_way

LENGTHS = tuple(np.random.default_rng(0).integers(4, 16, 40).tolist())
# Ways in which rows leave by themselves; in the others all go on to the end.
LEAVING = [way for way in WAYS if way not in ("sweep", "every depth")]


@pytest.fixture
def by_half(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows wait where half of their batch has left."""
    monkeypatch.setattr(packing, "_SHARE", 0.5)


class Passes:
    """Notes each pass of rows that are packed again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.n_rows: list[int] = []
        self.entered_at: list[int] = []  # -1: not yet
        self.parked: list[Parked] = []
        self._run = packing.forward_pass
        monkeypatch.setattr(packing, "forward_pass", self)

    def __call__(self, backbone: Any, batch: Any, running: Any, compiled: Any) -> None:
        """Run, and note."""
        self.n_rows.append(len(running.rows))
        self.entered_at.append(-1 if running.entry is None else running.entry.depth)
        self._run(backbone, batch, running, compiled)
        if running.parked is not None:
            self.parked.append(running.parked)


def engines(name: str, **settings: Any) -> tuple[Engine, Engine]:
    """Return one that packs again, and one that does not."""
    plain = Engine(loaded(name))
    plain.packs_again = False
    return Engine(loaded(name), **settings), plain


def drawn_exits(n_prompts: int, n_layers: int, seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, n_layers + 1, n_prompts)


@pytest.mark.parametrize("way", LEAVING)
@pytest.mark.parametrize("name", MODELS)
def test_rows_that_are_packed_again_answer_as_they_did(
    name: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    packs, plain = engines(name, batch_tokens=50)
    prompts = prompts_for(packs.backbone.family.kind, LENGTHS)
    exits = drawn_exits(len(prompts), plain.n_layers)
    expected = WAYS[way](plain, prompts, exits)
    passes = Passes(monkeypatch)
    found = WAYS[way](packs, prompts, exits)
    if way.startswith("given"):
        assert max(passes.entered_at) >= 0  # some have waited
    for answer, values in expected.items():
        np.testing.assert_allclose(found[answer], values, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("way", LEAVING)
@pytest.mark.parametrize("name", ["bert", "gemma2", "t5"])
def test_windows_that_are_packed_again_answer_as_they_did(name: str, way: str) -> None:
    packs, plain = engines(name, batch_tokens=60)
    windows = prompts_for(packs.backbone.family.kind, LENGTHS)
    prompts = [in_windows(windows[i : i + 1 + i % 3]) for i in range(0, 36, 3)]
    exits = drawn_exits(len(prompts), plain.n_layers)
    expected = WAYS[way](plain, prompts, exits)
    found = WAYS[way](packs, prompts, exits)
    for answer, values in expected.items():
        np.testing.assert_allclose(found[answer], values, rtol=1e-5, atol=2e-5)


def in_windows(windows: list[Prompt]) -> Prompt:
    first, *rest = windows
    return replace(first, further=tuple(rest))


@pytest.mark.usefixtures("by_half")
@pytest.mark.parametrize("name", ["bert", "gpt2", "t5"])
def test_what_a_layer_costs_follows_the_number_of_rows_that_run_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    packs, plain = engines(name, batch_tokens=64)
    prompts = prompts_for(packs.backbone.family.kind, (8,) * 64)
    # Eight batches of eight rows, of each of which half leave at depths 0, 1 and 2.
    exits = np.tile([0, 1, 0, plain.n_layers, 0, 2, 0, 1], 8)
    passes = Passes(monkeypatch)
    packs.run(prompts, AtGivenDepths(exits), on_the_way(packs))
    assert passes.n_rows == [8] * 15
    assert passes.entered_at == [-1] * 8 + [0] * 4 + [1] * 2 + [2]


@pytest.mark.usefixtures("by_half")
def test_rows_join_those_that_wait_however_few_have_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    packs, plain = engines("bert", batch_tokens=64)
    prompts = prompts_for("masked", (8,) * 16)
    last = plain.n_layers
    exits = np.array([0, 0, 0, 0, *[last] * 4, 0, *[last] * 7])
    passes = Passes(monkeypatch)
    packs.run(prompts, AtGivenDepths(exits), on_the_way(packs))
    assert passes.n_rows == [8, 8, 8, 3]
    assert passes.entered_at == [-1, -1, 0, 0]


@pytest.mark.usefixtures("by_half")
@pytest.mark.parametrize("name", ["bert", "t5"])
def test_rows_that_wait_hold_no_states_of_others(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    packs, plain = engines(name, batch_tokens=64)
    prompts = prompts_for(packs.backbone.family.kind, (8,) * 64)
    last = plain.n_layers
    exits = np.tile([0, 1, 0, last, 0, last - 1, 0, last], 8)
    passes = Passes(monkeypatch)
    packs.run(prompts, AtGivenDepths(exits), on_the_way(packs))
    assert len(passes.parked) > 8
    in_decoder = [parked for parked in passes.parked if parked.encoded is not None]
    assert bool(in_decoder) == (name == "t5")
    for parked in passes.parked:
        for states in (parked.hidden, parked.encoded):
            if states is not None:
                held = states.untyped_storage().nbytes()
                assert held == states.numel() * states.element_size()


@pytest.mark.parametrize("name", ["bert", "gpt2"])
@pytest.mark.parametrize("most", [1, 3, 7])
def test_rows_that_do_not_fit_into_memory_run_in_smaller_batches(
    name: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    packs, plain = engines(name)
    prompts = prompts_for(packs.backbone.family.kind, LENGTHS)
    exits = drawn_exits(len(prompts), plain.n_layers)
    expected = plain.run(prompts, AtGivenDepths(exits), on_the_way(plain))
    run = packing.forward_pass

    def greedy(backbone: Any, batch: Any, running: Any, *more: Any) -> None:
        if len(running.rows) > most:
            raise torch.OutOfMemoryError("too much")
        run(backbone, batch, running, *more)

    monkeypatch.setattr(packing, "forward_pass", greedy)
    told: list[int] = []
    found = packs.run(
        prompts, AtGivenDepths(exits), on_the_way(packs), on_progress=told.append
    )
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    assert sum(told) == len(prompts)


def test_batches_that_do_not_fit_are_halved_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    packs, plain = engines("bert", batch_tokens=100)
    prompts = prompts_for("masked", (10,) * 40)
    exits = np.full(40, plain.n_layers)
    run, n_failed = packing.forward_pass, 0

    def greedy(backbone: Any, batch: Any, running: Any, *more: Any) -> None:
        nonlocal n_failed
        if len(running.rows) > 5:
            n_failed += 1
            raise torch.OutOfMemoryError("too much")
        run(backbone, batch, running, *more)

    monkeypatch.setattr(packing, "forward_pass", greedy)
    packs.run(prompts, AtGivenDepths(exits), on_the_way(packs))
    assert n_failed == 1


def test_what_runs_again_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    packs, plain = engines("bert", batch_tokens=100)
    prompts = prompts_for("masked", LENGTHS)
    exits = drawn_exits(len(prompts), plain.n_layers)
    run = packing.forward_pass
    n_passes = 0

    def failing_once(backbone: Any, batch: Any, running: Any, *more: Any) -> None:
        nonlocal n_passes
        n_passes += 1
        if n_passes == 4:
            raise torch.OutOfMemoryError("too much")
        run(backbone, batch, running, *more)

    monkeypatch.setattr(packing, "forward_pass", failing_once)
    told: list[int] = []
    packs.run(prompts, AtGivenDepths(exits), on_the_way(packs), on_progress=told.append)
    assert sum(told) == len(prompts)
    assert min(told) > 0


@pytest.mark.parametrize("name", ["bert", "t5"])
def test_chunks_are_of_so_many_tokens_as_may_wait(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    packs, plain = engines(name, batch_tokens=40)
    prompts = prompts_for(packs.backbone.family.kind, LENGTHS)
    exits = drawn_exits(len(prompts), plain.n_layers)
    expected = plain.run(prompts, AtGivenDepths(exits), on_the_way(plain))
    n_tokens: list[int] = []
    begin: Callable[..., Any] = packing.Descent.run

    def noting(self: Any, progress: Any) -> None:
        n_tokens.append(int(self._chunk.n_tokens.sum()))
        begin(self, progress)

    monkeypatch.setattr(packing.Descent, "run", noting)
    monkeypatch.setattr(prompt_batches, "_CHUNK_BYTES", {"cpu": 100 * 16 * 4})
    found = packs.run(prompts, AtGivenDepths(exits), on_the_way(packs))
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    assert len(n_tokens) > 2
    assert max(n_tokens) <= 100
