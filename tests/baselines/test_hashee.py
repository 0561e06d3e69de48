"""HashEE's tables by hand, and its answers against a dense pass."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.metrics import log_loss, mutual_info_score

from skraee import Backbone, toy
from skraee.backbone.loaded import LoadedBackbone
from skraee.baselines import HashEEClassifier
from skraee.baselines.hashee.readout import LastReadout
from skraee.exceptions import TruncationWarning
from skraee.readout.ridge_regression import PENALTIES
from skraee.sweep.sweeper import open_sweeper
from skraee.text.prompt import Prompt
from tests.baselines.plain import LABELS, NEW, TEXTS, WORDS
from tests.baselines.stopped_tokens import HASHES, KINDS, first_layers, stopping_tokens
from tests.support.checkpoints import headless, small_tokenizer
from tests.support.models import tiny_model, toy_objects
from tests.support.references import soft


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


@pytest.mark.parametrize("hash_by", HASHES)
@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_run_all_layers(kind: toy.Kind, hash_by: str) -> None:
    clf, _, _ = fitted(kind, hash_by)
    special = toy_objects(kind)[1].all_special_ids
    assert (clf.token_layers_[special] == 4).all()
    assert (clf.token_layers_ < 4).any()


@pytest.mark.filterwarnings("ignore:2 of 2 texts are empty")
@pytest.mark.parametrize("hash_by", HASHES)
def test_texts_without_tokens_can_be_fitted(hash_by: Any) -> None:
    clf = HashEEClassifier(
        toy.backbone(), toy.TEMPLATES["masked"], label_words=toy.LABEL_WORDS
    )
    clf.set_params(hash_by=hash_by).fit(["", ""], ["negative", "positive"])
    assert clf.predict(["a lovely film"]).shape == (1,)


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


def dense_features(
    backbone: LoadedBackbone, prompt: Prompt, layers: np.ndarray
) -> np.ndarray:
    """What comes out at the read position and, on average, at the text's tokens."""
    last: list[torch.Tensor] = []
    with stopping_tokens(backbone, layers), torch.no_grad():
        hook = first_layers(backbone)[-1].register_forward_hook(
            lambda module, args, out: last.append(
                out[0] if isinstance(out, tuple) else out
            )
        )
        backbone.model(input_ids=torch.tensor([prompt.ids]))
        hook.remove()
    ((states,),) = last
    ((start, stop),) = prompt.spans
    read = states[prompt.read]
    if norm := getattr(backbone.model.base_model, "norm", None):
        read = norm(read)
    own = states[start:stop]
    own = own / own.square().mean(dim=1, keepdim=True).sqrt()
    return torch.cat([read, own.mean(dim=0)]).detach().numpy()


@pytest.mark.parametrize("hash_by", HASHES)
@pytest.mark.parametrize("kind", KINDS[:2])
def test_readout_reads_the_states_of_a_dense_pass(kind: toy.Kind, hash_by: Any) -> None:
    X, y = toy.reviews(40)
    clf = HashEEClassifier(
        toy.backbone(kind), "{text}", readout="ridge", hash_by=hash_by, n_buckets=3
    ).fit(X, y)
    texts = [*toy.reviews(12, seed=4)[0], "wonderful"]
    backbone, prompts = toy_prompts(clf, texts)
    layers = [clf.token_layers_[list(prompt.ids)] for prompt in prompts]
    for prompt, own in zip(prompts, layers, strict=True):
        own[prompt.read] = 4
    features = np.stack(
        [dense_features(backbone, *both) for both in zip(prompts, layers, strict=True)]
    )
    readout = clf._fitted.learned.readout
    expected = soft(torch.from_numpy(features @ readout.coef + readout.intercept))
    proba, exits = clf.predict_proba(texts, return_exit_layers=True)
    np.testing.assert_allclose(proba, expected, atol=1e-5)
    np.testing.assert_allclose(exits, [own.mean() for own in layers])
    assert exits.min() < 4


@pytest.mark.parametrize("kind", KINDS)
def test_readout_learns_from_stopping_tokens_what_it_answers_by(kind: toy.Kind) -> None:
    X, y = toy.reviews(80)
    new, right = toy.reviews(60, seed=1)
    clf = HashEEClassifier(toy.backbone(kind), "{text}", readout="ridge", n_buckets=2)
    assert clf.fit(X, y).score(new, right) > 0.8


def test_last_readout_has_the_best_penalty_and_temperature_of_texts_left_out() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(30, 4)).astype(np.float32)
    codes = (features[:, 0] + rng.normal(size=30) > 0).astype(int)
    found = LastReadout.of(features, codes, 2)
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    errors, scores = {}, {}
    for penalty in PENALTIES:
        scores[penalty] = np.zeros((30, 2))
        for i in range(30):
            rest = np.arange(30) != i
            targets = np.where(codes[rest, None] == [0, 1], 1.0, -1.0)
            ridge = Ridge(alpha=penalty).fit(standard[rest], targets)
            scores[penalty][i] = ridge.predict(standard[[i]])[0]
        right = np.where(codes[:, None] == [0, 1], 1.0, -1.0)
        errors[penalty] = ((scores[penalty] - right) ** 2).sum()
    best = min(errors, key=lambda penalty: errors[penalty])
    factors = np.exp(np.linspace(-7, 7, 801))  # steps of 1.8 %
    losses = [log_loss(codes, soft(torch.tensor(f * scores[best]))) for f in factors]
    targets = np.where(codes[:, None] == [0, 1], 1.0, -1.0)
    ridge = Ridge(alpha=best).fit(standard, targets)
    expected = factors[int(np.argmin(losses))] * ridge.predict(standard)
    np.testing.assert_allclose(found.scores(features), expected, rtol=0.02, atol=1e-3)


def test_readout_needs_neither_head_nor_label_words(tmp_path: Path) -> None:
    folder = headless(tmp_path / "model", "sentence encoder")
    make = partial(HashEEClassifier, str(folder), max_length=16)
    clf = make("{text}", readout="ridge").fit(TEXTS, LABELS)
    assert clf.predict_proba(NEW).shape == (30, 3)
    with pytest.raises(ValueError, match="with one, or set readout='ridge', which"):
        make("{text} {mask}", label_words=WORDS).fit(TEXTS, LABELS)
    with pytest.raises(ValueError, match="readout was 'ridge' at fit"):
        clf.set_params(readout="lm_head").predict(NEW)


@pytest.mark.parametrize("hash_by", ["frequency", "random"])
def test_long_texts_are_told_once_by_a_fit_with_a_readout(hash_by: Any) -> None:
    X, y = toy.reviews(20)
    clf = HashEEClassifier(
        toy.backbone(), "{text}", readout="ridge", hash_by=hash_by, max_length=5
    )
    with pytest.warns(TruncationWarning) as caught:
        clf.fit(X, y)
    assert len(caught) == 1


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


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"hash_by": "luck"}, ValueError, "hash_by must be one of 'frequency'.*'luck'"),
        ({"readout": "words"}, ValueError, "readout must be one of 'lm_head', 'ridge'"),
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
