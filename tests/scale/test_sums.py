"""What workers sum and a driver solves, without an engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skraee import EarlyExitClassifier, toy
from skraee.readout.ridge_regression import solve
from skraee.scale.ray_fit import _with_words
from skraee.scale.sums import SumTask, concluded, left_out_of, solved_of, sums_of
from tests.support.classifiers import early_exit, raee

X, Y = toy.reviews(200)
NEW, NEW_Y = toy.reviews(100, seed=1)
CLASSES, CODES = np.unique(Y, return_inverse=True)


def fitted(clf: EarlyExitClassifier, n_parts: int, **settings: Any) -> Any:
    """Fit as so many workers would, that send what they have in another order."""
    task = SumTask.of(clf, CLASSES, CODES, 5, **settings)
    parts = [[X[i] for i in rows] for rows in np.array_split(np.arange(200), n_parts)]
    labels = np.array_split(Y, n_parts)
    made = [sums_of(task, [p], own) for p, own in zip(parts, labels, strict=True)]
    solved = solved_of(reversed(made))
    chosen = task.sampled([X], Y)
    sample = [text for text, is_in in zip(X, chosen, strict=True) if is_in]
    found = left_out_of(task, solved, [sample], Y[chosen])
    return concluded(clf, task, solved, found, CODES), solved, found


@pytest.fixture(scope="module")
def known() -> EarlyExitClassifier:
    return early_exit(budget=0.5).fit(X, Y)


def test_regressions_are_those_of_all_texts() -> None:
    clf = early_exit(class_weight={"positive": 3})
    _, solved, _ = fitted(clf, 3)
    states = clf.sweep(X).states
    assert states is not None
    targets = np.where(CODES[:, None] == np.arange(2), 1.0, -1.0)
    weights = np.array([1.0, 3.0])[CODES]
    for at in np.ndindex(*states.shape[1:3]):
        features = states[:, at[0], at[1]]
        one = solve(features, targets, weights, solved.penalty[at][None])
        wanted = features @ one.coef + one.intercept
        found = features @ solved.coef[at] + solved.intercept[at]
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_fit_does_not_hang_on_how_many_workers_there_are() -> None:
    one = fitted(early_exit(budget=0.5), 1)[0]
    many = fitted(early_exit(budget=0.5), 7)[0]
    proba = one.predict_proba(NEW)
    np.testing.assert_allclose(many.predict_proba(NEW), proba, atol=1e-6)
    assert many.exit_layers(NEW).tolist() == one.exit_layers(NEW).tolist()
    np.testing.assert_allclose(many.threshold_, one.threshold_, atol=1e-6)


def test_fit_reads_as_well_as_on_one_machine(known: EarlyExitClassifier) -> None:
    clf = fitted(early_exit(budget=0.5), 3)[0]
    assert clf.n_samples_fit_ == 200
    assert clf.classes_.tolist() == known.classes_.tolist()
    np.testing.assert_allclose(clf.layer_scores_, known.layer_scores_, atol=0.05)
    assert abs(clf.score(NEW, NEW_Y) - known.score(NEW, NEW_Y)) <= 0.03
    # The bags are solved by leave-one-out, as there.
    bag, known_bag = clf._fitted.ridge.bag, known._fitted.ridge.bag
    np.testing.assert_allclose(bag.coef, known_bag.coef, atol=1e-6)


def test_sample_has_its_share_of_each_class_and_all_texts_count() -> None:
    clf, solved, found = fitted(early_exit(budget=0.5), 3, n_sampled=60)
    assert 40 <= len(found.codes) <= 90
    assert np.bincount(found.codes).min() >= 15
    assert clf.n_samples_fit_ == 200
    whole = fitted(early_exit(budget=0.5), 3)[1]
    np.testing.assert_allclose(solved.coef, whole.coef, atol=1e-9)


def test_copies_of_a_text_are_in_one_fold() -> None:
    task = SumTask.of(early_exit(), CLASSES, CODES, 5)
    folds, shares = task.draws([[*X[:20], *X[:20]]])
    assert folds[:20].tolist() == folds[20:].tolist()
    assert len({*folds.tolist()}) > 1
    assert shares.min() >= 0
    assert shares.max() < 1


def test_fitted_classifier_is_saved_and_read(tmp_path: Path) -> None:
    clf = fitted(early_exit(budget=0.5), 2, n_sampled=60)[0]
    clf.save(tmp_path / "model.skraee")
    again = EarlyExitClassifier.load(tmp_path / "model.skraee")
    assert again.predict_proba(NEW).tolist() == clf.predict_proba(NEW).tolist()
    with pytest.raises(ValueError, match="nor after fit_dataset; call fit"):
        clf.partial_fit(NEW, NEW_Y)


@pytest.mark.parametrize(
    "words", [None, ["bad", "good"], {"bad": "bad", "good": "good"}]
)
def test_words_of_the_classes_are_named_for_workers_without_labels(words: Any) -> None:
    clf = raee(label_words=words)
    named = {"bad": "bad", "good": "good"}
    assert _with_words(clf, np.array(["bad", "good"])).label_words == named
