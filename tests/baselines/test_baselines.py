"""The baselines against plain computations of their rules, and their contract."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy as plain_entropy
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.svm import SVC
from sklearn.utils import estimator_checks as checks
from sklearn.utils import get_tags
from torch import nn
from transformers import T5ForConditionalGeneration

from skraee import (
    Backbone,
    EarlyExitClassifier,
    RAEEClassifier,
    baselines,
    clear_sweeps,
    toy,
)
from skraee.baselines import (
    AdaInferClassifier,
    CALMClassifier,
    DeeBERTClassifier,
    FullDepthClassifier,
)
from skraee.baselines.calm.confidence import candidates_for
from skraee.baselines.deebert.ramps import Ramps
from skraee.baselines.deebert.training import Training, first_weights
from skraee.engine.stacks import layers_of
from skraee.exceptions import InputWarning, TruncationWarning
from skraee.exits.risk import learn_then_test, safe_threshold
from skraee.text.prompt import Prompt
from tests.engine.test_engine import LABEL_IDS, full_head, reference_states
from tests.engine.test_row_exits import counted_rows
from tests.support.checkpoints import small_tokenizer
from tests.support.models import MODELS, VOCAB, tiny_model
from tests.test_ridge_classifier import headless

CPU = torch.device("cpu")
FAMILIES = ["bert", "deberta-v3", "electra", "llama", "gemma2", "opt-350m", "t5"]
CLASSES = ["a", "b", "c"]
WORDS = {name: f"w{i}" for name, i in zip(CLASSES, LABEL_IDS, strict=True)}


def words(n: int, seed: int = 0) -> list[str]:
    """Draw distinct texts of 3 to 12 of the small tokenizer's words."""
    rng = np.random.default_rng(seed)
    return [
        " ".join(f"w{i}" for i in rng.integers(3, VOCAB - 1, rng.integers(3, 13)))
        for _ in range(n)
    ]


TEXTS = words(24)
LABELS = np.array(CLASSES)[np.random.default_rng(5).integers(0, 3, len(TEXTS))]
NEW = words(30, seed=1)


def deep_t5() -> Any:
    """A T5 whose decoder has layers enough to leave at several of them."""
    config = MODELS["t5"][1]()
    config.num_decoder_layers = 4
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = T5ForConditionalGeneration(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.2)
        model.tie_weights()
    return model


