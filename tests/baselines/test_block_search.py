"""The search for blocks, against every removal tried by hooks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from skraee.baselines.sleb import lm_loss
from skraee.baselines.sleb.block_removal import removable_blocks
from skraee.baselines.sleb.block_search import find_removal_order, losses_without
from skraee.baselines.sleb.lm_loss import LanguageModelLoss
from tests.baselines.skipped_blocks import (
    N_LAYERS,
    blocks,
    counted_calls,
    deep,
    loss_by_hand,
    some_exercises,
)
from tests.support.models import MODELS


@pytest.mark.parametrize("name", MODELS)
def test_losses_are_those_of_the_models_own_forward(name: str) -> None:
    backbone = deep(name)
    exercises = some_exercises(backbone)
    for gone in ((), (2,)):
        found = losses_without(backbone, gone, exercises)
        assert sorted(found) == [b for b in removable_blocks(backbone) if b not in gone]
        for block, loss in found.items():
            expected = loss_by_hand(backbone, [*gone, block], exercises)
            assert loss == pytest.approx(expected, rel=1e-5)
        if name != "albert":  # whose blocks are one and the same
            assert np.ptp(list(found.values())) > 1e-2


@pytest.mark.parametrize("name", ["bert", "modernbert", "gpt2", "gemma3_text", "t5"])
def test_greedy_search_equals_brute_force_in_every_round(name: str) -> None:
    backbone = deep(name)
    exercises = some_exercises(backbone)
    removed, losses = find_removal_order(backbone, exercises, 3, batch_tokens=40)
    gone: list[int] = []
    for _ in range(3):
        tried = {
            block: loss_by_hand(backbone, [*gone, block], exercises)
            for block in removable_blocks(backbone)
            if block not in gone
        }
        best = min(tried, key=lambda block: tried[block])
        gone.append(best)
        assert losses[len(gone) - 1] == pytest.approx(tried[best], abs=1e-5)
    assert removed == gone


def test_equally_good_blocks_go_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = deep("bert")
    with torch.no_grad():  # blocks 2, 3 and 4 do the same
        for block in blocks(backbone)[3:5]:
            block.load_state_dict(blocks(backbone)[2].state_dict())
    removed, _ = find_removal_order(backbone, some_exercises(backbone), 4)
    assert [block for block in removed if block > 1] == [2, 3, 4]


def test_blocks_that_only_rounding_tells_apart_go_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    losses = iter([3.0, 2.0 + 4e-7, 2.0, 2.1])
    monkeypatch.setattr(LanguageModelLoss, "__call__", lambda *_: next(losses))
    backbone = deep("bert")
    removed, _ = find_removal_order(backbone, some_exercises(backbone), 1, 10_000)
    assert removed == [2]


@pytest.mark.parametrize("gone", [(), (1,), (3,)])
def test_states_before_a_block_that_is_tried_are_computed_once(
    gone: tuple[int, ...],
) -> None:
    backbone = deep("bert")
    exercises = some_exercises(backbone)
    with counted_calls(backbone) as calls:
        losses_without(backbone, gone, exercises, batch_tokens=10_000)
    left = [block for block in range(N_LAYERS) if block not in gone]
    tried = left[1:-1]
    for place, block in enumerate(left):
        behind = sum(candidate < block for candidate in tried)
        on_the_way = int(place < len(left) - 2)
        assert calls[block] == behind + on_the_way
    assert all(calls[block] == 0 for block in gone)
    assert calls[0] == 1


def test_a_loss_that_is_not_a_number_is_never_the_best(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    losses = iter([float("nan"), 3.0, 2.0, float("nan")])
    monkeypatch.setattr(LanguageModelLoss, "__call__", lambda *_: next(losses))
    backbone = deep("bert")
    removed, found = find_removal_order(backbone, some_exercises(backbone), 1, 10_000)
    assert removed == [3]
    assert np.isfinite(found).all()


def test_a_batch_that_does_not_fit_is_halved_and_counts_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backbone = deep("bert")
    exercises = some_exercises(backbone)
    expected = losses_without(backbone, [], exercises)
    loss_of = LanguageModelLoss.__call__
    n_calls = 0

    def greedy(self: LanguageModelLoss, hidden: Any, batch: Any) -> float:
        nonlocal n_calls
        n_calls += 1
        found = loss_of(self, hidden, batch)
        if len(batch) > 2 and n_calls % 3 == 0:  # some blocks were tried before
            raise torch.OutOfMemoryError("too much")
        return found

    monkeypatch.setattr(LanguageModelLoss, "__call__", greedy)
    found = losses_without(backbone, [], exercises)
    assert found == pytest.approx(expected, abs=1e-5)


def test_losses_are_the_same_with_few_scores_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backbone = deep("gpt2")
    exercises = some_exercises(backbone)
    expected = losses_without(backbone, [], exercises)
    monkeypatch.setattr(lm_loss, "_SCORES", 64 * 5)
    assert losses_without(backbone, [], exercises) == pytest.approx(expected, rel=1e-6)
