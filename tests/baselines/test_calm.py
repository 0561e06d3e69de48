"""CALM against its rule, written for one text at a time, and its promise."""

from __future__ import annotations

from collections import Counter
from functools import partial

import numpy as np
import pytest
from scipy.special import expit, softmax
from scipy.stats import entropy as plain_entropy
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from skraee import RAEEClassifier, toy
from skraee.baselines import CALMClassifier
from skraee.baselines.calm.confidence import candidates_for
from skraee.baselines.calm.exit_classifier import train_exit_classifier
from tests.baselines.plain import (
    CLASSES,
    FAMILIES,
    LABELS,
    NEW,
    TEXTS,
    at,
    check_run,
    first_of,
    plain,
    plain_features,
    plain_of,
    telling_threshold,
)
from tests.support.prompts import LABEL_IDS


def plain_measure(name: str, measure: str, which: str) -> np.ndarray:
    """CALM's measure at every depth (n, m + 1)."""
    states, logits = plain_of(name, which)
    words = logits[:, :, LABEL_IDS]
    if measure == "entropy":
        return plain_entropy(softmax(words.astype(np.float64), axis=2), axis=2)
    if measure in ("labels", "vocab"):
        return plain_features(words if measure == "labels" else logits)[:, :, 0]
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
@pytest.mark.parametrize("measure", ["labels", "vocab", "state", "entropy"])
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


def plain_normed(name: str, which: str) -> np.ndarray:
    """States (n, m + 1, H) behind the final norm, as wide as the others."""
    states = plain_of(name, which)[0]
    normed = np.stack([np.stack(plain(name).closed(one)) for one in states])
    missing = states.shape[2] - normed.shape[2]
    return np.pad(normed, ((0, 0), (0, 0), (0, missing)))


def plain_classifier(name: str, first: int) -> tuple[np.ndarray, float]:
    """Coefficients and intercept, by a loop over pairs of text and depth."""
    normed = plain_normed(name, "fit").astype(np.float64)
    answers = plain_of(name, "fit")[1][:, :, LABEL_IDS].argmax(axis=2)
    agrees = answers == answers[:, -1:]
    features, labels, weights = [], [], []
    for depth in range(first, agrees.shape[1] - 1):
        n_agree = int(agrees[:, depth].sum())
        for text in range(len(agrees)):
            others = len(agrees) - n_agree if agrees[text, depth] else n_agree
            if others:
                features.append(normed[text, depth])
                labels.append(agrees[text, depth])
                weights.append(others / len(agrees))
    X, weight = np.array(features), np.array(weights)
    center, scale = X.mean(axis=0), X.std(axis=0)
    scale[scale == 0] = 1
    found = LogisticRegression(max_iter=1000).fit(
        (X - center) / scale, labels, weight / weight.mean()
    )
    coef = found.coef_[0] / scale
    return coef, found.intercept_[0] - center @ coef


@pytest.mark.parametrize("name", FAMILIES)
def test_calm_stops_where_its_classifier_says_that_the_answer_is_final(
    name: str,
) -> None:
    model = plain(name)
    first = model.n_encoder + 1
    coef, intercept = plain_classifier(name, first)
    measured = expit(plain_normed(name, "new") @ coef + intercept)
    stops_for = partial(stops_at, "classifier", measured)
    threshold = telling_threshold(measured[:, first:], stops_for, first)
    expected = first_of(stops_for(threshold), first)
    assert len(np.unique(expected)) > 1
    clf = model.estimator(CALMClassifier, measure="classifier", threshold=threshold)
    clf.fit(TEXTS, LABELS)
    np.testing.assert_allclose(clf.exit_classifier_.coef, coef, atol=2e-3)
    words = plain_of(name, "new")[1][:, :, LABEL_IDS]
    check_run(clf, model, expected, softmax(at(words, expected), axis=1))


