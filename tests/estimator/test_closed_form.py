"""Both classifiers read states by a readout that is solved in closed form."""

from __future__ import annotations

from collections import Counter
from copy import copy
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import cross_val_score

from skraee import Backbone, EarlyExitClassifier, RAEEClassifier, toy
from skraee.exceptions import UndecidedWarning
from skraee.exits.policies import first_confident
from tests.support.answers import assert_same_answers
from tests.support.classifiers import BOTH, WAYS, closed_form
from tests.support.models import toy_objects
from tests.support.reviews import noisy_reviews

# Texts with a wrong label are often read wrongly at all depths.
pytestmark = pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning")

KINDS = list(toy.TEMPLATES)
X, Y = noisy_reviews(90)
X_NEW, Y_NEW = noisy_reviews(50, seed=1)
CLASSES = ["negative", "positive"]


# Predictions


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("budget", [None, 0.4])
def test_predict_proba_is_the_exits_row_of_layer_proba(
    kind: str, way: Any, budget: float | None
) -> None:
    clf = closed_form(kind=kind, budget=budget, **way).fit(X, Y)
    proba, exits = clf.predict_proba(X_NEW, return_exit_layers=True)
    depths = clf.layer_proba(X_NEW)
    np.testing.assert_allclose(depths.sum(axis=2), 1, atol=1e-5)
    np.testing.assert_allclose(proba, depths[np.arange(50), exits], atol=1e-5)
    np.testing.assert_array_equal(clf.exit_layers(X_NEW), exits)
    np.testing.assert_array_equal(
        clf.classes_[proba.argmax(axis=1)], clf.predict(X_NEW)
    )
    if isinstance(clf, EarlyExitClassifier):
        threshold = clf.threshold if budget is None else clf.threshold_
        expected = first_confident(depths.max(axis=2), threshold, 0)
        np.testing.assert_array_equal(exits, expected)


@pytest.mark.parametrize("encoder", [2, "callable", CountVectorizer(max_features=9)])
def test_every_encoder_works_with_ridge(encoder: Any) -> None:
    if encoder == "callable":
        encoder = lengths
    elif isinstance(encoder, CountVectorizer):
        encoder = DenseCounts(max_features=9)
    clf = closed_form(encoder=encoder).fit(X, Y)
    proba, exits = clf.predict_proba(X_NEW, return_exit_layers=True)
    rows = clf.layer_proba(X_NEW)[np.arange(50), exits]
    np.testing.assert_allclose(proba, rows, atol=1e-5)
    assert len(set(exits.tolist())) > 1


def lengths(texts: list[str]) -> np.ndarray:
    return np.array([[len(text), text.count(" ")] for text in texts], dtype=float)


class DenseCounts(CountVectorizer):
    def transform(self, raw_documents: Any) -> Any:
        return super().transform(raw_documents).toarray()

    def fit_transform(self, raw_documents: Any, y: Any = None) -> Any:
        return super().fit_transform(raw_documents, y).toarray()


@pytest.mark.parametrize("kind", KINDS)
def test_ridge_reads_the_toy_texts_at_every_depth(kind: Any) -> None:
    texts, labels = toy.reviews(90)
    new, right = toy.reviews(60, seed=1)
    clf = closed_form(kind=kind, label_words=None).fit(texts, labels)
    assert clf.score(new, right) > 0.9
    assert clf.layer_scores_.min() > 0.9
    assert clf.layer_scores_.shape == clf.cost_.shape == (clf.n_layers_ + 1,)


def test_scores_of_the_depths_are_of_texts_left_out() -> None:
    labels = np.random.default_rng(0).permutation(Y)  # nothing to learn
    clf = closed_form(kind="seq2seq").fit(X, labels)
    codes = (labels == "positive").astype(int)[:, None]
    by_fit = (clf.layer_proba(X).argmax(axis=2) == codes).mean(axis=0)
    assert clf.layer_scores_.max() < 0.7
    assert by_fit.max() > clf.layer_scores_.max() + 0.05
    told = clf.set_params(k=90, tau=0.0).explain(X_NEW[0])
    votes = [depth for neighbor in told.neighbors for depth in neighbor.votes]
    np.testing.assert_allclose(np.bincount(votes) / 90, clf.layer_scores_)


