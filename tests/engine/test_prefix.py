"""A template's first tokens are run once, and nothing comes out different."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf

from skraee import clear_backbones, clear_sweeps, toy
from skraee.backbone.families import FAMILIES
from skraee.backbone.loaded import LoadedBackbone
from skraee.engine import engine as engine_module
from skraee.engine import prefix as prefix_module
from skraee.engine.engine import Engine
from skraee.engine.head import label_head
from skraee.engine.prefix import (
    cache_argument,
    kept_prefixes,
    prefix_cache,
    takes_prefix,
)
from skraee.engine.stacks import layers_of
from skraee.text.prompt import Prompt, common_prefix
from tests.support.classifiers import raee
from tests.support.models import MODELS, VOCAB, loaded
from tests.support.prompts import LABEL_IDS, prompts_for
from tests.support.references import soft
from tests.support.runs import run_deciding, run_to

KINDS = {name: FAMILIES[make().model_type].kind for name, (_, make) in MODELS.items()}
CAUSAL = [name for name, kind in KINDS.items() if kind == "causal"]
LENGTHS = (9, 4, 14, 6, 9, 1, 5, 12)


def prompts_behind(
    n_prefix: int, lengths: tuple[int, ...] = LENGTHS, seed: int = 0
) -> list[Prompt]:
    """Prompts of one template: the lengths are those behind the prefix."""
    rng = np.random.default_rng(seed)
    prefix = draw(rng, n_prefix)
    return [
        Prompt(
            (*prefix, *draw(rng, length)),
            read=n_prefix + length - 1,
            spans=((n_prefix, n_prefix + max(length - 2, 0)),),
            n_prefix=n_prefix,
        )
        for length in lengths
    ]


def draw(rng: np.random.Generator, n: int) -> tuple[int, ...]:
    return tuple(int(i) for i in rng.integers(3, VOCAB, size=n))


def engines(backbone: LoadedBackbone, **options: Any) -> tuple[Engine, Engine]:
    """The engine as it is, and one that runs every token."""
    return Engine(backbone, **options), Engine(backbone, reuse_prefix=False, **options)


def assert_same_sweeps(backbone: LoadedBackbone, prompts: list[Prompt]) -> None:
    head = label_head(backbone, LABEL_IDS)
    ours, plain = engines(backbone)
    for depth in range(ours.n_layers + 1):
        found = ours.sweep(prompts, head, text_means=True, state_depth=depth)
        expected = plain.sweep(prompts, head, text_means=True, state_depth=depth)
        np.testing.assert_allclose(
            found.key_states, expected.key_states, rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(found.text_means, expected.text_means, atol=1e-6)
        np.testing.assert_allclose(soft(found.logits), soft(expected.logits), atol=1e-5)


@pytest.fixture
def passes(
    monkeypatch: pytest.MonkeyPatch, apart_from_looks: list[Counter[Any]]
) -> Counter[tuple[int, ...]]:
    """How often each prefix was run."""
    counted: Counter[tuple[int, ...]] = Counter()
    apart_from_looks.append(counted)
    run = prefix_module.run_prefix

    def counting(model: Any, family: Any, ids: tuple[int, ...]) -> Any:
        counted[ids] += 1
        return run(model, family, ids)

    monkeypatch.setattr(prefix_module, "run_prefix", counting)
    return counted


# The same numbers


@pytest.mark.parametrize("n_prefix", [1, 3, 10])
@pytest.mark.parametrize("name", CAUSAL)
def test_sweep_equals_the_one_that_runs_every_token(name: str, n_prefix: int) -> None:
    backbone = loaded(name)
    assert_same_sweeps(backbone, prompts_behind(n_prefix))
    assert list(map(len, kept_prefixes(backbone).names())) == [n_prefix]


@pytest.mark.parametrize("name", CAUSAL)
def test_run_to_mixed_depths_equals_the_run_of_every_token(name: str) -> None:
    backbone = loaded(name)
    head = label_head(backbone, LABEL_IDS)
    prompts = prompts_behind(7)
    rng = np.random.default_rng(0)
    for tokens in ("auto", 30, 1):
        ours, plain = engines(backbone, batch_tokens=tokens)
        depths = rng.integers(0, ours.n_layers + 1, size=len(prompts))
        found = run_to(ours, prompts, depths, head)
        expected = run_to(plain, prompts, depths, head)
        np.testing.assert_allclose(soft(found), soft(expected), atol=1e-5)


@pytest.mark.parametrize("name", CAUSAL)
def test_run_deciding_equals_the_run_of_every_token(name: str) -> None:
    backbone = loaded(name)
    head = label_head(backbone, LABEL_IDS)
    prompts = prompts_behind(7)
    ours, plain = engines(backbone)
    states = plain.keys(prompts, 1)
    np.testing.assert_allclose(ours.keys(prompts, 1), states, rtol=1e-4, atol=1e-5)
    wanted = np.random.default_rng(1).integers(0, ours.n_layers + 1, len(prompts))

    def decide(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        nearest = np.abs(keys[:, None] - states[None]).max(-1).argmin(1)
        return wanted[nearest], nearest == 3

    found = run_deciding(ours, prompts, 1, decide, head)
    expected = run_deciding(plain, prompts, 1, decide, head)
    np.testing.assert_allclose(soft(found.scores), soft(expected.scores), atol=1e-5)
    assert found.exits.tolist() == wanted.tolist()
    assert np.flatnonzero(found.undecided).tolist() == [3]


def test_prompts_of_two_templates_do_not_mix() -> None:
    backbone = loaded("gemma3_text")
    these, others = prompts_behind(6), prompts_behind(6, seed=1)
    for prompts in (these, others, these, these + others, others + these):
        assert_same_sweeps(backbone, prompts)
    assert set(kept_prefixes(backbone).names()) == {these[0].ids[:6], others[0].ids[:6]}


def test_what_is_kept_is_only_read() -> None:
    backbone = loaded("gemma3_text")
    ids = prompts_behind(8)[0].ids[:8]
    cache = prefix_cache(backbone, ids)
    before = [(layer.keys.clone(), layer.values.clone()) for layer in cache.layers]
    assert_same_sweeps(backbone, prompts_behind(8))
    assert prefix_cache(backbone, ids) is cache
    for layer, (keys, values) in zip(cache.layers, before, strict=True):
        assert torch.equal(layer.keys, keys)
        assert torch.equal(layer.values, values)
        assert layer.get_seq_length() == 8


def test_threads_with_two_templates_find_what_one_finds() -> None:
    backbone = loaded("gemma3_text")
    head = label_head(backbone, LABEL_IDS)
    work = [prompts_behind(6, seed=i % 2) for i in range(16)]
    expected = [engines(backbone)[1].sweep(p, head).logits for p in work[:2]]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda p: Engine(backbone).sweep(p, head).logits, work))
    for i, logits in enumerate(found):
        np.testing.assert_allclose(soft(logits), soft(expected[i % 2]), atol=1e-5)


@pytest.mark.parametrize("fails", ["batch", "prefix"])
def test_a_batch_that_does_not_fit_is_halved_and_gives_the_same(
    fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = loaded("gemma3_text")
    head = label_head(backbone, LABEL_IDS)
    prompts = prompts_behind(6, lengths=(8,) * 13)
    expected = engines(backbone)[1].sweep(prompts, head).logits
    owner, name = {
        "batch": (engine_module, "forward_pass"),
        "prefix": (prefix_module, "run_prefix"),
    }[fails]
    run = getattr(owner, name)
    calls = []

    def greedy(*args: Any) -> Any:
        calls.append(args)
        if len(calls) < 3:
            raise torch.OutOfMemoryError("too much")
        return run(*args)

    monkeypatch.setattr(owner, name, greedy)
    found = Engine(backbone).sweep(prompts, head).logits
    np.testing.assert_allclose(soft(found), soft(expected), atol=1e-5)
    assert len(calls) == (2 + 5 if fails == "batch" else 3)


# What is run


def tokens_run(backbone: LoadedBackbone, run: Any) -> list[tuple[int, int]]:
    """Rows and tokens that each call of a layer was given."""
    seen = []

    def note(module: Any, args: Any, kwargs: Any) -> None:
        hidden = args[0] if args else kwargs["hidden_states"]
        seen.append(tuple(hidden.shape[:2]))

    layers = layers_of(backbone.model, backbone.family, backbone.family.stacks[0])
    hooks = [x.register_forward_pre_hook(note, with_kwargs=True) for x in layers]
    run()
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.parametrize("name", CAUSAL)
def test_layers_run_the_tokens_behind_the_prefix_only(name: str) -> None:
    backbone = loaded(name)
    head = label_head(backbone, LABEL_IDS)
    engine, plain = engines(backbone)
    prompts = prompts_behind(6, lengths=(8, 8, 8))
    depths = np.array([1, engine.n_layers, 0])

    def run(engine: Engine) -> list[tuple[int, int]]:
        return tokens_run(backbone, lambda: run_to(engine, prompts, depths, head))

    m = engine.n_layers
    behind = [(2, 8), *[(1, 8)] * (m - 1)]
    assert run(engine) == [*[(1, 6)] * m, *behind]  # the prefix first, in all layers
    assert run(engine) == behind
    assert run(plain) == [(2, 14), *[(1, 14)] * (m - 1)]


def test_prefix_is_run_once_for_all_batches_and_calls(
    passes: Counter[tuple[int, ...]],
) -> None:
    backbone = loaded("llama")
    head = label_head(backbone, LABEL_IDS)
    prompts = prompts_behind(6)
    for tokens in (1, 20, "auto"):
        engine = Engine(backbone, batch_tokens=tokens)
        engine.sweep(prompts, head)
        run_to(engine, prompts, np.full(len(prompts), 2), head)
        engine.keys(prompts[:2], 1)
        clear_sweeps()  # which forgets texts, and no template
    assert passes == {prompts[0].ids[:6]: 1}


def test_text_means_run_no_layer_of_the_prefix_either() -> None:
    backbone = loaded("llama")
    prompts = prompts_behind(6)
    assert tokens_run(backbone, lambda: Engine(backbone).keys(prompts)) == []


def test_a_few_prefixes_are_kept_those_used_last(
    passes: Counter[tuple[int, ...]],
) -> None:
    backbone = loaded("llama")
    ids = [
        prompts_behind(4, seed=i)[0].ids[:4]
        for i in range(prefix_module._KEPT_PREFIXES + 1)
    ]
    for one in (*ids[:-1], ids[0], ids[-1], ids[0]):
        prefix_cache(backbone, one)
    assert kept_prefixes(backbone).names() == [*ids[2:-1], ids[-1], ids[0]]
    assert set(passes.values()) == {1}
    prefix_cache(backbone, ids[1])
    assert passes[ids[1]] == 2


def test_float32_repeat_has_prefixes_of_its_own() -> None:
    backbone = replace(loaded("llama"), dtype=torch.bfloat16)
    backbone.model.to(torch.bfloat16)
    ids = prompts_behind(4)[0].ids[:4]
    assert prefix_cache(backbone, ids).layers[0].keys.dtype == torch.bfloat16
    assert prefix_cache(backbone.in_float32, ids).layers[0].keys.dtype == torch.float32
    assert prefix_cache(backbone, ids).layers[0].keys.dtype == torch.bfloat16


# Where it is left alone


def test_empty_text_at_the_end_is_read_at_the_last_word() -> None:
    backbone = loaded("gemma3_text")
    prompts = prompts_behind(6)
    prefix = prompts[0].ids[:6]
    empty = Prompt(prefix, read=5, spans=((6, 6),), n_prefix=6)
    assert common_prefix(prompts) == prefix
    assert common_prefix([*prompts, empty]) == prefix[:5]
    assert_same_sweeps(backbone, [*prompts, empty])
    assert_same_sweeps(backbone, [empty])
    assert kept_prefixes(backbone).names() == [prefix[:5]]


def test_prefix_that_is_read_itself_is_run_with_the_text(
    passes: Counter[tuple[int, ...]],
) -> None:
    backbone = loaded("gemma3_text")
    prompts = prompts_behind(1)
    empty = Prompt(prompts[0].ids[:1], read=0, spans=((1, 1),), n_prefix=1)
    assert_same_sweeps(backbone, [*prompts, empty])
    assert_same_sweeps(backbone, prompts_for("causal"))  # without a prefix
    assert not passes


def test_prefix_that_is_short_beside_its_texts_is_run_with_them(
    passes: Counter[tuple[int, ...]],
) -> None:
    backbone = loaded("gemma3_text")
    assert_same_sweeps(backbone, prompts_behind(1, lengths=(60, 5)))
    assert not passes
    assert_same_sweeps(backbone, prompts_behind(3, lengths=(60, 3)))
    assert len(passes) == 1


@pytest.mark.parametrize("name", [n for n in MODELS if n not in CAUSAL])
def test_models_that_look_to_the_right_run_every_token(name: str) -> None:
    backbone = loaded(name)
    prompts = [
        replace(p, read=max(p.read, 2), n_prefix=2)
        for p in prompts_for(backbone.family.kind)
    ]
    same = [replace(p, ids=(5, 6, *p.ids[2:])) for p in prompts]
    assert_same_sweeps(backbone, same)
    assert not takes_prefix(backbone)
    assert not kept_prefixes(backbone).names()


@pytest.mark.parametrize(
    "rotation",
    [
        {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4},
        {
            "rope_type": "longrope",
            "short_factor": [1.0] * 4,
            "long_factor": [3.0] * 4,
            "original_max_position_embeddings": 16,
            "rope_theta": 1e4,
        },
    ],
)
def test_rotation_that_changes_with_the_length_runs_every_token(
    rotation: dict[str, Any],
) -> None:
    config = MODELS["llama"][1]()
    config.rope_parameters = rotation
    made = loaded("llama")
    model = tf.LlamaForCausalLM(config).eval()
    assert takes_prefix(made)
    assert not takes_prefix(replace(made, model=model, _derived={}))


def test_attention_with_masks_of_its_own_runs_every_token() -> None:
    backbone = loaded("llama")
    backbone.model.config._attn_implementation = "flash_attention_2"
    assert not takes_prefix(backbone)


# From an estimator's side


TEMPLATE = "the film was {text} so it was"

classifier = partial(raee, "causal", template=TEMPLATE)


def test_classifier_answers_alike_and_runs_the_prefix_once(
    passes: Counter[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = toy.reviews(30)
    X_new, _ = toy.reviews(20, seed=1)
    clear_backbones()
    proba = classifier().fit(X, y).predict_proba(X_new)
    ((ids, n),) = passes.items()
    assert n == 1
    assert len(ids) == 1 + 3  # <s> and three words
    monkeypatch.setattr(prefix_module, "common_prefix", lambda prompts: ())
    expected = classifier().fit(X, y).predict_proba(X_new)
    np.testing.assert_allclose(proba, expected, atol=1e-5)


def test_cleared_backbones_forget_their_prefixes(
    passes: Counter[tuple[int, ...]],
) -> None:
    X, y = toy.reviews(30)
    clear_backbones()
    clf = classifier().fit(X, y)
    clf.predict(["a dull film"])
    assert sum(passes.values()) == 1
    clear_backbones()
    clf.predict(["a dull film"])
    assert sum(passes.values()) == 2


def test_cache_argument_is_the_name_in_the_signature() -> None:
    class Renamed(torch.nn.Module):
        def forward(self, input_ids: Any, cache: Any = None) -> None: ...

    class Earlier(torch.nn.Module):
        def forward(self, input_ids: Any, past_key_values: Any = None) -> None: ...

    class Without(torch.nn.Module):
        def forward(self, input_ids: Any) -> None: ...

    kinds = (Renamed, Earlier, Without)
    names = [cache_argument(kind.forward) for kind in kinds]
    assert names == ["cache", "past_key_values", None]
