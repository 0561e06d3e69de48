"""partial_fit equals fit on all texts, and sweeps only what is new."""

from __future__ import annotations

from functools import partial
from typing import Any

import joblib
import numpy as np
import pytest

from skraee import clear_sweeps, toy
from skraee.engine.engine import Engine
from tests.support.classifiers import raee
from tests.support.reviews import noisy_reviews

X, Y = toy.reviews(70)
X_NEW, _ = toy.reviews(40, seed=1)
CLASSES = ["negative", "positive"]

classifier = partial(raee, index="exact")


@pytest.mark.parametrize("kind", toy.TEMPLATES)
@pytest.mark.parametrize("database", ["all", "correct"])
@pytest.mark.parametrize("encoder", [None, 2])
@pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning")
def test_partial_fit_equals_fit_on_all_texts(
    kind: str, database: Any, encoder: Any
) -> None:
    whole = classifier(kind, database=database, encoder=encoder).fit(X, Y)
    parts = classifier(kind, database=database, encoder=encoder)
    parts.partial_fit(X[:30], Y[:30], classes=CLASSES)
    parts.partial_fit(X[30:31], Y[30:31]).partial_fit(X[31:], Y[31:])
    np.testing.assert_array_equal(parts.exit_layers(X_NEW), whole.exit_layers(X_NEW))
    np.testing.assert_allclose(
        parts.predict_proba(X_NEW), whole.predict_proba(X_NEW), atol=1e-5
    )
    np.testing.assert_allclose(parts.layer_scores_, whole.layer_scores_)
    assert parts.n_samples_fit_ == 70
    for found, expected in zip(
        parts.kneighbors(X_NEW, 9), whole.kneighbors(X_NEW, 9), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning")
def test_scores_of_the_depths_count_texts_that_the_database_has_forgotten() -> None:
    texts, labels = noisy_reviews(70)
    whole = classifier(database="correct").fit(texts, labels)
    parts = classifier(database="correct").fit(texts[:30], labels[:30])
    assert parts.kneighbors(X_NEW, 99)[1].shape[1] < 30  # some are not stored
    parts.partial_fit(texts[30:], labels[30:])
    np.testing.assert_allclose(parts.layer_scores_, whole.layer_scores_)
    # Neighbours are named by their places among all texts, forgotten ones included.
    np.testing.assert_array_equal(
        parts.kneighbors(X_NEW, 9)[1], whole.kneighbors(X_NEW, 9)[1]
    )


def test_partial_fit_sweeps_only_the_new_texts(monkeypatch: Any) -> None:
    swept = []
    sweep = Engine.sweep

    def counting(self: Any, prompts: Any, *args: Any, **kwargs: Any) -> Any:
        swept.append(len(prompts))
        return sweep(self, prompts, *args, **kwargs)

    monkeypatch.setattr(Engine, "sweep", counting)
    clf = classifier().partial_fit(X[:20], Y[:20], classes=CLASSES)
    clf.partial_fit(X[20:29], Y[20:29])
    assert swept == [len(set(X[:20])), len(set(X[20:29]))]


def test_partial_fit_continues_a_fit_and_a_pickle(tmp_path: Any) -> None:
    clf = classifier(index="hnsw", memory="process").fit(X[:40], Y[:40])
    joblib.dump(clf, tmp_path / "clf")
    clear_sweeps()
    again = joblib.load(tmp_path / "clf").partial_fit(X[40:], Y[40:])
    whole = classifier().fit(X, Y)
    np.testing.assert_array_equal(again.exit_layers(X_NEW), whole.exit_layers(X_NEW))


def test_partial_fit_may_begin_without_some_class() -> None:
    clf = classifier()
    first = Y == "positive"
    texts = np.array(X, dtype=object)
    clf.partial_fit(texts[first], Y[first], classes=CLASSES)
    assert clf.predict_proba(X_NEW).shape == (40, 2)
    clf.partial_fit(texts[~first], Y[~first])
    assert set(clf.predict(X_NEW)) == set(CLASSES)


def test_partial_fit_first_call_needs_the_classes() -> None:
    with pytest.raises(ValueError, match="first call of partial_fit must name all"):
        classifier().partial_fit(X, Y)


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        (["mixed"] * 70, None, r"was not told of: \['mixed'\]"),
        (Y, ["negative", "other", "positive"], "since the first call"),
    ],
)
def test_partial_fit_refuses_unknown_classes_and_stays_as_it_was(
    labels: Any, classes: Any, message: str
) -> None:
    clf = classifier().fit(X[:30], Y[:30])
    before = joblib.hash(clf)
    with pytest.raises(ValueError, match=message):
        clf.partial_fit(X, labels, classes=classes)
    assert joblib.hash(clf) == before


def test_a_partial_fit_that_fails_leaves_the_estimator_as_it_was(
    monkeypatch: Any,
) -> None:
    clf = classifier(index="hnsw").fit(X[:30], Y[:30])
    expected = clf.predict_proba(X_NEW)
    before = joblib.hash(clf)

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("power cut")

    monkeypatch.setattr("skraee.estimator.fitted.FittedByNeighbors.joined", broken)
    with pytest.raises(RuntimeError, match="power cut"):
        clf.partial_fit(X[30:], Y[30:])
    assert joblib.hash(clf) == before
    np.testing.assert_array_equal(clf.predict_proba(X_NEW), expected)