class Plain:
    """A tiny model, read by nothing but the model's own forward."""

    def __init__(self, name: str) -> None:
        model = deep_t5() if name == "t5" else tiny_model(name)
        self.backbone = Backbone(model, small_tokenizer())
        self.loaded = self.backbone.load()
        self.kind = self.loaded.family.kind
        family = self.loaded.family
        stacks = [layers_of(self.loaded.model, family, s) for s in family.stacks]
        self.n_layers = sum(map(len, stacks))
        self.n_encoder = len(stacks[0]) if len(stacks) > 1 else 0
        self.template = "{text} {mask}" if self.kind == "masked" else "{text} w3"

    def prompt(self, text: str) -> Prompt:
        ids = [int(word[1:]) for word in text.split()]
        ids.append(VOCAB - 1 if self.kind == "masked" else 3)
        return Prompt(tuple(ids), len(ids) - 1, ((0, len(ids) - 1),))

    def plain_text(self, text: str) -> Prompt:
        ids = tuple(int(word[1:]) for word in text.split())
        read = 0 if self.kind == "masked" else len(ids) - 1
        return Prompt(ids, read, ((0, len(ids)),))

    def states(self, prompt: Prompt) -> np.ndarray:
        """States (m + 1, H) at the read position, before the final norm."""
        return np.stack([s.numpy() for s in reference_states(self.loaded, prompt)])

    @torch.no_grad()
    def closed(self, states: np.ndarray) -> list[torch.Tensor]:
        """The same behind the norm of their stack."""
        model, family = self.loaded.model, self.loaded.family
        found = []
        for depth, state in enumerate(torch.from_numpy(states)):
            in_decoder = self.n_encoder and depth > self.n_encoder
            stack = model.get_submodule(family.stacks[int(bool(in_decoder))])
            for name in family.final_norms:
                module = getattr(stack, name)
                state = state if module is None else module(state)
            found.append(state)
        return found

    @torch.no_grad()
    def logits(self, states: np.ndarray) -> np.ndarray:
        """Logits (m + 1, V) over the whole vocabulary."""
        model = self.loaded.model
        return np.stack([full_head(model, s).numpy() for s in self.closed(states)])

    def of(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """States (n, m + 1, H) and logits (n, m + 1, V) of prompts."""
        states = [self.states(self.prompt(text)) for text in texts]
        return np.stack(states), np.stack([self.logits(s) for s in states])

    def estimator(self, cls: Any, **params: Any) -> Any:
        defaults = {"batch_tokens": 10_000}  # one batch
        if cls is not DeeBERTClassifier:
            defaults |= {"template": self.template, "label_words": WORDS}
        if cls is not FullDepthClassifier:
            defaults |= {"memory": None}
        return cls(self.backbone, **{**defaults, **params})


@cache
def plain(name: str) -> Plain:
    return Plain(name)


@cache
def plain_of(name: str, which: str) -> tuple[np.ndarray, np.ndarray]:
    return plain(name).of(TEXTS if which == "fit" else NEW)


def first_of(stops: np.ndarray, first: int) -> np.ndarray:
    """The first depth of each text that may stop there, else the last."""
    exits = []
    for row in stops:
        found = [depth for depth in range(first, len(row)) if row[depth]]
        exits.append(found[0] if found else len(row) - 1)
    return np.array(exits)


def telling_threshold(
    measured: np.ndarray, stops_for: Callable[[float], np.ndarray], first: int
) -> float:
    """A threshold with which texts leave all along, not too near any measure."""
    ordered = np.unique(measured)
    gaps = np.diff(ordered)
    middles = (ordered[1:] + ordered[:-1])[gaps > np.quantile(gaps, 0.5)] / 2
    return float(
        max(middles, key=lambda t: len(np.unique(first_of(stops_for(t), first))))
    )


def check_run(clf: Any, model: Plain, expected: np.ndarray, proba: np.ndarray) -> None:
    """Answers, exits, and the rows that every layer was given."""
    clf.predict(NEW)  # whatever is made once is made now
    with counted_rows(model.loaded) as rows:
        found, exits = clf.predict_proba(NEW, return_exit_layers=True)
    assert exits.tolist() == expected.tolist()
    np.testing.assert_allclose(found, proba, atol=1e-4)
    ran = [int((expected > depth).sum()) for depth in range(expected.max())]
    assert [*rows.values()] == ran


def at(values: np.ndarray, exits: np.ndarray) -> np.ndarray:
    return values[np.arange(len(exits)), exits]


# Full depth


@pytest.mark.parametrize("name", FAMILIES)
def test_full_depth_is_the_softmax_of_the_label_words_behind_the_last_layer(
    name: str,
) -> None:
    model = plain(name)
    clf = model.estimator(FullDepthClassifier).fit(TEXTS, CLASSES * 8)
    logits = plain_of(name, "new")[1]
    last = np.full(len(NEW), model.n_layers)
    check_run(clf, model, last, softmax(logits[:, -1, LABEL_IDS], axis=1))
    assert clf.n_layers_ == model.n_layers


def test_full_depth_fits_without_running_a_text(rows: Counter[str]) -> None:
    plain("bert").estimator(FullDepthClassifier).fit(TEXTS, LABELS)
    assert not rows


# DeeBERT


def plain_ramps(clf: Any, model: Plain, texts: list[str]) -> np.ndarray:
    """Logits (n, m + 1, C) of the fitted ramps; the first depth has none."""
    ramps, found = clf._fitted.learned, []
    for text in texts:
        states = model.closed(model.states(model.plain_text(text)))
        logits = [np.zeros(len(clf.classes_))]
        for i, state in enumerate(states[1:]):
            wide = np.zeros(ramps.hidden.shape[1])
            wide[: len(state)] = state.numpy()  # OPT 350M projects its last states
            inner = np.tanh(wide @ ramps.hidden[i] + ramps.hidden_bias[i])
            logits.append(inner @ ramps.out[i] + ramps.out_bias[i])
        found.append(logits)
    return np.array(found)


@pytest.mark.parametrize("name", FAMILIES)
def test_deebert_leaves_at_the_first_ramp_with_little_entropy(name: str) -> None:
    model = plain(name)
    clf = model.estimator(DeeBERTClassifier, learning_rate=5e-3, n_epochs=8)
    clf.fit(TEXTS, LABELS)
    logits = plain_ramps(clf, model, NEW)
    measured = plain_entropy(softmax(logits, axis=2), axis=2)
    threshold = telling_threshold(measured[:, 1:], lambda t: measured < t, 1)
    expected = first_of(measured < threshold, 1)
    assert len(np.unique(expected)) > 1
    clf.set_params(threshold=threshold)
    check_run(clf, model, expected, softmax(at(logits, expected), axis=1))


def drawn_states(n: int, m: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, m, width)).astype(np.float32), rng.integers(0, 3, n)


HOW = {
    "n_epochs": 6,
    "batch_size": 4,
    "learning_rate": 0.02,
    "weight_decay": 0.1,
    "max_grad_norm": 0.05,
    "dropout": 0.25,
    "train_last": True,
    "seed": 3,
}


@pytest.mark.parametrize(
    "change", [{}, {"dropout": 0.0}, {"batch_size": 40}, {"weight_decay": 0.0}]
)
def test_ramps_learn_what_a_loop_over_single_ramps_learns(
    change: dict[str, Any],
) -> None:
    n, m, width, n_classes = 14, 3, 8, 3
    states, codes = drawn_states(n, m, width)
    how = {**HOW, **change}
    found = Training(**how).run(states, codes, n_classes, CPU)
    generator = torch.Generator().manual_seed(how["seed"])
    start = first_weights(m, width, n_classes, generator)
    steps = []
    for _ in range(how["n_epochs"]):
        order = torch.randperm(n, generator=generator)
        for rows in order.split(how["batch_size"]):
            kept = torch.ones(m, len(rows), width)
            if share := how["dropout"]:
                drawn = torch.rand(m, len(rows), width, generator=generator)
                kept = (drawn >= share) / (1 - share)
            steps.append((rows, kept))
    for i in range(m):
        weights = [part[i].T if part.ndim == 3 else part[i] for part in start]
        ramp = plain_training(weights, states[:, i], codes, steps, i, how)
        np.testing.assert_allclose(found.hidden[i], ramp[0].T, atol=1e-5)
        np.testing.assert_allclose(found.hidden_bias[i], ramp[1], atol=1e-5)
        np.testing.assert_allclose(found.out[i], ramp[2].T, atol=1e-5)
        np.testing.assert_allclose(found.out_bias[i], ramp[3], atol=1e-5)
        assert np.abs(found.out[i] - start[2][i].numpy()).max() > 0.05


