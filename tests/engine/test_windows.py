"""Texts that are read in windows: rows that are averaged and stop together."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from skraee.backbone.loaded import LoadedBackbone
from skraee.engine import engine as engine_module
from skraee.engine.batch import Batch
from skraee.engine.engine import Engine
from skraee.engine.exit_policy import AtGivenDepths
from skraee.engine.head import label_head
from skraee.engine.scorer import LabelScorer
from skraee.engine.states import unpacked
from skraee.exits.policies import ByConfidence
from skraee.text.prompt import Prompt
from tests.support.counting import counted_rows
from tests.support.models import loaded
from tests.support.prompts import LABEL_IDS, prompts_for
from tests.support.references import (
    embedding_output,
    full_head,
    normed_states,
    readout_states,
    reference_states,
)
from tests.support.ways import WAYS, assert_alone_as_together

NAMES = ["bert", "mpnet", "gemma2", "opt-350m", "flan-t5"]
N_WINDOWS = (1, 3, 2, 1, 4, 1, 2)
LENGTHS = (9, 14, 9, 4, 7, 12, 14)


def texts_for(kind: str) -> list[Prompt]:
    """Make prompts, some of them in windows."""
    rows = iter(prompts_for(kind, tuple(np.repeat(LENGTHS, N_WINDOWS).tolist())))
    texts = []
    for n in N_WINDOWS:
        first, *further = [next(rows) for _ in range(n)]
        texts.append(replace(first, further=tuple(further)))
    return texts


def mean_of_windows(text: Prompt, read: Any) -> np.ndarray:
    return np.mean([read(window) for window in text.windows], axis=0)


@pytest.mark.parametrize("name", NAMES)
def test_sweep_of_windows_is_the_mean_of_the_models_own_passes(name: str) -> None:
    backbone = loaded(name)
    texts = texts_for(backbone.family.kind)
    found = Engine(backbone, 10_000).sweep(
        texts,
        label_head(backbone, LABEL_IDS),
        text_means=True,
        state_depth=2,
        states=("read", "text", "around"),
    )

    @torch.no_grad()
    def logits(window: Prompt) -> np.ndarray:
        heads = [full_head(backbone.model, s) for s in normed_states(backbone, window)]
        return torch.stack(heads)[:, LABEL_IDS].numpy()

    def text_mean(window: Prompt) -> np.ndarray:
        [(start, stop)] = window.spans
        return embedding_output(backbone, window)[start:stop].mean(axis=0)

    expected = {
        "states": lambda window: readout_states(backbone, window),
        "logits": logits,
        "key_states": lambda window: reference_states(backbone, window)[2].numpy(),
        "text_means": text_mean,
    }
    for field, read in expected.items():
        np.testing.assert_allclose(
            unpacked(getattr(found, field)),
            np.stack([mean_of_windows(text, read) for text in texts]),
            rtol=1e-4,
            atol=2e-5,
            err_msg=field,
        )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NAMES)
def test_text_in_windows_gives_the_same_alone_and_beside_others(
    name: str, way: str
) -> None:
    backbone = loaded(name)
    texts = texts_for(backbone.family.kind)
    exits = np.array([2, 3, 1, 0, 2, 3, 0])
    assert_alone_as_together(backbone, texts, exits, WAYS[way])


@pytest.mark.parametrize("way", WAYS)
def test_text_of_one_window_is_the_same_beside_texts_of_several(way: str) -> None:
    engine = Engine(loaded("bert"), 10_000)
    texts, exits = texts_for("masked"), np.array([2, 3, 0, 2, 3, 1, 0])
    first_windows = [replace(text, further=()) for text in texts]
    found, plain = (WAYS[way](engine, some, exits) for some in (texts, first_windows))
    of_one = np.array(N_WINDOWS) == 1
    for name, values in found.items():
        np.testing.assert_allclose(values[of_one], plain[name][of_one], atol=1e-6)


def test_windows_stop_together_and_where_their_text_does() -> None:
    backbone = loaded("bert")
    texts = texts_for("masked")
    depths = np.array([0, 3, 1, 2, 2, 3, 0])
    n_rows = np.array(N_WINDOWS)
    scorer = LabelScorer(label_head(backbone, LABEL_IDS))
    with counted_rows(backbone) as rows:
        run = Engine(backbone, 10_000).run(texts, AtGivenDepths(depths), scorer)
    assert run.exits.tolist() == depths.tolist()
    # A batch for each length that is worth it: add up the layers' calls.
    layers = Counter(np.repeat(depths, n_rows).tolist())
    assert sum(rows.values()) == sum(depth * n for depth, n in layers.items())


def test_confidence_stops_the_windows_of_a_text_at_one_depth() -> None:
    backbone = loaded("bert")
    texts = texts_for("masked")
    scorer = LabelScorer(label_head(backbone, LABEL_IDS))
    engine = Engine(backbone, 10_000)
    every = torch.from_numpy(engine.scores_at_every_depth(texts, scorer)).softmax(-1)
    tops = np.unique(every.max(-1).values[:, :-1])
    threshold = float(tops[len(tops) // 2 : len(tops) // 2 + 2].mean())
    with counted_rows(backbone) as rows:
        run = engine.run(texts, ByConfidence(threshold, 0), scorer)
    assert len(set(run.exits.tolist())) > 1
    assert sum(rows.values()) == int(run.exits @ np.array(N_WINDOWS))


def batch_of(texts: list[Prompt]) -> Batch:
    numbers, cpu = np.arange(len(texts)), torch.device("cpu")
    return Batch(texts, numbers, device=cpu, sees_padding=True, first_stack=3)


def test_what_rounding_makes_of_equal_rows_does_not_part_them() -> None:
    batch = batch_of(texts_for("masked")[:3])
    assert batch.numbers.tolist() == [0, 1, 1, 1, 2, 2]
    running = np.array([4, 5, 1, 2, 3])
    decided = np.array([False, True, True, False, False])
    found = batch.decided_together(decided, running)
    assert found.tolist() == [False, False, True, True, True]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_mean_of_windows_keeps_other_rows_to_the_last_bit(dtype: torch.dtype) -> None:
    batch = batch_of(texts_for("masked")[:3])
    read = torch.randn(6, 2, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    read[4] = torch.nan
    found = batch.together(read, batch.rows)
    assert found.dtype == dtype
    assert torch.equal(found[0], read[0])
    mean = read[1:4].double().mean(dim=0).to(dtype)
    assert all(torch.equal(found[row], mean) for row in (1, 2, 3))
    assert found[4:].isnan().all()
    assert not found[:4].isnan().any()


def noting_batches(monkeypatch: pytest.MonkeyPatch, most: int) -> list[list[int]]:
    """Let batches of more rows not fit, and note the texts of the rows of all."""
    seen: list[list[int]] = []
    forward_pass = engine_module.forward_pass

    def greedy(backbone: LoadedBackbone, batch: Any, running: Any, *more: Any) -> None:
        seen.append(batch.numbers.tolist())
        if len(batch.numbers) > most:
            raise torch.OutOfMemoryError("too much")
        forward_pass(backbone, batch, running, *more)

    monkeypatch.setattr(engine_module, "forward_pass", greedy)
    return seen


def test_windows_of_a_text_share_a_batch_however_small_it_has_to_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backbone = loaded("gemma2")
    texts = texts_for("causal")
    expected = Engine(backbone).keys(texts, 2)
    for batch_tokens, most in ((10_000, 99), (30, 99), (1, 99), (10_000, 4)):
        seen = noting_batches(monkeypatch, most)
        found = Engine(backbone, batch_tokens).keys(texts, 2)
        monkeypatch.undo()
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=5e-6)
        done = [numbers for numbers in seen if len(numbers) <= most]
        rows = Counter(i for numbers in done for i in numbers)
        assert rows == dict(enumerate(N_WINDOWS))
        assert sum(len(set(numbers)) for numbers in done) == len(texts)
        for numbers in done:
            longest = max(LENGTHS[i] for i in numbers)
            fits = len(numbers) * longest <= batch_tokens
            assert fits or len(set(numbers)) == 1


def test_windows_that_do_not_fit_together_are_a_clear_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noting_batches(monkeypatch, 3)
    told = "one text of 4 windows of 7 tokens alone does not fit into memory; lower max"
    with pytest.raises(MemoryError, match=told):
        Engine(loaded("bert")).keys(texts_for("masked"), 1)
