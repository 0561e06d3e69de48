"""AdaInfer against its rule, written for one text at a time."""

from __future__ import annotations

from collections import Counter
from functools import partial

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.base import clone
from sklearn.svm import SVC

from skraee import clear_sweeps, toy
from skraee.baselines import AdaInferClassifier, CALMClassifier
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
)
from tests.support.prompts import LABEL_IDS


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


def test_adainfer_learns_from_the_labels_by_default() -> None:
    model = plain("bert")
    labels = np.roll(LABELS, 1)
    default, gold, final = (
        model.estimator(AdaInferClassifier, **target).fit(TEXTS, labels).svc_
        for target in ({}, {"target": "gold"}, {"target": "final"})
    )
    np.testing.assert_array_equal(default.dual_coef_, gold.dual_coef_)
    assert default.dual_coef_.shape != final.dual_coef_.shape


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
    again = clone(first).set_params(target="final").fit(X, y)
    loose = {"delta": 0.9, "epsilon": 0.9, "threshold": "calibrated"}
    CALMClassifier(*given, **params, measure="vocab", **loose).fit(X, y)
    assert rows == {"scores_at_every_depth": n_texts}
    again.predict(X)
    assert rows["run"] == n_texts  # predict never looks anything up