@pytest.mark.parametrize(("agrees", "sure"), [(True, 1.0), (False, 0.0)])
def test_classifier_of_one_label_is_sure_of_it(agrees: bool, sure: float) -> None:
    states = np.ones((3, 2, 4), dtype=np.float32)
    random = np.random.RandomState(0)
    found = train_exit_classifier(states, np.full((3, 2), agrees), random)
    assert found.confidence(states).tolist() == np.full((3, 2), sure).tolist()


def test_classifier_of_depths_with_one_label_each_weighs_all_alike() -> None:
    states = np.stack([np.zeros((6, 4)), np.ones((6, 4))], axis=1).astype(np.float32)
    agrees = np.tile([False, True], (6, 1))
    found = train_exit_classifier(states, agrees, np.random.RandomState(0))
    shallow, deep = found.confidence(states).mean(axis=0)
    assert shallow < 0.2
    assert deep > 0.8


def test_calibration_of_the_classifier_uses_texts_that_it_has_not_seen() -> None:
    model = plain("bert")
    loose = {"delta": 0.45, "epsilon": 0.3, "threshold": "calibrated"}
    make = partial(model.estimator, CALMClassifier, measure="classifier", **loose)
    clf = make(random_state=4).fit(TEXTS, LABELS)
    order = np.random.RandomState(4).permutation(len(TEXTS))
    half = [TEXTS[i] for i in order[:12]]
    alone = make(threshold=0.5).fit(half, LABELS[order[:12]]).exit_classifier_
    np.testing.assert_allclose(clf.exit_classifier_.coef, alone.coef, atol=2e-3)
    rest = order[12:]
    measured = alone.confidence(plain_normed("bert", "fit")[rest, 1:])
    answers = plain_of("bert", "fit")[1][rest, 1:][:, :, LABEL_IDS].argmax(axis=2)
    losses = (answers != answers[:, -1:]).astype(float)
    candidates = candidates_for("classifier", 3)
    expected = plain_calibration(
        measured, losses, candidates, "classifier", loose["delta"], loose["epsilon"]
    )
    assert expected is not None
    assert clf.threshold_ == pytest.approx(expected)


def test_a_trained_measure_goes_with_the_next_fit() -> None:
    clf = plain("bert").estimator(CALMClassifier, measure="classifier")
    clf.fit(TEXTS, LABELS).set_params(measure="state")
    with pytest.raises(ValueError, match="measure was 'classifier' at fit and is 'one"):
        clf.predict(NEW)
    assert not hasattr(clf.fit(TEXTS, LABELS), "exit_classifier_")


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


LABELS_AS_CODES = np.searchsorted(CLASSES, LABELS)


@pytest.mark.parametrize("name", ["bert", "llama", "t5"])
@pytest.mark.parametrize("measure", ["labels", "vocab", "state", "entropy"])
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


@pytest.mark.parametrize("measure", ["labels", "entropy"])
def test_calm_runs_all_layers_and_warns_where_no_threshold_is_shown_to_be_safe(
    measure: str,
) -> None:
    clf = plain("bert").estimator(
        CALMClassifier, measure=measure, threshold="calibrated"
    )
    with pytest.warns(UserWarning, match=r"with 24 texts, .* 600 texts are the fewest"):
        clf.fit(TEXTS, LABELS)
    assert set(clf.exit_layers(NEW).tolist()) == {3}


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
        *given,
        **words,
        measure="labels",
        threshold="calibrated",
        delta=delta,
        epsilon=epsilon,
    )
    labels = np.array(["negative", "positive"])[np.arange(len(texts)) % 2]
    clf.fit(texts, labels)  # all texts are known from here on
    rng = np.random.default_rng(0)
    missed = early = 0
    for _ in range(500):
        rows = rng.integers(0, len(texts), 40)
        clf.fit([texts[i] for i in rows], labels[rows])
        exits = first_of(lead >= np.float32(clf.threshold_), 0)
        missed += at(losses, exits).mean() > delta
        early += exits.mean() < 2.5
    assert missed <= epsilon * 500
    assert early > 250
