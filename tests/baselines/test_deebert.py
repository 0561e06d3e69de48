"""DeeBERT's ramps against a loop over single ramps, each trained as a module."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy as plain_entropy
from sklearn.base import clone
from torch import nn

from skraee import EarlyExitClassifier, clear_sweeps, toy
from skraee.baselines import DeeBERTClassifier
from skraee.baselines.deebert.ramps import Ramps
from skraee.baselines.deebert.training import Training, first_weights
from tests.baselines.plain import (
    FAMILIES,
    LABELS,
    NEW,
    TEXTS,
    Plain,
    at,
    check_run,
    first_of,
    plain,
    telling_threshold,
)
from tests.support.checkpoints import headless


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


@pytest.mark.parametrize("name", ["bert", "llama", "opt-350m", "t5"])
def test_layer_proba_is_what_every_ramp_says(name: str) -> None:
    model = plain(name)
    clf = model.estimator(DeeBERTClassifier, learning_rate=5e-3, n_epochs=8)
    clf.fit(TEXTS, LABELS)
    proba = clf.layer_proba(NEW)
    expected = softmax(plain_ramps(clf, model, NEW), axis=2)
    np.testing.assert_allclose(proba, expected, atol=1e-5)
    found, exits = clf.predict_proba(NEW, return_exit_layers=True)
    np.testing.assert_allclose(at(proba, exits), found, atol=1e-5)
    assert clf.layer_proba([]).shape == (0, model.n_layers + 1, 3)


CPU = torch.device("cpu")


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
    again.layer_proba(X)
    assert rows == {"sweep": n_texts}
    again.predict(X)
    assert rows == {"sweep": n_texts, "run": n_texts}  # never looked up


def test_deebert_and_ridge_keep_their_states_apart() -> None:
    X, y = toy.reviews(20)
    clear_sweeps()
    ridge = EarlyExitClassifier(toy.backbone(), budget=0.5, max_length=128).fit(X, y)
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