def plain_training(
    weights: list[torch.Tensor],
    states: np.ndarray,
    codes: np.ndarray,
    steps: list[tuple[torch.Tensor, torch.Tensor]],
    number: int,
    how: dict[str, Any],
) -> list[np.ndarray]:
    """Train one ramp as a module, with torch's own optimizer, schedule and clipping."""
    first = nn.Linear(*weights[0].shape)
    second = nn.Linear(*weights[2].T.shape)
    parameters = [first.weight, first.bias, second.weight, second.bias]
    with torch.no_grad():
        for parameter, value in zip(parameters, weights, strict=True):
            parameter.copy_(value)
    optimizer = torch.optim.AdamW(
        parameters, lr=how["learning_rate"], weight_decay=how["weight_decay"]
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 1 - step / len(steps)
    )
    for rows, kept in steps:
        inner = torch.tanh(first(torch.from_numpy(states)[rows])) * kept[number]
        loss = nn.functional.cross_entropy(second(inner), torch.from_numpy(codes)[rows])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, how["max_grad_norm"])
        optimizer.step()
        schedule.step()
    return [parameter.detach().numpy() for parameter in parameters]


def test_a_last_ramp_that_is_not_trained_stays_as_it_was_drawn() -> None:
    states, codes = drawn_states(14, 3, 8)
    how = {**HOW, "dropout": 0.0}
    found = Training(**{**how, "train_last": False}).run(states, codes, 3, CPU)
    whole = Training(**how).run(states, codes, 3, CPU)
    start = first_weights(3, 8, 3, torch.Generator().manual_seed(3))
    np.testing.assert_array_equal(found.hidden[-1], start[0][-1])
    np.testing.assert_array_equal(found.out[-1], start[2][-1])
    np.testing.assert_allclose(found.out[:-1], whole.out[:-1], atol=1e-6)


def test_deebert_learns_the_toy_reviews_and_the_last_ramp_needs_training() -> None:
    X, y = toy.reviews(80)
    new, right = toy.reviews(60, seed=1)
    clf = DeeBERTClassifier(toy.backbone(), learning_rate=3e-3, n_epochs=20)
    assert clf.fit(X, y).score(new, right) > 0.9
    full = clone(clf).set_params(threshold=0, train_last=False).fit(X, y)
    trained = clone(clf).set_params(threshold=0).fit(X, y)
    assert set(trained.exit_layers(new)) == {4}
    assert full.score(new, right) < 0.8 < trained.score(new, right)


def weights_of(clf: Any) -> Ramps:
    ramps: Ramps = clf._fitted.learned
    return ramps


def test_deebert_is_seeded_and_touches_no_global_generator() -> None:
    X, y = toy.reviews(20)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    make = partial(DeeBERTClassifier, toy.backbone(), n_epochs=2)
    none = make().fit(X, y)
    torch.rand(3)
    torch.set_rng_state(before[0])
    again = make(random_state=0).fit(X, y)
    np.testing.assert_array_equal(weights_of(none).hidden, weights_of(again).hidden)
    other = make(random_state=1).fit(X, y)
    assert np.abs(weights_of(other).hidden - weights_of(none).hidden).max() > 1e-3
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002


def test_deebert_reads_texts_once_for_all_fits(rows: Counter[str]) -> None:
    X, y = toy.reviews(20)
    clear_sweeps()
    make = partial(DeeBERTClassifier, toy.backbone(), n_epochs=1)
    first = make().fit(X, y)
    n_texts = len(set(X))
    assert rows == {"sweep": n_texts}
    again = make().fit(X, y)
    assert rows == {"sweep": n_texts}
    np.testing.assert_array_equal(weights_of(again).hidden, weights_of(first).hidden)
    again.predict(X)
    assert rows == {"sweep": n_texts, "run": n_texts}  # never looked up


def test_deebert_and_ridge_keep_their_states_apart() -> None:
    X, y = toy.reviews(20)
    clear_sweeps()
    ridge = EarlyExitClassifier(toy.backbone(), max_length=128).fit(X, y)
    make = partial(DeeBERTClassifier, toy.backbone(), n_epochs=1)
    kept, fresh = make().fit(X, y), make(memory=None).fit(X, y)
    np.testing.assert_array_equal(weights_of(kept).hidden, weights_of(fresh).hidden)
    clear_sweeps()
    make().fit(X, y)
    again = clone(ridge).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), ridge.predict_proba(X))


def test_deebert_needs_no_head(tmp_path: Path) -> None:
    folder = headless(tmp_path / "model", "sentence encoder")
    clf = DeeBERTClassifier(str(folder), n_epochs=1, max_length=16)
    assert clf.fit(TEXTS, LABELS).predict_proba(NEW).shape == (30, 3)


def test_label_words_without_a_head_are_refused(tmp_path: Path) -> None:
    folder = headless(tmp_path / "model", "sentence encoder")
    clf = FullDepthClassifier(str(folder), "{text} {mask}", label_words=WORDS)
    with pytest.raises(ValueError, match=r"no language-model head; .*DeeBERT"):
        clf.fit(TEXTS, LABELS)


# AdaInfer


def plain_features(logits: np.ndarray) -> np.ndarray:
    """(gap, top) of the softmax over the last axis."""
    ordered = np.sort(softmax(logits.astype(np.float64), axis=-1), axis=-1)
    return np.stack([ordered[..., -1] - ordered[..., -2], ordered[..., -1]], axis=-1)


