"""A backbone without blocks, against its own forward with hooks."""

from __future__ import annotations

import numpy as np
import pytest

from skraee.baselines.sleb.block_removal import removable_blocks, without_blocks
from skraee.engine.engine import Engine
from skraee.engine.head import label_head
from skraee.engine.prefix import kept_prefixes
from skraee.text.prompt import Prompt
from tests.baselines.skipped_blocks import N_LAYERS, blocks, deep, skipping
from tests.support.models import MODELS
from tests.support.prompts import LABEL_IDS, prompts_for
from tests.support.references import own_answer, soft
from tests.support.runs import run_to


@pytest.mark.parametrize("name", MODELS)
def test_backbone_without_blocks_answers_as_if_they_returned_their_input(
    name: str,
) -> None:
    backbone = deep(name)
    prompts = prompts_for(backbone.family.kind)
    last = len(blocks(backbone)) - 2
    for removed in ((2,), (1, last), (1, 2, last)):
        rest = without_blocks(backbone, removed)
        engine = Engine(rest)
        assert engine.n_layers == len(blocks(backbone)) - len(removed)
        depths = np.full(len(prompts), engine.n_layers)
        found = soft(run_to(engine, prompts, depths, label_head(rest, LABEL_IDS)))
        expected = []
        for prompt in prompts:
            with skipping(backbone, removed):
                expected.append(own_answer(backbone, prompt))
        np.testing.assert_allclose(found, expected, atol=1e-5)
        whole = np.stack([own_answer(backbone, prompt) for prompt in prompts])
        assert np.abs(whole - expected).max() > 1e-2  # the blocks do matter


CAUSAL = [
    name
    for name in MODELS
    if MODELS[name][0].__name__.endswith(("CausalLM", "LMHeadModel"))
]


@pytest.mark.parametrize("name", CAUSAL)
def test_backbone_without_blocks_goes_on_from_a_common_prefix(name: str) -> None:
    backbone = deep(name)
    first = (5, 9, 17, 33)
    prompts = [
        Prompt(first + p.ids, p.read + 4, ((4, 5),), n_prefix=4)
        for p in prompts_for("causal")
    ]
    whole = np.full(len(prompts), N_LAYERS)  # leaves a prefix of its own
    run_to(Engine(backbone), prompts, whole, label_head(backbone, LABEL_IDS))
    rest = without_blocks(backbone, [1, 3])
    depths = np.full(len(prompts), N_LAYERS - 2)
    found = run_to(Engine(rest), prompts, depths, label_head(rest, LABEL_IDS))
    assert kept_prefixes(rest).names() == [first]
    expected = []
    for prompt in prompts:
        with skipping(backbone, [1, 3]):
            expected.append(own_answer(backbone, prompt))
    np.testing.assert_allclose(soft(found), expected, atol=1e-5)


def test_backbone_without_blocks_is_made_once() -> None:
    backbone = deep("llama")
    assert without_blocks(backbone, [3, 1]) is without_blocks(backbone, (1, 3))
    assert without_blocks(backbone, []) is backbone


def test_removable_blocks_are_all_but_each_stacks_first_and_last() -> None:
    assert removable_blocks(deep("bert")) == [1, 2, 3, 4]
    assert removable_blocks(deep("t5")) == [1, 2, 3, 4, 7, 8, 9, 10]
