"""What explanations by neighbours hold, and when they tell that a text is far."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from skraee import toy
from skraee.retrieval.remoteness import Remoteness
from tests.support.classifiers import early_exit, raee, raee_cv

X, Y = toy.reviews(200)
X_NEW, _ = toy.reviews(20, seed=1)
FAR = "zebra quantum 12345 \u03b1\u03b2\u03b3 !!! ??? ;;"


def letters(texts: list[str]) -> np.ndarray:
    """Encode a text by its letters: two numbers, far apart for other alphabets."""
    return np.array(
        [[len(t), sum(map(ord, t)) / len(t)] for t in texts], dtype=np.float32
    )


def nearest_others(clf: Any) -> np.ndarray:
    distances, positions = clf.kneighbors(X, n_neighbors=len(X))
    other = positions != np.arange(len(X))[:, None]
    return np.where(other, distances, np.inf).min(axis=1)


@pytest.mark.parametrize("make", [raee, raee_cv])
def test_limit_is_that_of_99_percent_of_the_texts_of_fit(make: Any) -> None:
    clf = make(encoder=letters, index="exact").fit(X, Y)
    told = clf.explain(X_NEW[0])
    apart = nearest_others(clf)
    assert (apart <= told.remoteness.limit).mean() >= 0.99
    assert (apart < told.remoteness.limit).mean() < 0.99
    assert told.remoteness.distance == told.neighbors[0].distance


def test_text_that_is_far_from_all_is_told_of_and_others_are_not() -> None:
    clf = raee(encoder=letters).fit(X, Y)
    far, near = clf.explain(FAR), clf.explain(X[3])
    assert far.remoteness.is_remote
    assert str(far).splitlines()[2].startswith("  far from every text of fit: the ")
    assert far.warnings == far.story().warnings
    assert len(far.warnings) == 1
    assert near.remoteness.distance == 0
    assert near.warnings == ()
    assert "far from" not in str(near)


def test_copies_are_other_texts() -> None:
    clf = raee(encoder=letters).fit([*X[:4], *X[:4]], [*Y[:4], *Y[:4]])
    assert clf.explain(FAR).remoteness.limit == 0


def test_only_text_of_fit_has_nothing_to_compare_with(
    recwarn: pytest.WarningsRecorder,
) -> None:
    clf = raee(encoder=letters, k=1).fit(X[:1], Y[:1])
    assert clf.explain(FAR).remoteness is None
    assert clf.explain(FAR).warnings == ()


def test_neighbours_hold_their_probabilities_by_depth() -> None:
    clf = raee().fit(X, Y)
    told = clf.explain(X_NEW[0])
    stored = clf.layer_proba(X)
    for neighbor in told.neighbors:
        code = list(clf.classes_).index(neighbor.label)
        np.testing.assert_allclose(
            neighbor.proba, stored[neighbor.position, :, code], rtol=1e-5
        )
    np.testing.assert_allclose(
        told.exit_distribution, clf.exit_distribution([X_NEW[0]])[0]
    )


def test_best_votes_are_three_in_the_order_of_depth() -> None:
    neighbor = raee().fit(X, Y).explain(X_NEW[0]).neighbors[0]
    votes = {0: 0.5, 1: 0.9, 2: 0.7, 3: 0.8}
    assert replace(neighbor, votes=votes).best_votes == "1: 0.90, 2: 0.70, 3: 0.80"


def test_texts_of_fit_name_the_one_of_most_words_where_confidence_decides() -> None:
    clf = early_exit().fit(X, Y)
    told = clf.explain(X[7], X)
    assert (told.nearest.text, told.nearest.label) == (X[7], Y[7])
    assert told.remoteness.distance == 0
    assert f"nearest by words  {Y[7]}  {X[7]!r}" in str(told)
    assert told.warnings == ()


def test_text_without_words_of_fit_is_told_of_where_confidence_decides() -> None:
    clf = early_exit().fit(X, Y)
    told = clf.explain(FAR, X)
    assert told.remoteness.is_remote
    assert str(told).splitlines()[2].startswith("  far from every text of fit: the ")
    without = clf.explain(FAR)
    assert without.remoteness is without.nearest is None
    assert "far from" not in str(without)


def test_texts_that_are_not_those_of_fit_are_refused_by_both() -> None:
    for make in (raee, early_exit):
        clf = make().fit(X, Y)
        with pytest.raises(ValueError, match=r"texts must be the 200 .*, got 2; give"):
            clf.explain(X_NEW[0], X[:2])


def test_texts_of_several_fields_are_joined_where_confidence_decides() -> None:
    table = pd.DataFrame({"first": X[:40], "second": X[40:80]})
    clf = early_exit(template="{first} {second}").fit(table, Y[:40])
    told = clf.explain(table.iloc[[5]], table)
    assert told.nearest.text == f"{X[5]} {X[45]}"
    assert told.nearest.position == 5


def test_remoteness_needs_texts_and_compares_with_99_percent_of_them() -> None:
    assert Remoteness.of(1.0, np.empty(0)) is None
    spacing = np.arange(1.0, 101.0)
    at, above = Remoteness.of(99.0, spacing), Remoteness.of(99.5, spacing)
    assert at is not None
    assert above is not None
    assert (at.limit, at.is_remote, above.is_remote) == (99.0, False, True)