@pytest.mark.parametrize("features", ["vocab", "labels"])
@pytest.mark.parametrize(("target", "min_exit"), [("final", 1), ("gold", 0)])
def test_adainfer_stops_where_its_machine_accepts_the_features(
    features: str, target: str, min_exit: int
) -> None:
    seen: set[int] = set()
    for name in FAMILIES:
        labels = LABELS
        if target == "gold":  # some depths are right, others are not
            said = plain_of(name, "fit")[1][:, 2, LABEL_IDS].argmax(axis=1)
            labels = np.where(np.arange(24) % 5 < 3, np.array(CLASSES)[said], LABELS)
        expected, proba = plain_adainfer(name, labels, features, target, min_exit)
        clf = plain(name).estimator(
            AdaInferClassifier, features=features, target=target, min_exit=min_exit
        )
        check_run(clf.fit(TEXTS, labels), plain(name), expected, proba)
        seen |= set(expected.tolist())
    assert len(seen) > 2


def plain_adainfer(
    name: str, labels: np.ndarray, features: str, target: str, min_exit: int
) -> tuple[np.ndarray, np.ndarray]:
    """Exits and probabilities of the new texts."""
    classes, codes = np.unique(labels, return_inverse=True)
    columns = [LABEL_IDS[CLASSES.index(label)] for label in classes]
    given, new = plain_of(name, "fit")[1], plain_of(name, "new")[1]
    answers = given[:, min_exit:, columns].argmax(axis=2)
    right = answers[:, -1:] if target == "final" else codes[:, None]
    if features == "labels":
        given, new = given[:, :, columns], new[:, :, columns]
        columns = list(range(len(classes)))
    pairs = plain_features(given)[:, min_exit:].reshape(-1, 2).astype(np.float32)
    svc = SVC().fit(pairs, (answers == right).ravel())
    found = plain_features(new).reshape(-1, 2).astype(np.float32)
    expected = first_of(svc.predict(found).reshape(new.shape[:2]), min_exit)
    return expected, softmax(at(new[:, :, columns], expected), axis=1)


LABELS_AS_CODES = np.searchsorted(CLASSES, LABELS)


def test_adainfer_draws_pairs_by_its_seed() -> None:
    model = plain("bert")
    make = partial(model.estimator, AdaInferClassifier, max_pairs=30)
    svcs = [make(random_state=seed).fit(TEXTS, LABELS).svc_ for seed in (None, 0, 1)]
    assert svcs[0].shape_fit_ == (30, 2)
    np.testing.assert_array_equal(svcs[0].support_vectors_, svcs[1].support_vectors_)
    assert not np.array_equal(svcs[0].support_vectors_, svcs[2].support_vectors_)
    whole = model.estimator(AdaInferClassifier).fit(TEXTS, LABELS).svc_
    assert whole.shape_fit_ == (24 * 3, 2)


@pytest.mark.parametrize(("target", "exits"), [("final", {1}), ("gold", {3})])
@pytest.mark.filterwarnings("ignore:y holds one class only")
def test_adainfer_with_one_kind_of_pair_always_or_never_stops(
    target: str, exits: set[int]
) -> None:
    model = plain("bert")
    texts, labels = TEXTS, np.array(["a"] * len(TEXTS))
    words = {"a": "w11"}
    if target == "gold":  # each text has a label that no depth says
        words["b"] = "w7"
        said = plain_of("bert", "fit")[1][:, 1:, [11, 7]].argmax(axis=2)
        rows = np.flatnonzero(np.ptp(said, axis=1) == 0)
        texts = [TEXTS[i] for i in rows]
        labels = np.array(["b", "a"])[said[rows, 0]]
        assert set(labels) == set(words)
    clf = model.estimator(AdaInferClassifier, target=target, label_words=words)
    assert set(clf.fit(texts, labels).exit_layers(NEW).tolist()) == exits


def test_adainfer_reads_texts_once_and_shares_with_calm(rows: Counter[str]) -> None:
    X, y = toy.reviews(20)
    clear_sweeps()
    params = {"label_words": toy.LABEL_WORDS}
    given = (toy.backbone(), toy.TEMPLATES["masked"])
    first = AdaInferClassifier(*given, **params).fit(X, y)
    n_texts = len(set(X))
    assert rows == {"scores_at_every_depth": n_texts}
    again = clone(first).set_params(target="gold").fit(X, y)
    loose = {"delta": 0.9, "epsilon": 0.9, "threshold": "calibrated"}
    CALMClassifier(*given, **params, measure="vocab", **loose).fit(X, y)
    assert rows == {"scores_at_every_depth": n_texts}
    again.predict(X)
    assert rows["run"] == n_texts  # predict never looks anything up


# CALM


def plain_measure(name: str, measure: str, which: str) -> np.ndarray:
    """CALM's measure at every depth (n, m + 1)."""
    states, logits = plain_of(name, which)
    words = logits[:, :, LABEL_IDS]
    if measure == "entropy":
        return plain_entropy(softmax(words.astype(np.float64), axis=2), axis=2)
    if measure in ("softmax", "vocab"):
        return plain_features(words if measure == "softmax" else logits)[:, :, 0]
    found = np.zeros(states.shape[:2])
    for depth in range(1, states.shape[1]):
        if depth == plain(name).n_encoder + 1 > 1:
            continue  # a decoder's first layer has no state before it
        one, other = states[:, depth - 1], states[:, depth]
        lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
        found[:, depth] = (one * other).sum(axis=1) / lengths
    return found


def stops_at(measure: str, measured: np.ndarray, threshold: float) -> np.ndarray:
    return measured < threshold if measure == "entropy" else measured >= threshold


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("measure", ["softmax", "vocab", "state", "entropy"])
@pytest.mark.parametrize("min_exit", [0, 1])
def test_calm_stops_at_the_first_depth_that_is_confident(
    name: str, measure: str, min_exit: int
) -> None:
    model = plain(name)
    first = max(min_exit, model.n_encoder + 1 if model.n_encoder else 0)
    measured = plain_measure(name, measure, "new")
    stops_for = partial(stops_at, measure, measured)
    threshold = telling_threshold(measured[:, first:], stops_for, first)
    expected = first_of(stops_for(threshold), first)
    if first:  # at depth 0 a causal model's texts are all alike
        assert len(np.unique(expected)) > 1
    clf = model.estimator(
        CALMClassifier, measure=measure, min_exit=min_exit, threshold=threshold
    ).fit(TEXTS, LABELS)
    words = plain_of(name, "new")[1][:, :, LABEL_IDS]
    check_run(clf, model, expected, softmax(at(words, expected), axis=1))