@pytest.mark.parametrize("labels", [np.arange(90) % 3, np.arange(90) % 3 == 1])
@pytest.mark.parametrize("cls", BOTH)
def test_ridge_needs_no_label_words(labels: np.ndarray, cls: Any) -> None:
    clf = closed_form(cls, label_words=None).fit(X, labels)
    assert clf.predict(X_NEW).dtype == labels.dtype
    assert clf.predict_proba(X_NEW).shape == (50, len(np.unique(labels)))


def test_label_words_need_not_fit_a_mask_or_head_they_are_read_without() -> None:
    clf = closed_form(template="{text} it was", label_words=None).fit(X, Y)
    assert clf.sweep(X).states.shape == (90, 5, 2, 32)  # text, words around it
    assert set(clf.predict(X_NEW)) == set(CLASSES)


@pytest.mark.parametrize("cls", BOTH)
def test_predict_is_the_same_shuffled_one_by_one_and_in_parts(
    cls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clf = closed_form(cls, "causal").fit(X, Y)
    together, exits = clf.predict_proba(X_NEW, return_exit_layers=True)
    order = np.random.default_rng(0).permutation(50)
    shuffled = clf.predict_proba([X_NEW[i] for i in order])
    np.testing.assert_allclose(shuffled, together[order], atol=1e-5)
    alone = [clf.predict_proba([text], True) for text in X_NEW[:12]]
    np.testing.assert_allclose([p[0] for p, _ in alone], together[:12], atol=1e-5)
    assert [int(e[0]) for _, e in alone] == exits[:12].tolist()
    labels = clf.predict(X_NEW)
    chunks = np.concatenate([*clf.predict_iter(iter(X_NEW), chunk_size=7)])
    np.testing.assert_array_equal(chunks, labels)
    monkeypatch.setattr("skraee.sweep.chunks.CHUNK_SIZE", 7)
    np.testing.assert_allclose(clf.predict_proba(X_NEW), together, atol=1e-5)
    again = closed_form(cls, "causal").fit(X, Y)
    assert_same_answers(again, clf, X_NEW, atol=1e-5)


@pytest.mark.parametrize("cls", BOTH)
def test_no_text_is_no_answer(cls: Any) -> None:
    clf = closed_form(cls).fit(X, Y)
    assert clf.predict([]).shape == (0,)
    assert clf.predict_proba([]).shape == (0, 2)
    assert clf.exit_layers([]).shape == (0,)
    assert clf.layer_proba([]).shape == (0, 5, 2)


@pytest.mark.parametrize("cls", BOTH)
def test_predict_before_fit_is_the_error_of_scikit_learn(cls: Any) -> None:
    with pytest.raises(NotFittedError):
        closed_form(cls).predict(X_NEW)


def test_undecided_texts_are_told_of_with_ridge() -> None:
    clf = closed_form(tau=1.0, below_tau="skip").fit(X, Y)
    with pytest.warns(UndecidedWarning, match="50 text"):
        assert set(clf.predict(X_NEW, return_exit_layers=True)[1]) == {4}


@pytest.mark.parametrize("cls", BOTH)
def test_timings_say_where_the_time_went(cls: Any) -> None:
    timings = closed_form(cls).fit(X, Y).timings(X_NEW)
    assert timings.n_texts == 50
    spent = str(timings)
    assert "layers" in spent
    assert "head" in spent


def test_eight_texts_of_each_class_do(rows: Counter[str]) -> None:
    texts, labels = toy.reviews(16)
    new, right = toy.reviews(40, seed=3)
    for cls in BOTH:
        clf = closed_form(cls).fit(texts, labels)
        assert clf.score(new, right) > 0.75


@pytest.mark.filterwarnings("ignore:y holds one class only")
def test_one_text_is_a_clear_error() -> None:
    with pytest.raises(ValueError, match="got n_samples=1; give more texts"):
        closed_form().fit(X[:1], Y[:1])


@pytest.mark.filterwarnings("ignore:y holds one class only")
def test_one_class_alone_is_answered() -> None:
    for cls in BOTH:
        clf = closed_form(cls, label_words=None).fit(X[:9], ["same"] * 9)
        assert set(clf.predict(X_NEW)) == {"same"}
        assert set(clf.exit_layers(X_NEW)) == {0}


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        (
            {"cls": EarlyExitClassifier, "threshold": 1.5},
            ValueError,
            "threshold must lie between 0 and 1, got 1.5",
        ),
        ({"readout": "rigde"}, ValueError, "readout must be one of 'lm_head', 'ridge'"),
        ({"budget": 0}, ValueError, "budget must be above 0, got 0; None sets no"),
        ({"budget": 1.5}, ValueError, "budget must lie between 0 and 1, got 1.5"),
        ({"budget": "half"}, TypeError, "budget must be a number, got 'half'"),
    ],
)
def test_a_wrong_parameter_is_one_clear_error_before_the_sweep(
    params: Any, error: type[Exception], message: str, rows: Counter[str]
) -> None:
    with pytest.raises(error, match=message):
        closed_form(**params).fit(X, Y)
    assert not rows


