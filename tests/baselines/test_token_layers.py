"""The token engine against a dense pass that computes all and masks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from skraee.backbone.loaded import LoadedBackbone
from skraee.baselines.hashee.token_layers import TokenEngine
from skraee.engine.head import label_head
from skraee.text.prompt import Prompt
from tests.baselines.stopped_tokens import ABLE, LENGTHS, first_layers, stopping_tokens
from tests.support.models import loaded
from tests.support.prompts import LABEL_IDS, prompts_for
from tests.support.references import own_answer, soft
from tests.support.runs import run_to


def some_layers(
    backbone: LoadedBackbone, prompts: list[Prompt], seed: int = 0
) -> list[np.ndarray]:
    """Draw the layers of every token; the read position runs all."""
    rng = np.random.default_rng(seed)
    n_layers = len(first_layers(backbone))
    drawn = []
    for prompt in prompts:
        layers = rng.integers(0, n_layers + 1, size=len(prompt.ids))
        if backbone.family.kind != "seq2seq":
            layers[prompt.read] = n_layers
        drawn.append(layers)
    return drawn


def dense(
    backbone: LoadedBackbone, prompts: list[Prompt], layers: list[np.ndarray]
) -> np.ndarray:
    """Probabilities of each prompt alone, by the model's own forward."""
    answers = []
    for prompt, own in zip(prompts, layers, strict=True):
        with stopping_tokens(backbone, own):
            answers.append(own_answer(backbone, prompt))
    return np.stack(answers)


def packed(
    backbone: LoadedBackbone,
    prompts: list[Prompt],
    layers: list[np.ndarray],
    **options: Any,
) -> np.ndarray:
    engine = TokenEngine(backbone, layers, **options)
    depths = np.full(len(prompts), engine.n_layers)
    return soft(run_to(engine, prompts, depths, label_head(backbone, LABEL_IDS)))


@pytest.mark.parametrize("name", ABLE)
def test_token_engine_equals_a_dense_pass_that_undoes_stopped_tokens(name: str) -> None:
    backbone = loaded(name)
    prompts = prompts_for(backbone.family.kind, LENGTHS)
    layers = some_layers(backbone, prompts)
    expected = dense(backbone, prompts, layers)
    np.testing.assert_allclose(packed(backbone, prompts, layers), expected, atol=1e-5)
    whole = np.stack([own_answer(backbone, prompt) for prompt in prompts])
    assert np.abs(expected - whole).max() > 1e-2  # the stops do matter


@pytest.mark.parametrize("name", ABLE)
def test_token_engine_is_the_same_alone_and_beside_long_texts(name: str) -> None:
    backbone = loaded(name)
    prompts = prompts_for(backbone.family.kind, (140, *LENGTHS))
    layers = some_layers(backbone, prompts)
    together = packed(backbone, prompts, layers, batch_tokens=10_000)
    alone = packed(backbone, prompts, layers, batch_tokens=1)
    np.testing.assert_allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("name", ABLE)
def test_token_engine_with_all_layers_is_the_whole_model(name: str) -> None:
    backbone = loaded(name)
    prompts = prompts_for(backbone.family.kind, LENGTHS)
    n_layers = len(first_layers(backbone))
    layers = [np.full(len(prompt.ids), n_layers) for prompt in prompts]
    whole = np.stack([own_answer(backbone, prompt) for prompt in prompts])
    np.testing.assert_allclose(packed(backbone, prompts, layers), whole, atol=1e-5)


@torch.no_grad()
def bert_by_hand(model: Any, prompt: Prompt, layers: np.ndarray) -> np.ndarray:
    """BERT written out: stopped tokens form no query, all give keys and values."""
    weights = {name: w.double() for name, w in model.state_dict().items()}

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-12).sqrt()
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def gelu(x: torch.Tensor) -> torch.Tensor:
        return x * (1 + torch.erf(x / 2**0.5)) / 2

    first = "bert.embeddings"
    h = weights[f"{first}.word_embeddings.weight"][list(prompt.ids)]
    h = h + weights[f"{first}.position_embeddings.weight"][: len(prompt.ids)]
    h = norm(
        h + weights[f"{first}.token_type_embeddings.weight"][0], f"{first}.LayerNorm"
    )
    n_heads = model.config.num_attention_heads
    for depth in range(1, model.config.num_hidden_layers + 1):
        block = f"bert.encoder.layer.{depth - 1}"
        running = np.flatnonzero(layers >= depth).tolist()
        keys = linear(h, f"{block}.attention.self.key").chunk(n_heads, -1)
        values = linear(h, f"{block}.attention.self.value").chunk(n_heads, -1)
        queries = linear(h[running], f"{block}.attention.self.query").chunk(n_heads, -1)
        heads = [
            torch.softmax(q @ k.T / q.shape[-1] ** 0.5, dim=-1) @ v
            for q, k, v in zip(queries, keys, values, strict=True)
        ]
        a = linear(torch.cat(heads, -1), f"{block}.attention.output.dense")
        a = norm(a + h[running], f"{block}.attention.output.LayerNorm")
        f = linear(
            gelu(linear(a, f"{block}.intermediate.dense")), f"{block}.output.dense"
        )
        h = h.clone()
        h[running] = norm(f + a, f"{block}.output.LayerNorm")
    last = "cls.predictions"
    t = gelu(linear(h[prompt.read], f"{last}.transform.dense"))
    t = norm(t, f"{last}.transform.LayerNorm")
    return soft(linear(t, f"{last}.decoder")[LABEL_IDS])


