"""What fit says once of inputs that can be used, but may be a mistake."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from sklearn.model_selection import cross_val_score

from skraee import RAEEClassifier, RAEEClassifierCV, toy
from skraee.baselines import CALMClassifier, DeeBERTClassifier, FullDepthClassifier
from skraee.exceptions import InputWarning
from tests.support.classifiers import make_classifier, raee

X, Y = toy.reviews(40)
CLASSES = ["negative", "positive"]
LONG_WORDS = {"negative": "terrible-film", "positive": "great"}
OURS = [RAEEClassifier, RAEEClassifierCV]
WORDED = [*OURS, FullDepthClassifier, CALMClassifier]


def make(cls: Any, kind: Any = "causal", **params: Any) -> Any:
    return make_classifier(cls, kind, **params)


def said_by(call: Callable[[], Any]) -> list[str]:
    """Return the texts of all warnings; each must point to this file."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    assert {one.filename for one in caught} <= {__file__}
    assert all(one.category is InputWarning for one in caught)
    return [str(one.message) for one in caught]


@pytest.mark.parametrize("kind", ["causal", "seq2seq"])
@pytest.mark.parametrize("cls", WORDED)
def test_label_words_of_several_tokens_are_said_once_by_fit(
    cls: Any, kind: Any
) -> None:
    clf = make(cls, kind, label_words=LONG_WORDS)
    (said,) = said_by(lambda: clf.fit(X, Y))
    assert "first one alone is read, here 'terrible' for 'terrible-film';" in said
    assert said_by(lambda: clf.predict(X)) == []
    assert said_by(lambda: clf.score(X, Y)) == []


@pytest.mark.parametrize("cls", OURS)
def test_label_words_of_several_tokens_are_said_once_by_the_other_ways_to_fit(
    cls: Any,
) -> None:
    clf = make(cls, label_words=LONG_WORDS)
    assert len(said_by(lambda: clf.sweep(X))) == 1
    sweep = make(cls).sweep(X)
    assert len(said_by(lambda: clf.fit_sweep(sweep, Y))) == 1
    parts = make(cls, label_words=LONG_WORDS)
    assert len(said_by(lambda: parts.partial_fit(X[:20], Y[:20], CLASSES))) == 1
    assert said_by(lambda: parts.partial_fit(X[20:], Y[20:])) == []


def test_label_words_that_no_class_has_are_not_spoken_of() -> None:
    words = {**toy.LABEL_WORDS, "other": "film-story"}
    clf = make(RAEEClassifier, label_words=words)
    assert said_by(lambda: clf.fit(X, Y)) == []
    assert len(said_by(lambda: clf.sweep(X))) == 1  # which classes come is not known


def test_label_words_that_ridge_does_not_read_are_not_spoken_of() -> None:
    clf = make(RAEEClassifier, label_words=LONG_WORDS, readout="ridge")
    assert said_by(lambda: clf.fit(X, Y)) == []


def test_warning_from_within_a_search_points_to_the_users_line() -> None:
    clf = make(RAEEClassifier, label_words=LONG_WORDS)
    assert len(said_by(lambda: cross_val_score(clf, X, Y, cv=2))) == 2


@pytest.mark.parametrize("cls", [*WORDED, DeeBERTClassifier])
def test_empty_texts_are_said_once_by_fit_with_their_number(cls: Any) -> None:
    texts = [*X[:5], "", *X[6:9], " \n", *X[10:]]
    clf = make(cls)
    (said,) = said_by(lambda: clf.fit(texts, Y))
    assert "2 of 40 texts are empty or white space, the first at position 5" in said
    assert said_by(lambda: clf.predict(texts)) == []


@pytest.mark.parametrize("cls", OURS)
def test_empty_texts_are_said_once_by_the_other_ways_to_fit(cls: Any) -> None:
    clf = make(cls)
    assert len(said_by(lambda: clf.sweep([*X[1:], ""]))) == 1
    assert len(said_by(lambda: clf.partial_fit([*X[1:], ""], Y, CLASSES))) == 1


def test_texts_of_several_fields_are_empty_where_all_fields_are() -> None:
    clf = raee(template="{a} : {text} it was {mask}.")
    table = pd.DataFrame({"a": ["", "film", *[""] * 38], "text": [*X[:2], "", *X[3:]]})
    (said,) = said_by(lambda: clf.fit(table, Y))
    assert "1 of 40 texts are empty or white space, the first at position 2" in said


@pytest.mark.parametrize("cls", [RAEEClassifier, *WORDED[2:], DeeBERTClassifier])
def test_one_class_is_said_once_by_fit(cls: Any) -> None:
    clf = make(cls)
    (said,) = said_by(lambda: clf.fit(X, ["positive"] * 40))
    assert said.startswith("y holds one class only, 'positive'")
    assert said_by(lambda: clf.predict(X)) == []


@pytest.mark.parametrize("cls", OURS)
def test_one_class_of_several_that_will_come_is_not_spoken_of(cls: Any) -> None:
    clf = make(cls)
    first = ["positive"] * 20
    assert said_by(lambda: clf.partial_fit(X[:20], first, CLASSES)) == []
    sweep = clf.sweep(X)
    other = make(RAEEClassifier)
    assert len(said_by(lambda: other.fit_sweep(sweep, ["positive"] * 40))) == 1