def test_methods_about_neighbours_work_with_ridge_and_a_budget() -> None:
    for budget in (None, 0.5):
        clf = closed_form(budget=budget).fit(X, Y)
        distances, near = clf.kneighbors(X_NEW, 3)
        assert distances.shape == near.shape == (50, 3)
        spread = clf.exit_distribution(X_NEW)
        np.testing.assert_allclose(spread.sum(axis=1), 1, atol=1e-6)
        report = str(clf.explain(X_NEW[0], texts=X))
        assert X[near[0, 0]] in report
        assert X_NEW[0] in report


@pytest.mark.parametrize(
    ("cls", "change"),
    [
        (RAEEClassifier, {"readout": "lm_head"}),
        (RAEEClassifier, {"budget": 0.3}),
        (EarlyExitClassifier, {"budget": 0.3}),
    ],
)
@pytest.mark.filterwarnings("ignore:threshold=0.7 is not used:UserWarning")
def test_what_fit_has_settled_cannot_be_set_afterwards(
    change: dict[str, Any], cls: Any
) -> None:
    params = {"tau": 0.9} if cls is RAEEClassifier else {}
    clf = closed_form(cls, **params).fit(X, Y)
    (name,) = change
    message = f"{name} was .* at fit and is {change[name]!r} now.*call fit again"
    for method in ("predict", "exit_layers", "layer_proba", "timings"):
        with pytest.raises(ValueError, match=message):
            getattr(copy(clf).set_params(**change), method)(X_NEW)
    assert clf.set_params(**change).fit(X, Y).predict(X_NEW).shape == (50,)


def clone_fitted(clf: Any) -> Any:
    twin = clone(clf)
    twin.__dict__.update(vars(clf))
    return twin


@pytest.mark.parametrize("cls", BOTH)
def test_cross_val_score_works_and_clones_are_equal(cls: Any) -> None:
    clf = closed_form(cls, memory="process")
    scores = cross_val_score(clf, X, Y, cv=3)
    assert scores.mean() > 0.55
    assert_same_answers(clone(clf).fit(X, Y), clf.fit(X, Y), X_NEW)


def test_texts_that_overflow_float16_are_answered_from_float32() -> None:
    model, tokenizer = toy_objects("causal")
    with torch.no_grad():
        mlp = model.model.layers[-1].mlp
        for part in (mlp.gate_proj, mlp.up_proj, mlp.down_proj):
            part.weight.mul_(300)
        mlp.down_proj.weight.mul_(30)
    backbone = Backbone(model, tokenizer)
    half = closed_form(kind="causal", backbone=backbone, dtype="float16").fit(X, Y)
    full = closed_form(kind="causal", backbone=backbone, dtype="float32").fit(X, Y)
    found, expected = half.layer_proba(X_NEW), full.layer_proba(X_NEW)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, expected, atol=0.05)
    last = closed_form(
        kind="causal",
        backbone=backbone,
        dtype="float16",
        cls=EarlyExitClassifier,
        threshold=1.0,
    ).fit(X, Y)
    assert last.timings(X_NEW).n_repeated > 0
    proba, exits = last.predict_proba(X_NEW, return_exit_layers=True)
    assert set(exits) == {4}
    np.testing.assert_allclose(proba, last.layer_proba(X_NEW)[:, 4], atol=0.02)