@pytest.mark.parametrize(("threshold", "exits"), [(0.0, {4}), (1e-6, {5, 6, 7})])
def test_calm_compares_no_decoder_state_with_one_of_the_encoder(
    threshold: float, exits: set[int]
) -> None:
    clf = plain("t5").estimator(CALMClassifier, measure="state", threshold=threshold)
    assert set(clf.fit(TEXTS, LABELS).exit_layers(NEW).tolist()) <= exits


def test_calm_with_a_number_fits_without_running_a_text(rows: Counter[str]) -> None:
    clf = plain("bert").estimator(CALMClassifier).fit(TEXTS, LABELS)
    assert not rows
    assert not hasattr(clf, "threshold_")


def plain_calibration(
    measured: np.ndarray,
    losses: np.ndarray,
    candidates: np.ndarray,
    measure: str,
    delta: float,
    epsilon: float,
) -> float | None:
    """Walk down the candidates, one text after the other."""
    passed = None
    for candidate in candidates:
        total = 0.0
        for row, lost in zip(measured, losses, strict=True):
            stops = stops_at(measure, row[None], np.float32(candidate))
            total += lost[first_of(stops, 0)[0]]
        slack = max(0.0, delta - total / len(measured))
        if np.exp(-2 * len(measured) * slack**2) > epsilon:
            break
        passed = float(candidate)
    return passed


@pytest.mark.parametrize("name", ["bert", "llama", "t5"])
@pytest.mark.parametrize("measure", ["softmax", "state", "entropy"])
@pytest.mark.parametrize("risk", ["consistency", "accuracy"])
def test_calm_calibrates_by_walking_down_the_candidates(
    name: str, measure: str, risk: str
) -> None:
    model = plain(name)
    loose = {"delta": 0.45, "epsilon": 0.3}
    clf = model.estimator(
        CALMClassifier, measure=measure, threshold="calibrated", risk=risk, **loose
    ).fit(TEXTS, LABELS)
    first = model.n_encoder + 1
    measured = plain_measure(name, measure, "fit").astype(np.float32)[:, first:]
    answers = plain_of(name, "fit")[1][:, :, LABEL_IDS].argmax(axis=2)[:, first:]
    if risk == "consistency":
        losses = answers != answers[:, -1:]
    else:
        right = answers == LABELS_AS_CODES[:, None]
        losses = np.clip(right[:, -1:].astype(int) - right, 0, 1)
    candidates = candidates_for(measure, 3)
    assert len(candidates) == 101
    expected = plain_calibration(
        measured, losses.astype(float), candidates, measure, **loose
    )
    assert expected is not None
    assert clf.threshold_ == pytest.approx(expected)
    fixed = clone(clf).set_params(threshold=clf.threshold_).fit(TEXTS, LABELS)
    assert clf.exit_layers(NEW).tolist() == fixed.exit_layers(NEW).tolist()


@pytest.mark.parametrize("measure", ["softmax", "entropy"])
def test_calm_runs_all_layers_and_warns_where_no_threshold_is_shown_to_be_safe(
    measure: str,
) -> None:
    clf = plain("bert").estimator(
        CALMClassifier, measure=measure, threshold="calibrated"
    )
    with pytest.warns(UserWarning, match=r"with 24 texts, .* 600 texts are the fewest"):
        clf.fit(TEXTS, LABELS)
    assert set(clf.exit_layers(NEW).tolist()) == {3}


def test_six_hundred_texts_are_the_fewest_that_show_a_risk_of_a_twentieth() -> None:
    assert learn_then_test(np.zeros((599, 1)), 0.05, 0.05) == 0
    assert learn_then_test(np.zeros((600, 1)), 0.05, 0.05) == 1


def test_learn_then_test_ends_at_the_first_failure() -> None:
    losses = np.zeros((1000, 4))
    losses[:100, 1] = 1
    assert learn_then_test(losses, 0.05, 0.05) == 1
    assert learn_then_test(losses[:, [0, 2, 3]], 0.05, 0.05) == 3