def test_token_engine_equals_bert_written_out() -> None:
    backbone = loaded("bert")
    prompts = prompts_for("masked", LENGTHS)
    layers = some_layers(backbone, prompts, seed=5)
    expected = [
        bert_by_hand(backbone.model, prompt, own)
        for prompt, own in zip(prompts, layers, strict=True)
    ]
    np.testing.assert_allclose(packed(backbone, prompts, layers), expected, atol=1e-5)


@contextmanager
def counted_tokens(backbone: LoadedBackbone, path: str) -> Iterator[list[int]]:
    """Count the tokens that a module of each layer was given, call by call."""
    tokens: list[int] = []

    def count(module: Any, args: Any) -> None:
        tokens.append(args[0].numel() // args[0].shape[-1])

    modules = dict.fromkeys(x.get_submodule(path) for x in first_layers(backbone))
    hooks = [module.register_forward_pre_hook(count) for module in modules]
    yield tokens
    for hook in hooks:
        hook.remove()


PARTS = [
    (name, path)
    for name in ABLE
    for path in (
        loaded(name).family.feed_forward[0],
        *loaded(name).family.attention,
    )
]


@pytest.mark.parametrize(("name", "path"), PARTS)
def test_token_engine_runs_a_layers_parts_on_tokens_with_layers_left(
    name: str, path: str
) -> None:
    backbone = loaded(name)
    prompts = prompts_for(backbone.family.kind, LENGTHS)
    layers = some_layers(backbone, prompts)
    with counted_tokens(backbone, path) as tokens:
        packed(backbone, prompts, layers, batch_tokens=10_000)
    n_layers = len(first_layers(backbone))
    flat = np.concatenate(layers)  # no padding in it
    expected = [int((flat >= depth).sum()) for depth in range(1, n_layers + 1)]
    if backbone.family.kind != "seq2seq":  # the last layer is only read
        expected[-1] = len(prompts)
    assert tokens == expected
    assert min(expected) > 0


def test_token_engine_leaves_the_model_as_it_was() -> None:
    backbone = loaded("gemma3_text")
    prompts = prompts_for("causal", LENGTHS)
    before = {key: value.clone() for key, value in backbone.model.state_dict().items()}
    modules = {path: id(module) for path, module in backbone.model.named_modules()}
    packed(backbone, prompts, some_layers(backbone, prompts))
    assert {p: id(m) for p, m in backbone.model.named_modules()} == modules
    for key, value in backbone.model.state_dict().items():
        assert torch.equal(value, before[key])


def test_scores_that_are_not_finite_are_computed_again_with_tokens_stopping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backbone = loaded("bert")
    prompts = prompts_for("masked", LENGTHS)
    layers = some_layers(backbone, prompts)
    expected = packed(backbone, prompts, layers)
    half = loaded("bert")
    half.__dict__["in_float32"] = backbone
    monkeypatch.setitem(half.__dict__, "dtype", torch.bfloat16)
    head = label_head(backbone, LABEL_IDS)
    calls = 0

    def broken_once(states: torch.Tensor, stack: int = 0) -> torch.Tensor:
        nonlocal calls
        calls += 1
        logits = head(states, stack)
        if calls == 1:
            logits[[1, 4]] = torch.nan
        return logits

    engine = TokenEngine(half, layers, batch_tokens=10_000)
    depths = np.full(len(prompts), 3)
    found = run_to(engine, prompts, depths, broken_once)
    np.testing.assert_allclose(soft(found), expected, atol=1e-5)
    assert engine.n_repeated == 2
