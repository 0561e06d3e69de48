"""Tokens that stop one by one, against a dense pass that computes all and masks."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import mutual_info_score
from sklearn.model_selection import cross_val_score

from skraee import Backbone, toy
from skraee.backbone.loaded import LoadedBackbone
from skraee.baselines import HashEEClassifier
from skraee.baselines.hashee.hashing import (
    Counts,
    by_cluster,
    by_rank,
    layers_of_buckets,
)
from skraee.baselines.hashee.token_layers import TokenEngine
from skraee.engine.head import label_head
from skraee.engine.stacks import layers_of
from skraee.sweep.sweeper import open_sweeper
from skraee.text.prompt import Prompt
from tests.engine.test_engine import LABEL_IDS, loaded, own_answer, prompts_for, soft
from tests.support.checkpoints import small_tokenizer
from tests.support.models import MODELS, tiny_model, toy_objects
from tests.support.runs import run_to

# OPT's layers keep nothing apart; the tiny DeBERTa-v2 has a convolution.
ABLE = [name for name in MODELS if name not in {"opt", "opt-350m", "deberta-v2"}]
HASHES = ("frequency", "mi", "random", "cluster")
LENGTHS = (9, 4, 14, 6, 9, 7, 5, 12)
KINDS: tuple[toy.Kind, ...] = ("masked", "causal", "seq2seq")


def first_layers(backbone: LoadedBackbone) -> list[Any]:
    family = backbone.family
    return layers_of(backbone.model, family, family.stacks[0])


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


@contextmanager
def stopping_tokens(backbone: LoadedBackbone, layers: np.ndarray) -> Iterator[None]:
    """Let the model run densely, and undo each layer where a token has stopped."""
    n_called = 0

    def undo(module: Any, args: Any, kwargs: Any, out: Any) -> Any:
        nonlocal n_called
        n_called += 1
        entered = args[0] if args else kwargs["hidden_states"]
        runs = torch.from_numpy(layers >= n_called)[None, :, None]
        if isinstance(out, tuple):
            return (torch.where(runs, out[0], entered), *out[1:])
        return torch.where(runs, out, entered)

    hooks = [
        layer.register_forward_hook(undo, with_kwargs=True)
        for layer in dict.fromkeys(first_layers(backbone))
    ]
    yield
    for hook in hooks:
        hook.remove()


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


# ---- the hashes


def test_buckets_spread_evenly_over_the_depth() -> None:
    assert layers_of_buckets(6, 24).tolist() == [4, 8, 12, 16, 20, 24]
    assert layers_of_buckets(6, 4).tolist() == [1, 2, 2, 3, 4, 4]
    assert layers_of_buckets(1, 12).tolist() == [12]


def test_ranks_are_cut_into_buckets_of_equal_size_and_ties_by_id() -> None:
    merit = np.array([1, 5, 1, 5, 9, 1])
    assert by_rank(merit, 3).tolist() == [1, 0, 2, 1, 0, 2]
    nearly = np.array([0.3, 0.1 + 0.2, 0.3])  # the second is larger by rounding alone
    assert by_rank(nearly, 3).tolist() == [0, 1, 2]


def tokens_of(kind: toy.Kind, texts: list[str]) -> list[list[int]]:
    _, tokenizer = toy_objects(kind)
    return [tokenizer(text, add_special_tokens=False).input_ids for text in texts]


def merit_by_hand(
    hash_by: str, texts: list[list[int]], y: np.ndarray
) -> dict[int, float]:
    ids = {token for text in texts for token in text}
    if hash_by == "frequency":
        return dict(Counter(token for text in texts for token in text))
    return {i: mutual_info_score([i in set(text) for text in texts], y) for i in ids}


def fitted(
    kind: toy.Kind = "masked",
    hash_by: Any = "frequency",
    n_buckets: int = 3,
    **more: Any,
) -> tuple[HashEEClassifier, list[str], np.ndarray]:
    X, y = toy.reviews(40)
    X[3] = "the the the plot"  # some words occur more often than there are texts
    clf = HashEEClassifier(
        toy.backbone(kind),
        toy.TEMPLATES[kind],
        label_words=toy.LABEL_WORDS,
        hash_by=hash_by,
        n_buckets=n_buckets,
        **more,
    )
    return clf.fit(X, y), X, y


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hash_by", ["frequency", "mi"])
def test_learned_hashes_rank_the_training_tokens(kind: toy.Kind, hash_by: str) -> None:
    clf, X, y = fitted(kind, hash_by)
    merit = merit_by_hand(hash_by, tokens_of(kind, X), y)
    ranked = sorted(merit, key=lambda token: (-round(merit[token], 12), token))
    expected = np.full(len(clf.token_layers_), 4)  # unseen tokens run all layers
    for rank, token in enumerate(ranked):
        expected[token] = [2, 3, 4][int(3 * rank / len(ranked))]
    np.testing.assert_array_equal(clf.token_layers_, expected)
    assert len(set(expected[ranked])) == 3


def test_information_differs_from_frequency() -> None:
    by_frequency, by_mi = (fitted(hash_by=h)[0].token_layers_ for h in HASHES[:2])
    assert (by_frequency != by_mi).any()


def test_random_hash_is_drawn_once_per_token_and_seeded() -> None:
    tables = [
        fitted(hash_by="random", random_state=seed)[0].token_layers_
        for seed in (None, 0, 1)
    ]
    np.testing.assert_array_equal(tables[0], tables[1])
    assert (tables[0] != tables[2]).any()
    shares = np.bincount(tables[0])[2:] / len(tables[0])
    np.testing.assert_allclose(shares, 1 / 3, atol=0.1)


def test_cluster_hash_puts_the_cluster_of_least_summed_norm_first() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[9.0, 0, 0], [0, 1.0, 0], [0, 0, 4.0]])
    member = np.arange(60) % 3
    embeddings = torch.tensor(centres[member] + rng.normal(0, 0.05, (60, 3)))
    known = np.arange(45)  # the others fall to their nearest
    found = by_cluster(embeddings, known, 3, 0)
    np.testing.assert_array_equal(found, np.array([2, 0, 1])[member])
    # It is the sum that counts: a few long ones weigh less than many short ones.
    few = known[(member[known] != 0) | (known < 3)]
    found = by_cluster(embeddings, few, 3, 0)
    np.testing.assert_array_equal(found, np.array([0, 1, 2])[member])


@pytest.mark.parametrize("hash_by", HASHES)
@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_run_all_layers(kind: toy.Kind, hash_by: str) -> None:
    clf, _, _ = fitted(kind, hash_by)
    special = toy_objects(kind)[1].all_special_ids
    assert (clf.token_layers_[special] == 4).all()
    assert (clf.token_layers_ < 4).any()


def test_counts_of_texts_without_tokens_are_empty() -> None:
    counts = Counts.of([[], []], np.array([0, 1]), 2)
    assert len(counts.ids) == len(counts.information()) == 0


@pytest.mark.filterwarnings("ignore:2 of 2 texts are empty")
@pytest.mark.parametrize("hash_by", HASHES)
def test_texts_without_tokens_can_be_fitted(hash_by: Any) -> None:
    clf = HashEEClassifier(
        toy.backbone(), toy.TEMPLATES["masked"], label_words=toy.LABEL_WORDS
    )
    clf.set_params(hash_by=hash_by).fit(["", ""], ["negative", "positive"])
    assert clf.predict(["a lovely film"]).shape == (1,)


# ---- the classifier


def toy_prompts(clf: HashEEClassifier, texts: list[str]) -> tuple[LoadedBackbone, Any]:
    sweeper = open_sweeper(clf._fitted.sweep_settings, "cpu", "auto")
    return sweeper.backbone, sweeper.prompts.encode([(text,) for text in texts])


@pytest.mark.parametrize("hash_by", HASHES)
@pytest.mark.parametrize("kind", KINDS)
def test_classifier_equals_the_dense_pass_for_every_hash(
    kind: toy.Kind, hash_by: str
) -> None:
    clf, _, _ = fitted(kind, hash_by)
    texts = [*toy.reviews(12, seed=4)[0], "wonderful", "great great " * 20]
    backbone, prompts = toy_prompts(clf, texts)
    layers = [clf.token_layers_[list(prompt.ids)] for prompt in prompts]
    if kind != "seq2seq":
        for prompt, own in zip(prompts, layers, strict=True):
            own[prompt.read] = 4
    token_ids = [
        backbone.tokenizer.plain([f" {w}"], first=False)[0][0]
        for w in ("terrible", "great")
    ]
    expected = []
    for prompt, own in zip(prompts, layers, strict=True):
        inputs = {"input_ids": torch.tensor([prompt.ids])}
        read = prompt.read
        if kind == "seq2seq":
            start = backbone.model.config.decoder_start_token_id
            inputs["decoder_input_ids"] = torch.tensor([[start]])
            read = 0
        with stopping_tokens(backbone, own), torch.no_grad():
            expected.append(soft(backbone.model(**inputs).logits[0, read, token_ids]))
    proba, exits = clf.predict_proba(texts, return_exit_layers=True)
    np.testing.assert_allclose(proba, expected, atol=1e-5)
    decoder = 4 if kind == "seq2seq" else 0
    np.testing.assert_allclose(exits, [decoder + own.mean() for own in layers])
    assert exits.min() < decoder + 4


def test_one_bucket_is_full_depth() -> None:
    clf, X, _ = fitted(n_buckets=1)
    backbone, prompts = toy_prompts(clf, X)
    expected = [backbone.model(input_ids=torch.tensor([p.ids])) for p in prompts]
    ids = [
        backbone.tokenizer.plain([w], first=False)[0][0] for w in ("terrible", "great")
    ]
    logits = [
        o.logits[0, p.read, ids].detach()
        for o, p in zip(expected, prompts, strict=True)
    ]
    proba, exits = clf.predict_proba(X, return_exit_layers=True)
    np.testing.assert_allclose(proba, soft(torch.stack(logits)), atol=1e-5)
    assert (exits == 4).all()


@pytest.mark.parametrize("hash_by", HASHES)
def test_pickled_classifier_answers_alike(hash_by: str) -> None:
    clf, X, _ = fitted(hash_by=hash_by)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    np.testing.assert_array_equal(again.exit_layers(X), clf.exit_layers(X))


def test_clone_is_unfitted_and_has_the_parameters() -> None:
    clf, X, _ = fitted(hash_by="mi", n_buckets=2)
    copy = clone(clf)
    assert (copy.hash_by, copy.n_buckets) == ("mi", 2)
    with pytest.raises(NotFittedError):
        copy.predict(X)


def test_cross_validation_beats_chance() -> None:
    X, y = toy.reviews(60)
    clf = HashEEClassifier(
        toy.backbone(), toy.TEMPLATES["masked"], label_words=toy.LABEL_WORDS
    )
    assert cross_val_score(clf, X, y, cv=3).mean() > 0.6


def test_predict_of_no_text_is_empty() -> None:
    clf, _, _ = fitted()
    assert clf.predict_proba([]).shape == (0, 2)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"hash_by": "luck"}, ValueError, "hash_by must be one of 'frequency'.*'luck'"),
        ({"n_buckets": 0}, ValueError, "n_buckets must be at least 1, got 0"),
        ({"n_buckets": 2.5}, TypeError, "n_buckets must be a whole number, got 2.5"),
    ],
)
def test_wrong_parameters_are_refused_by_fit(
    changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    clf, X, y = fitted()
    with pytest.raises(error, match=message):
        clone(clf).set_params(**changes).fit(X, y)


def test_buckets_changed_after_fit_are_refused_by_predict() -> None:
    clf, X, _ = fitted()
    clf.set_params(n_buckets=5)
    with pytest.raises(ValueError, match="n_buckets was 3 at fit and is 5 now"):
        clf.predict(X)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("opt", "do not keep their feed-forward part apart"),
        ("deberta-v2", "a convolution between its layers"),
    ],
)
def test_backbones_whose_layers_need_all_tokens_are_refused(
    name: str, reason: str
) -> None:
    template = "{text} w5" if name == "opt" else "{text} {mask} w5"
    clf = HashEEClassifier(
        Backbone(tiny_model(name), small_tokenizer()),
        template,
        label_words={"a": "w7", "b": "w9"},
    )
    with pytest.raises(ValueError, match=f"{reason}.*choose another backbone"):
        clf.fit(["w3 w4", "w5"], ["a", "b"])
    assert not hasattr(clf, "classes_")


def test_chunked_feed_forward_is_refused() -> None:
    model = tiny_model("bert")
    model.config.chunk_size_feed_forward = 2
    clf = HashEEClassifier(
        Backbone(model, small_tokenizer()),
        "{text} {mask}",
        label_words={"a": "w7", "b": "w9"},
    )
    with pytest.raises(ValueError, match="sets chunk_size_feed_forward"):
        clf.fit(["w3 w4", "w5"], ["a", "b"])
