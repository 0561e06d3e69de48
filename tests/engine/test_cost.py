"""What depths cost, counted and not timed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from skraee.engine.cost import depth_costs
from tests.support.models import MODELS, loaded


@pytest.mark.parametrize("name", MODELS)
def test_costs_rise_from_nothing_to_one(name: str) -> None:
    costs = depth_costs(loaded(name))
    assert costs[0] == 0.0
    assert costs[-1] == 1.0
    assert (np.diff(costs) > 0).all()
    assert costs.dtype == np.float64


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "albert", "deberta-v3"])
def test_layers_that_are_alike_cost_alike(name: str) -> None:
    costs = depth_costs(loaded(name))
    np.testing.assert_allclose(costs, np.arange(4) / 3, atol=1e-9)


def test_the_decoder_of_t5_reads_one_position_and_costs_less() -> None:
    costs = depth_costs(loaded("t5"))
    steps = np.diff(costs)
    np.testing.assert_allclose(steps[:3], steps[0])
    np.testing.assert_allclose(steps[3:], steps[3])
    # Of 32 positions it computes one, but it looks at all of the encoder's.
    assert 0.02 * steps[0] < steps[3] < 0.6 * steps[0]
    assert steps.sum() == pytest.approx(1.0)


def test_costs_are_counted_once_for_a_loaded_backbone(monkeypatch: Any) -> None:
    backbone = loaded("bert")
    first = depth_costs(backbone)
    monkeypatch.setattr("skraee.engine.cost.Engine", None)
    assert depth_costs(backbone) is first


def test_counting_costs_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    depth_costs(loaded("bert"))
    after = torch.get_rng_state()
    assert torch.equal(before, after)
