"""Every family, at every depth, against the library's own hidden states."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from skraee.backbone.families import FAMILIES
from skraee.engine import engine as engine_module
from skraee.engine.batch import Batch
from skraee.engine.batching import Cutter, run_batches
from skraee.engine.engine import Engine
from skraee.engine.head import LabelHead, label_head
from skraee.engine.stacks import layers_of
from tests.support.models import MODELS, loaded, tiny_model
from tests.support.prompts import LABEL_IDS, prompts_for
from tests.support.references import embedding_output, own_answer, reference_proba, soft
from tests.support.runs import label_proba, run_deciding, run_to


def test_zoo_covers_every_supported_family() -> None:
    covered = {tiny_model(name).config.model_type for name in MODELS}
    assert covered | {"elasticbert"} == set(FAMILIES)


@pytest.mark.parametrize("name", MODELS)
def test_sweep_equals_output_hidden_states_at_every_depth(name: str) -> None:
    backbone = loaded(name)
    prompts = prompts_for(backbone.family.kind)
    found = label_proba(backbone, prompts)
    expected = np.stack([reference_proba(backbone, prompt) for prompt in prompts])
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.ptp(expected, axis=1).max() > 1e-2  # the depths do differ


@pytest.mark.parametrize("name", MODELS)
def test_sweep_at_depth_m_equals_the_models_own_logits(name: str) -> None:
    backbone = loaded(name)
    prompts = prompts_for(backbone.family.kind)
    found = label_proba(backbone, prompts)[:, -1]
    expected = np.stack([own_answer(backbone, prompt) for prompt in prompts])
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_head_over_the_vocabulary_is_that_of_the_label_words(name: str) -> None:
    backbone = loaded(name)
    states = torch.randn(6, 16, generator=torch.Generator().manual_seed(0))
    for stack in range(len(backbone.family.stacks)):
        whole = label_head(backbone, None)(states, stack)
        assert whole.dtype == torch.float32
        some = label_head(backbone, LABEL_IDS)(states, stack)
        torch.testing.assert_close(whole[:, LABEL_IDS], some, atol=1e-5, rtol=1e-5)


def test_head_over_the_vocabulary_computes_in_the_models_dtype_without_a_copy() -> None:
    backbone = loaded("gemma")
    backbone.model.bfloat16()
    matrix = backbone.model.get_output_embeddings().weight
    head = LabelHead(backbone.model, backbone.family, None)
    states = torch.randn(6, 16, generator=torch.Generator().manual_seed(0))
    before = head(states)
    with torch.no_grad():
        matrix.mul_(2)  # a power of two is exact
        after = head(states)
        matrix.mul_(0.5)
    torch.testing.assert_close(after, 2 * before, atol=0, rtol=0)
    assert before.dtype == torch.float32
    some = label_head(backbone, LABEL_IDS)(states)
    torch.testing.assert_close(before[:, LABEL_IDS], some, atol=0.02, rtol=0.02)
    assert (before[:, LABEL_IDS] != some).any()


@pytest.mark.parametrize("name", MODELS)
def test_run_to_equals_the_sweeps_row_at_each_depth(name: str) -> None:
    backbone = loaded(name)
    engine = Engine(backbone)
    prompts = prompts_for(backbone.family.kind, lengths=(9, 4, 14, 6, 9, 7, 5, 12))
    rng = np.random.default_rng(0)
    head = label_head(backbone, LABEL_IDS)
    swept = engine.sweep(prompts, head).logits
    for _ in range(3):
        depths = rng.integers(0, engine.n_layers + 1, size=len(prompts))
        found = run_to(engine, prompts, depths, head)
        np.testing.assert_allclose(
            soft(found), soft(swept[np.arange(len(prompts)), depths]), atol=1e-5
        )


@pytest.mark.parametrize("name", MODELS)
def test_run_deciding_equals_the_sweep_and_the_decisions(name: str) -> None:
    backbone = loaded(name)
    engine = Engine(backbone)
    prompts = prompts_for(backbone.family.kind, lengths=(9, 4, 14, 6, 9, 7, 5, 12))
    head = label_head(backbone, LABEL_IDS)
    swept = engine.sweep(prompts, head, state_depth=2)
    assert swept.key_states is not None
    wanted = np.random.default_rng(1).integers(0, engine.n_layers + 1, len(prompts))

    def decide(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gaps = np.abs(states[:, None] - swept.key_states[None]).max(-1)
        assert gaps.min(1).max() < 1e-4
        return wanted[gaps.argmin(1)], gaps.argmin(1) == 3

    run = run_deciding(engine, prompts, 2, decide, head)
    logits, exits, undecided = run.scores, run.exits, run.undecided
    assert np.flatnonzero(undecided).tolist() == [3]
    assert exits.tolist() == wanted.tolist()
    expected = swept.logits[np.arange(len(prompts)), wanted]
    np.testing.assert_allclose(soft(logits), soft(expected), atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_sweep_is_the_same_shuffled_alone_and_beside_long_texts(name: str) -> None:
    backbone = loaded(name)
    kind = backbone.family.kind
    prompts = prompts_for(kind)
    together = label_proba(backbone, prompts)
    shuffled = label_proba(backbone, prompts[::-1])[::-1]
    alone = np.concatenate([label_proba(backbone, [prompt]) for prompt in prompts])
    longer = prompts_for(kind, lengths=(140,))
    padded = label_proba(backbone, longer + prompts, batch_tokens=10_000)[1:]
    for other in (shuffled, alone, padded):
        np.testing.assert_allclose(other, together, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_run_to_runs_each_text_through_its_layers_and_no_more(name: str) -> None:
    backbone = loaded(name)
    engine = Engine(backbone)
    prompts = prompts_for(backbone.family.kind, lengths=(8, 8, 8, 8, 8, 8))
    depths = np.array([0, engine.n_layers, 2, 1, 0, 2])
    rows_run: Counter[int] = Counter()
    seen = 0

    def count(module: Any, args: Any, kwargs: Any) -> None:
        nonlocal seen
        hidden = args[0] if args else kwargs["hidden_states"]
        rows_run[seen] = len(hidden)
        seen += 1

    hooks = []
    for stack in backbone.family.stacks:
        for layer in dict.fromkeys(layers_of(backbone.model, backbone.family, stack)):
            hooks.append(layer.register_forward_pre_hook(count, with_kwargs=True))
    run_to(engine, prompts, depths, label_head(backbone, LABEL_IDS))
    for hook in hooks:
        hook.remove()
    expected = [int((depths > layer).sum()) for layer in range(engine.n_layers)]
    assert [rows_run[i] for i in range(seen)] == expected
    assert sum(rows_run.values()) == depths.sum()


TRIMMED = [name for name in MODELS if not name.startswith("opt")]


@pytest.mark.parametrize("name", TRIMMED)
def test_run_to_feeds_forward_only_what_is_read_of_rows_that_end(name: str) -> None:
    backbone = loaded(name)
    family = backbone.family
    engine = Engine(backbone)
    prompts = prompts_for(family.kind, lengths=(8, 8, 8, 8, 8, 8))
    depths = np.array([0, engine.n_layers, 2, 1, 0, 2])
    tokens = []

    def count(module: Any, args: Any) -> None:
        tokens.append(args[0].numel() // args[0].shape[-1])

    first = family.stacks[0]
    layers = layers_of(backbone.model, family, first)
    modules = dict.fromkeys(x.get_submodule(family.feed_forward[0]) for x in layers)
    hooks = [module.register_forward_pre_hook(count) for module in modules]
    run_to(engine, prompts, depths, label_head(backbone, LABEL_IDS))
    engine.sweep(prompts, label_head(backbone, LABEL_IDS))
    for hook in hooks:
        hook.remove()
    n = len(layers)
    whole_sweep = [48] * n if len(family.stacks) == 2 else [48] * (n - 1) + [6]
    expected = [
        8 * int((depths > layer + 1).sum()) + int((depths == layer + 1).sum())
        for layer in range(n)
    ]
    assert tokens == [*expected, *whole_sweep]


def test_chunked_feed_forward_is_left_to_the_model() -> None:
    backbone = loaded("bert")
    prompts = prompts_for("masked")
    expected = label_proba(backbone, prompts)
    backbone.model.config.chunk_size_feed_forward = 2
    for layer in layers_of(backbone.model, backbone.family, "bert"):
        layer.chunk_size_feed_forward = 2
    even = [p for p in prompts if len(p.ids) % 2 == 0]
    found = label_proba(backbone, even, batch_tokens=1)
    kept = [i for i, p in enumerate(prompts) if len(p.ids) % 2 == 0]
    np.testing.assert_allclose(found, expected[kept], atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_text_means_average_the_embedding_output(name: str) -> None:
    backbone = loaded(name)
    engine = Engine(backbone)
    prompts = prompts_for(backbone.family.kind)
    found = engine.keys(prompts)
    in_sweep = engine.sweep(prompts, label_head(backbone, LABEL_IDS), text_means=True)
    np.testing.assert_array_equal(found, in_sweep.text_means)
    for mean, prompt in zip(found, prompts, strict=True):
        expected = embedding_output(backbone, prompt)
        ((start, stop),) = prompt.spans
        np.testing.assert_allclose(mean, expected[start:stop].mean(0), atol=1e-5)


@pytest.mark.parametrize("name", ["bert", "deberta-v2", "gemma3_text", "albert", "t5"])
def test_running_leaves_model_and_config_as_they_were(name: str) -> None:
    backbone = loaded(name)
    model = backbone.model
    config = model.config.to_dict()
    modules = {path: id(module) for path, module in model.named_modules()}
    hooks = sum(len(m._forward_hooks) for m in model.modules())
    state = {key: value.clone() for key, value in model.state_dict().items()}
    label_proba(backbone, prompts_for(backbone.family.kind))
    assert model.config.to_dict() == config
    assert {path: id(module) for path, module in model.named_modules()} == modules
    assert sum(len(m._forward_hooks) for m in model.modules()) == hooks
    for key, value in model.state_dict().items():
        assert torch.equal(value, state[key])


def test_a_batch_that_does_not_fit_is_halved_and_gives_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backbone = loaded("bert")
    prompts = prompts_for("masked", lengths=(8,) * 13)
    expected = label_proba(backbone, prompts)
    forward_pass = engine_module.forward_pass
    sizes = []

    def greedy(backbone: Any, batch: Any, *args: Any) -> None:
        sizes.append(len(batch.numbers))
        if len(batch.numbers) > 4:
            raise torch.OutOfMemoryError("too much")
        forward_pass(backbone, batch, *args)

    monkeypatch.setattr(engine_module, "forward_pass", greedy)
    np.testing.assert_allclose(label_proba(backbone, prompts), expected, atol=1e-6)
    assert sizes == [13, 6, 3, 3, 3, 3, 1]


def test_one_text_that_does_not_fit_is_a_clear_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def greedy(backbone: Any, batch: Any, *args: Any) -> None:
        raise torch.OutOfMemoryError("too much")

    monkeypatch.setattr(engine_module, "forward_pass", greedy)
    with pytest.raises(MemoryError, match="one text of 8 tokens alone"):
        label_proba(loaded("bert"), prompts_for("masked", lengths=(8,)))


def test_batches_are_cut_where_the_length_changes_once_they_are_large_enough() -> None:
    lengths = [9] * 40 + [5] * 3 + [4] * 50 + [2]
    seen: list[list[int]] = []
    run_batches(
        Cutter(lengths, alike=1.0),
        1000,
        lambda rows: seen.append([lengths[row] for row in rows]),
    )
    assert seen == [[9] * 40, [5] * 3 + [4] * 50, [2]]


@pytest.mark.parametrize(("name", "widths"), [("bert", [16, 15, 8]), ("gpt2", [16, 8])])
def test_batches_hold_texts_of_like_lengths(
    name: str, widths: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = loaded(name)
    lengths = (16,) * 8 + (15,) * 9 + (8,) * 12
    prompts = prompts_for(backbone.family.kind, lengths)
    seen: list[int] = []
    inputs = Batch.inputs

    def noting(self: Batch, rows: torch.Tensor) -> Any:
        ids, mask = inputs(self, rows)
        seen.append(ids.shape[1])
        assert mask is None
        return ids, mask

    monkeypatch.setattr(Batch, "inputs", noting)
    Engine(backbone, batch_tokens=512, reuse_prefix=False).visit(
        prompts, lambda depth, hidden, rows: None
    )
    assert seen == widths


@pytest.mark.parametrize("n_prompts", [511, 512])
def test_free_memory_is_given_back_behind_many_texts(
    n_prompts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[bool] = []
    monkeypatch.setattr(
        engine_module, "give_back_free_memory", lambda: given.append(True)
    )
    Engine(loaded("bert")).keys(prompts_for("masked", (4,) * n_prompts))
    assert given == [True] * (n_prompts == 512)


def test_batches_of_like_lengths_are_filled_up_by_little() -> None:
    lengths = [16] * 20 + [15] * 20 + [13] * 90 + [12] * 9
    seen: list[list[int]] = []
    run_batches(
        Cutter(lengths, alike=7 / 8),
        1600,
        lambda rows: seen.append([lengths[row] for row in rows]),
    )
    # 13 is less than seven eighths of 16, not of itself; 12 is not less of 13.
    assert seen == [[16] * 20 + [15] * 20, [13] * 90 + [12] * 9]