def population(delta: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw confidences (n, D) and losses (n, D) whose risk goes through delta."""
    rng = np.random.default_rng(0)
    n, depths = 40_000, 6
    ease = rng.normal(size=(n, 1))
    logits = ease + np.linspace(-1.5, 2.0, depths) + rng.normal(size=(n, depths))
    measured = 1 / (1 + np.exp(-logits))
    wrong = rng.random((n, depths)) < 2.2 * delta * (1 - measured) ** 0.5
    wrong[:, -1] = False
    return measured.astype(np.float32), wrong.astype(float)


@pytest.mark.parametrize(("delta", "n"), [(0.05, 1000), (0.3, 100)])
def test_calibration_keeps_its_promise_in_500_draws(delta: float, n: int) -> None:
    epsilon, draws = 0.05, 500
    measured, losses = population(delta)
    candidates = candidates_for("softmax", 2)
    stops = [np.argmax(at_least(measured, c), axis=1) for c in candidates]
    risks = np.array([at(losses, exits).mean() for exits in stops])
    assert risks[0] < delta < risks[-1]
    rng = np.random.default_rng(1)
    missed = naive_missed = 0
    found = []
    for _ in range(draws):
        rows = rng.integers(0, len(measured), n)
        threshold = safe_threshold(
            measured[rows], losses[rows], candidates, delta=delta, epsilon=epsilon
        )
        number = np.flatnonzero(candidates == threshold)
        risk = risks[number[0]] if len(number) else 0.0
        found.append(risk)
        missed += risk > delta
        seen = [at(losses[rows], exits[rows]).mean() for exits in stops]
        naive_missed += risks[np.flatnonzero(np.array(seen) <= delta).max()] > delta
    assert missed <= epsilon * draws
    assert np.median(found) > 0  # it is not safe by never stopping
    assert naive_missed > 0.2 * draws  # and the draws do tempt


def at_least(measured: np.ndarray, candidate: float) -> np.ndarray:
    stops = measured >= np.float32(candidate)
    stops[:, -1] = True
    return stops


def test_fitted_thresholds_keep_the_promise_in_500_draws_of_texts() -> None:
    delta = epsilon = 0.25
    texts = sorted(set(toy.reviews(600)[0]))
    given = (toy.backbone(), toy.TEMPLATES["masked"])
    words = {"label_words": toy.LABEL_WORDS}
    known = RAEEClassifier(*given, **words, k=1).fit(*toy.reviews(40))
    proba = known.layer_proba(texts)[:, 1:]
    lead = np.abs(proba[:, :, 0] - proba[:, :, 1])
    losses = (proba.argmax(axis=2) != proba[:, -1:].argmax(axis=2)).astype(float)
    clf = CALMClassifier(
        *given, **words, threshold="calibrated", delta=delta, epsilon=epsilon
    )
    labels = np.array(["negative", "positive"])[np.arange(len(texts)) % 2]
    clf.fit(texts, labels)  # all texts are known from here on
    rng = np.random.default_rng(0)
    missed = early = 0
    for _ in range(500):
        rows = rng.integers(0, len(texts), 40)
        clf.fit([texts[i] for i in rows], labels[rows])
        exits = np.argmax(at_least(lead, clf.threshold_), axis=1)
        missed += at(losses, exits).mean() > delta
        early += exits.mean() < 2.5
    assert missed <= epsilon * 500
    assert early > 250


# The contract of all


X, Y = toy.reviews(40)
X_NEW, Y_NEW = toy.reviews(20, seed=1)
METHODS = ["predict", "predict_proba", "predict_log_proba", "exit_layers"]
OURS = [FullDepthClassifier, DeeBERTClassifier, AdaInferClassifier, CALMClassifier]
KINDS = list(toy.TEMPLATES)


def toy_classifier(cls: Any, kind: Any = "masked", **params: Any) -> Any:
    defaults: dict[str, Any] = {}
    if cls is DeeBERTClassifier:
        defaults = {"learning_rate": 3e-3, "n_epochs": 8, "threshold": 0.5}
    else:
        defaults = {"template": toy.TEMPLATES[kind], "label_words": toy.LABEL_WORDS}
    if cls is CALMClassifier:
        defaults |= {"threshold": 0.2}
    return cls(**{"backbone": toy.backbone(kind), **defaults, **params})


def same_answers(found: Any, expected: Any, atol: float = 1e-6) -> None:
    for name in METHODS:
        one, other = getattr(found, name)(X_NEW), getattr(expected, name)(X_NEW)
        if other.dtype.kind == "f":
            np.testing.assert_allclose(one, other, atol=atol)
        else:
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", baselines.__all__)
def test_public_name_stands_in_the_reference(name: str) -> None:
    reference = Path(__file__).parents[2] / "docs" / "api.md"
    assert f"autoclass:: {name}" in reference.read_text(encoding="utf-8")


DIRECT = [
    checks.check_estimator_cloneable,
    checks.check_estimator_repr,
    checks.check_estimator_tags_renamed,
    checks.check_valid_tag_types,
    checks.check_mixin_order,
    checks.check_no_attributes_set_in_init,
    checks.check_do_not_raise_errors_in_init_or_set_params,
    checks.check_parameters_default_constructible,
    checks.check_get_params_invariance,
    checks.check_set_params,
    checks.check_estimators_unfitted,
    checks.check_non_transformer_estimators_n_iter,
]


@pytest.mark.parametrize("check", DIRECT, ids=lambda check: check.__name__)
@pytest.mark.parametrize("cls", OURS)
def test_check_without_data_passes(cls: Any, check: Callable[..., None]) -> None:
    check(cls.__name__, toy_classifier(cls))


@pytest.mark.parametrize("cls", OURS)
@pytest.mark.parametrize("kind", KINDS)
def test_answers_have_their_shapes_and_agree(cls: Any, kind: Any) -> None:
    clf = toy_classifier(cls, kind)
    assert clf.fit(X, Y) is clf
    proba, exits = clf.predict_proba(X_NEW, return_exit_layers=True)
    assert proba.shape == (20, 2)
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)
    labels, again = clf.predict(X_NEW, return_exit_layers=True)
    np.testing.assert_array_equal(labels, clf.classes_[proba.argmax(axis=1)])
    np.testing.assert_array_equal(again, exits)
    np.testing.assert_array_equal(clf.exit_layers(X_NEW), exits)
    np.testing.assert_allclose(clf.predict_log_proba(X_NEW), np.log(proba))
    assert clf.classes_.tolist() == ["negative", "positive"]
    assert clf.cost_.shape == (clf.n_layers_ + 1,)
    assert clf.cost_[[0, -1]].tolist() == [0, 1]
    assert exits.min() >= 1
    assert exits.max() <= clf.n_layers_


@pytest.mark.parametrize("cls", OURS)
def test_answers_do_not_depend_on_order_copies_and_parts(
    cls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clf = toy_classifier(cls).fit(X, Y)
    proba, exits = clf.predict_proba(X_NEW, True)
    order = np.random.default_rng(0).permutation(60) % 20
    monkeypatch.setattr("skraee.sweep.chunks.CHUNK_SIZE", 7)
    shuffled, found = clf.predict_proba([X_NEW[i] for i in order], True)
    np.testing.assert_allclose(shuffled, proba[order], atol=1e-5)
    np.testing.assert_array_equal(found, exits[order])
    alone = np.concatenate([clf.predict_proba([text]) for text in X_NEW])
    np.testing.assert_allclose(alone, proba, atol=1e-5)
    same_answers(toy_classifier(cls).fit(X, Y), clf, atol=1e-5)


@pytest.mark.parametrize("cls", OURS)
@pytest.mark.parametrize("kind", KINDS)
def test_pickled_baseline_answers_the_same(cls: Any, kind: Any, tmp_path: Path) -> None:
    clf = toy_classifier(cls, kind).fit(X, Y)
    joblib.dump(clf, tmp_path / "clf")
    same_answers(joblib.load(tmp_path / "clf"), clf)
    mapped = joblib.load(tmp_path / "clf", mmap_mode="r")
    same_answers(mapped, clf)
    assert (tmp_path / "clf").stat().st_size < 200_000  # no backbone in it


@pytest.mark.parametrize("cls", OURS)
def test_clone_has_the_parameters_and_nothing_else(cls: Any) -> None:
    clf = toy_classifier(cls, max_length=20, random_state=3).fit(X, Y)
    twin = clone(clf)
    assert twin.get_params() == clf.get_params()
    with pytest.raises(NotFittedError):
        twin.predict(X_NEW)
    same_answers(twin.fit(X, Y), clf)


@pytest.mark.parametrize("cls", OURS)
def test_fit_leaves_parameters_and_predict_leaves_all_as_it_was(cls: Any) -> None:
    clf = toy_classifier(cls)
    parameters = dict(vars(clf))
    clf.fit(X, Y)
    added = set(vars(clf)) - set(parameters)
    assert all(name.startswith("_") or name.endswith("_") for name in added)
    assert all(vars(clf)[name] is value for name, value in parameters.items())
    before = dict(vars(clf))
    for method in METHODS:
        getattr(clf, method)(X_NEW)
    assert vars(clf).keys() == before.keys()
    assert all(vars(clf)[name] is value for name, value in before.items())


@pytest.mark.parametrize("cls", OURS)
def test_cross_validation_and_searches_run(cls: Any) -> None:
    scores = cross_val_score(toy_classifier(cls), X, Y, cv=3)
    assert scores.min() > 0.6
    search = GridSearchCV(toy_classifier(cls), {"max_length": [20, 32]}, cv=2)
    assert search.fit(X, Y).best_estimator_.predict(X_NEW).shape == (20,)


@pytest.mark.parametrize("cls", OURS)
def test_tags_say_one_dimension_of_strings(cls: Any) -> None:
    tags = get_tags(toy_classifier(cls))
    assert tags.estimator_type == "classifier"
    assert tags.input_tags.string
    assert tags.input_tags.one_d_array
    assert not tags.input_tags.two_d_array


@pytest.mark.parametrize("cls", OURS)
def test_no_text_is_no_answer(cls: Any) -> None:
    clf = toy_classifier(cls).fit(X, Y)
    assert clf.predict([]).shape == clf.exit_layers([]).shape == (0,)
    assert clf.predict_proba([]).shape == (0, 2)


@pytest.mark.parametrize("cls", OURS)
@pytest.mark.parametrize("label", ["positive", 3])
def test_one_class_is_always_the_answer(cls: Any, label: Any) -> None:
    words = {} if cls is DeeBERTClassifier else {"label_words": ["great"]}
    clf = toy_classifier(cls, **words)
    with pytest.warns(InputWarning, match=f"one class only, {label!r}") as caught:
        clf.fit(X, [label] * len(X))
    assert [one.filename for one in caught] == [__file__]
    assert clf.predict(X_NEW).tolist() == [label] * 20
    assert clf.predict_proba(X_NEW).tolist() == [[1.0]] * 20


@pytest.mark.parametrize("cls", OURS)
def test_several_columns_fill_several_fields(cls: Any) -> None:
    table = pd.DataFrame({"text": X, "thing": ["film"] * len(X)})
    template = "the {thing} : {text}"
    if cls is not DeeBERTClassifier:
        template += " it was {mask}."
    clf = toy_classifier(cls, template=template).fit(table, Y)
    plain = template.replace("{thing}", "film")
    same = toy_classifier(cls, template=plain).fit(X, Y)
    np.testing.assert_array_equal(clf.predict(table), same.predict(X))


def test_long_texts_are_cut_with_a_warning() -> None:
    clf = toy_classifier(DeeBERTClassifier, max_length=6)
    long = ["a film " * 9, *X[1:]]
    with pytest.warns(TruncationWarning, match="6 tokens"):
        clf.fit(long, Y)
    with pytest.warns(TruncationWarning, match="6 tokens"):
        clf.fit(long, Y)  # known from the memory now
    with pytest.warns(TruncationWarning, match="6 tokens"):
        clf.predict(long)


@pytest.mark.parametrize("cls", OURS)
def test_progress_is_shown_where_asked_for(
    cls: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    clf = toy_classifier(cls, verbose=1).fit(X, Y)
    clf.predict(X_NEW + X_NEW)
    shown = capsys.readouterr().err
    assert "predict: 100%" in shown
    assert "40/40" in shown


COMMON = [
    ({"max_length": 0}, ValueError, "max_length must be at least 1, got 0"),
    ({"max_length": 2.5}, TypeError, "max_length must be a whole number, got 2.5"),
    ({"batch_tokens": 0}, ValueError, "batch_tokens must be 'auto' or .*, got 0"),
    ({"backbone": 3}, TypeError, "backbone must be a hub name, .* got int"),
    ({"template": "no field"}, ValueError, "must have a place for the text"),
]
MEMORY = [({"memory": 3}, TypeError, "memory must be 'process', None, .* got int")]
WORDED = [
    ({"label_words": {"negative": "bad"}}, ValueError, "no word for 'positive'"),
    ({"template": "{text}"}, ValueError, "must have a mask"),
]
REFUSED: dict[Any, list[tuple[dict[str, Any], Any, str]]] = {
    FullDepthClassifier: [*COMMON, *WORDED],
    DeeBERTClassifier: [
        *COMMON,
        *MEMORY,
        ({"threshold": -0.1}, ValueError, "threshold must be at least 0, got -0.1"),
        ({"threshold": "0.3"}, TypeError, "threshold must be a number, got '0.3'"),
        ({"n_epochs": -1}, ValueError, "n_epochs must be at least 0, got -1"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ({"learning_rate": 0}, ValueError, "learning_rate must be above 0, got 0"),
        ({"max_grad_norm": 0}, ValueError, "max_grad_norm must be above 0, got 0"),
        ({"weight_decay": -1}, ValueError, "weight_decay must be at least 0, got -1"),
        ({"dropout": 1.0}, ValueError, "dropout must be .* below 1, got 1.0"),
        ({"dropout": True}, TypeError, "dropout must be a number, got True"),
    ],
    AdaInferClassifier: [
        *COMMON,
        *MEMORY,
        *WORDED,
        ({"features": "all"}, ValueError, "features must be one of 'vocab', 'labels'"),
        ({"target": 1}, ValueError, "target must be one of 'final', 'gold', got 1"),
        ({"min_exit": -1}, ValueError, "min_exit must be at least 0, got -1"),
        ({"min_exit": 5}, ValueError, "min_exit must be at most 4, .*, got 5"),
        ({"max_pairs": 0}, ValueError, "max_pairs must be at least 1, got 0"),
    ],
    CALMClassifier: [
        *COMMON,
        *MEMORY,
        *WORDED,
        ({"measure": "gap"}, ValueError, "measure must be one of 'softmax', 'vocab'"),
        ({"threshold": "auto"}, ValueError, "or 'calibrated', got 'auto'"),
        ({"threshold": None}, TypeError, "threshold must be a number, got None"),
        ({"threshold": np.nan}, ValueError, "threshold must be a number.*, got nan"),
        ({"risk": "loss"}, ValueError, "risk must be one of 'consistency'"),
        ({"delta": 0}, ValueError, "delta must lie between 0 and 1 .*, got 0"),
        ({"epsilon": 1}, ValueError, "epsilon must lie between 0 and 1 .*, got 1"),
        ({"min_exit": 5}, ValueError, "min_exit must be at most 4, .*, got 5"),
    ],
}


@pytest.mark.parametrize(
    ("cls", "change", "error", "message"),
    [(cls, *row) for cls, rows in REFUSED.items() for row in rows],
)
def test_refused_parameters_leave_the_estimator_as_it_was(
    cls: Any, change: dict[str, Any], error: Any, message: str
) -> None:
    clf = toy_classifier(cls).fit(X[:10], Y[:10])
    clf.set_params(**change)
    before = dict(vars(clf))
    with pytest.raises(error, match=message):
        clf.fit(X, Y)
    assert vars(clf).keys() == before.keys()
    assert all(vars(clf)[name] is value for name, value in before.items())
    with pytest.raises(error, match=message):
        toy_classifier(cls, **change).fit(X, Y)


@pytest.mark.parametrize("cls", OURS)
def test_texts_and_labels_that_do_not_fit_are_refused(cls: Any) -> None:
    with pytest.raises(ValueError, match="same length"):
        toy_classifier(cls).fit(X, Y[:-1])
    with pytest.raises(ValueError, match="must hold only strings"):
        toy_classifier(cls).fit([*X[:-1], 3], Y)
    clf = toy_classifier(cls).fit(X, Y)
    with pytest.raises(ValueError, match="one string"):
        clf.predict("a film")


@pytest.mark.parametrize(
    ("cls", "change"),
    [
        (AdaInferClassifier, {"features": "labels"}),
        (AdaInferClassifier, {"min_exit": 2}),
        (CALMClassifier, {"threshold": "calibrated"}),
    ],
)
def test_parameters_that_predict_cannot_follow_are_refused(
    cls: Any, change: dict[str, Any]
) -> None:
    clf = toy_classifier(cls).fit(X, Y).set_params(**change)
    (name,) = change
    with pytest.raises(ValueError, match=f"{name} was .* at fit and is .* now"):
        clf.predict(X_NEW)


def test_a_calibrated_threshold_goes_with_the_next_fit() -> None:
    loose = {"threshold": "calibrated", "delta": 0.9, "epsilon": 0.9}
    clf = toy_classifier(CALMClassifier, **loose).fit(X, Y)
    assert hasattr(clf, "threshold_")
    clf.set_params(measure="state")
    with pytest.raises(ValueError, match="measure was 'softmax' at fit"):
        clf.predict(X_NEW)
    clf.set_params(threshold=0.5).fit(X, Y)
    assert not hasattr(clf, "threshold_")
    assert set(clf.set_params(threshold=2.0).exit_layers(X_NEW)) == {4}
