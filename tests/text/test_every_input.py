"""Every public method and function that takes texts, with every kind of container."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skraee import EarlyExitClassifier, Encoder, RAEEClassifier, RAEEClassifierCV, toy
from skraee.baselines import (
    AdaInferClassifier,
    CALMClassifier,
    DeeBERTClassifier,
    FullDepthClassifier,
    HashEEClassifier,
    SLEBClassifier,
)
from skraee.inspection import (
    CostAccuracyDisplay,
    ExitLayerDisplay,
    LayerScoreDisplay,
    mean_cost,
)
from tests.support.classifiers import make_classifier, raee

# Few texts are fitted, so that none of the neighbours may have been answered rightly.
pytestmark = pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning")

X, Y = toy.reviews(40)
X_NEW, Y_NEW = toy.reviews(12, seed=1)
SHUFFLED = np.random.default_rng(0).permutation(100)

CONTAINERS: dict[str, Callable[[list[str]], Any]] = {
    "frame with more columns": lambda X: pd.DataFrame(
        {"id": range(len(X)), "text": X}, index=SHUFFLED[: len(X)]
    ),
    "shuffled Series": lambda X: pd.Series(X, index=SHUFFLED[: len(X)]),
    "masked array": np.ma.array,
    "polars Series": pl.Series,
    "polars frame": lambda X: pl.DataFrame({"id": range(len(X)), "text": X}),
}
ORDER = "list, array or Series of texts, got"
REFUSED: dict[str, tuple[Callable[[list[str]], Any], type[Exception], str]] = {
    "dict": (lambda X: dict(enumerate(X)), TypeError, f"{ORDER} dict"),
    "dict of columns": (lambda X: {"text": X}, TypeError, f"{ORDER} dict"),
    "set": (set, TypeError, f"{ORDER} set"),
    "string": (lambda X: X[0], ValueError, "a sequence of texts, got one string"),
    "generator": (lambda X: (text for text in X), TypeError, f"{ORDER} generator"),
    "frame of other columns": (
        lambda X: pd.DataFrame({"id": range(len(X)), "review": X}),
        ValueError,
        r"each of the template's fields \['text'\], got the columns \['id', 'review'\]",
    ),
    "a mask": (
        lambda X: np.ma.array(X, mask=[True] + [False] * (len(X) - 1)),
        ValueError,
        "must hold only strings, got None at position 0",
    ),
}


def make(cls: Any, **params: Any) -> Any:
    """Return an estimator that reads the toy texts."""
    if cls is SLEBClassifier:
        params = {"n_remove": 1, "n_calibration": 8, **params}
    return make_classifier(cls, **params)


class FirstLetters:
    """A sentence encoder that counts letters."""

    def encode(self, texts: list[str]) -> np.ndarray:
        return np.array([[text.count(letter) for letter in "aeou"] for text in texts])


ESTIMATORS = [
    EarlyExitClassifier,
    RAEEClassifier,
    RAEEClassifierCV,
    FullDepthClassifier,
    DeeBERTClassifier,
    AdaInferClassifier,
    CALMClassifier,
    HashEEClassifier,
    SLEBClassifier,
]


@cache
def fitted(cls: Any) -> Any:
    return make(cls).fit(X, Y)


METHODS = ["predict", "predict_proba", "predict_log_proba", "exit_layers"]
OURS = ["exit_distribution", "layer_proba", "kneighbors"]


def _shown_by(display: Any, X: Any) -> Any:
    pytest.importorskip("matplotlib").use("Agg")
    shown = display.from_estimator(fitted(RAEEClassifier), X, Y_NEW)
    pytest.importorskip("matplotlib.pyplot").close(shown.figure_)
    return shown


def _explain(X: Any) -> Any:
    # What fit was given, as many as there are texts to try.
    clf = make(RAEEClassifier).fit(X_NEW, Y_NEW)
    return [one.text for one in clf.explain(X_NEW[0], texts=X).neighbors]


# Every way in for texts, each as a function of the texts alone.
WAYS: dict[str, Callable[[Any], Any]] = {
    **{
        f"{cls.__name__}.{method}": lambda X, cls=cls, method=method: getattr(
            fitted(cls), method
        )(X)
        for cls in ESTIMATORS
        for method in (*METHODS, *(OURS if issubclass(cls, RAEEClassifier) else ()))
    },
    **{
        f"{cls.__name__}.fit": lambda X, cls=cls: (
            make(cls).fit(X, Y_NEW).predict_proba(X_NEW)
        )
        for cls in ESTIMATORS
    },
    **{
        f"{cls.__name__}.score": lambda X, cls=cls: fitted(cls).score(X, Y_NEW)
        for cls in ESTIMATORS
    },
    "RAEEClassifier.partial_fit": lambda X: (
        make(RAEEClassifier)
        .partial_fit(X, Y_NEW, ["negative", "positive"])
        .predict_proba(X_NEW)
    ),
    "RAEEClassifier.sweep": lambda X: make(RAEEClassifier).sweep(X).keys,
    "RAEEClassifier.timings": lambda X: fitted(RAEEClassifier).timings(X).n_texts,
    "RAEEClassifier.explain": _explain,
    "SLEBClassifier.calibration_texts": lambda X: (
        make(SLEBClassifier, calibration_texts=X).fit(X_NEW, Y_NEW).removal_losses_
    ),
    "Encoder.encode": lambda X: Encoder(FirstLetters()).encode(X),
    "ExitLayerDisplay.from_estimator": lambda X: (
        _shown_by(ExitLayerDisplay, X).layer_scores
    ),
    "LayerScoreDisplay.from_estimator": lambda X: (
        _shown_by(LayerScoreDisplay, X).scores
    ),
    "CostAccuracyDisplay.from_estimator": lambda X: np.array(
        _shown_by(CostAccuracyDisplay, X).peers["given texts"]
    ),
    "mean_cost": lambda X: mean_cost(fitted(RAEEClassifier), X),
}


@pytest.mark.slow
@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("way", WAYS)
def test_texts_of_every_container_give_what_a_list_gives(
    way: str, container: str
) -> None:
    expected = WAYS[way](X_NEW)
    found = WAYS[way](CONTAINERS[container](X_NEW))
    for one, other in zip(_arrays(found), _arrays(expected), strict=True):
        np.testing.assert_array_equal(one, other)


def _arrays(found: Any) -> tuple[Any, ...]:
    return found if isinstance(found, tuple) else (found,)


@pytest.mark.parametrize("container", REFUSED)
@pytest.mark.parametrize("way", WAYS)
def test_texts_without_order_or_of_one_string_are_one_clear_error(
    way: str, container: str
) -> None:
    given, error, message = REFUSED[container]
    with pytest.raises(error, match=message):
        WAYS[way](given(X_NEW))


# Texts that come one after the other

PAIR_TEMPLATE = "the {thing} : {text} it was {mask}."
THINGS = ["film", "meal", "story"] * 4
STREAMS: dict[str, Callable[[list[str]], Any]] = {
    **CONTAINERS,
    "list": list,
    "generator": lambda X: (text for text in X),
    "dict_values": lambda X: dict(enumerate(X)).values(),
    "mappings": lambda X: [{"id": i, "text": text} for i, text in enumerate(X)],
    "tuples": lambda X: zip(X),
}


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("cls", [RAEEClassifier, RAEEClassifierCV])
def test_predict_iter_answers_each_text_once_and_in_order(
    cls: Any, stream: str
) -> None:
    clf = fitted(cls)
    chunks = list(clf.predict_iter(STREAMS[stream](X_NEW), chunk_size=5))
    assert [len(chunk) for chunk in chunks] == [5, 5, 2]
    np.testing.assert_array_equal(np.concatenate(chunks), clf.predict(X_NEW))


FRAME = {"text": X_NEW, "id": range(12), "thing": THINGS}
PAIR_STREAMS: dict[str, Callable[[], Any]] = {
    "pandas": lambda: pd.DataFrame(FRAME, index=SHUFFLED[:12]),
    "polars": lambda: pl.DataFrame(FRAME),
    "tuples in the order of the fields": lambda: zip(THINGS, X_NEW, strict=True),
    "mappings": lambda: pl.DataFrame(FRAME).iter_rows(named=True),
}


@pytest.mark.parametrize("stream", PAIR_STREAMS)
def test_predict_iter_streams_templates_of_several_fields(stream: str) -> None:
    table = pd.DataFrame({"text": X, "thing": ["film"] * len(X)})
    clf = raee(template=PAIR_TEMPLATE)
    clf.fit(table, Y)
    chunks = list(clf.predict_iter(PAIR_STREAMS[stream](), chunk_size=5))
    expected = clf.predict(pd.DataFrame(FRAME))
    np.testing.assert_array_equal(np.concatenate(chunks), expected)


NO_ITERABLE = "must be an iterable of texts in their order, got"


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (X_NEW[0], ValueError, "a sequence of texts, got one string"),
        (b"film", ValueError, "a sequence of texts, got one string b'film'"),
        ({"text": X_NEW}, TypeError, f"{NO_ITERABLE} dict"),
        (set(X_NEW), TypeError, f"{NO_ITERABLE} set"),
        (frozenset(X_NEW), TypeError, f"{NO_ITERABLE} frozenset"),
        (None, TypeError, f"{NO_ITERABLE} NoneType"),
        (7, TypeError, f"{NO_ITERABLE} int"),
        (pl.LazyFrame({"text": X_NEW}), TypeError, f"{NO_ITERABLE} LazyFrame"),
        (pd.DataFrame({"a": X_NEW, "b": X_NEW}), ValueError, "one column for each of"),
        (np.array([X_NEW, X_NEW]), ValueError, r"got an array of shape \(2, 12\)"),
        (pd.Series([*X_NEW[:3], None]), ValueError, "at position 3"),
    ],
    ids=lambda given: type(given).__name__,
)
def test_predict_iter_refuses_at_once_what_is_no_stream_of_texts(
    given: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        fitted(RAEEClassifier).predict_iter(given)


@pytest.mark.parametrize(
    ("item", "shown"),
    [
        (None, "None of type NoneType"),
        (3, "3 of type int"),
        (["film"], r"\['film'\] of type list"),
        (("film", "meal"), r"\('film', 'meal'\) of type tuple"),
        ({"review": "film"}, r"\{'review': 'film'\} of type dict"),
        ({"text": None}, r"\{'text': None\} of type dict"),
        (pd.DataFrame({"text": X_NEW}), "of type DataFrame"),
    ],
)
def test_predict_iter_names_the_position_of_an_item_that_is_no_text(
    item: Any, shown: str
) -> None:
    stream = fitted(RAEEClassifier).predict_iter(iter([*X_NEW[:7], item]), 4)
    assert len(next(stream)) == 4
    message = f"a string, or a mapping with 'text', got .*{shown} at position 7"
    with pytest.raises(ValueError, match=message):
        next(stream)


@pytest.mark.parametrize("item", ["film", ("film",), {"text": "film"}])
def test_predict_iter_names_the_fields_that_an_item_lacks(item: Any) -> None:
    table = pd.DataFrame({"text": X, "thing": ["film"] * len(X)})
    clf = raee(template=PAIR_TEMPLATE)
    stream = clf.fit(table, Y).predict_iter([item])
    with pytest.raises(ValueError, match=r"tuple of the fields \['thing', 'text'\] or"):
        next(stream)


# Lengths


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_labels_of_another_length_are_refused(cls: Any) -> None:
    message = "same length, got 12 texts and 11 labels"
    for method in ("fit", "score"):
        with pytest.raises(ValueError, match=message):
            getattr(fitted(cls), method)(X_NEW, Y_NEW[:-1])


def test_labels_of_another_length_are_refused_wherever_there_are_some() -> None:
    clf = fitted(RAEEClassifier)
    message = "same length, got 12 texts and 1 labels"
    with pytest.raises(ValueError, match=message):
        clf.partial_fit(X_NEW, Y_NEW[:1])
    with pytest.raises(ValueError, match=message):
        make(RAEEClassifier).fit_sweep(clf.sweep(X_NEW), Y_NEW[:1])
    with pytest.raises(ValueError, match=message):
        ExitLayerDisplay.from_estimator(clf, X_NEW, Y_NEW[:1])
    with pytest.raises(TypeError, match=r"takes a LayerSweep, .* got list"):
        clf.fit_sweep(X, Y)


@pytest.mark.parametrize("texts", [X[:-1], [*X, "one more"]])
def test_explain_refuses_texts_that_are_not_those_of_fit(texts: list[str]) -> None:
    message = f"must be the 40 texts that were given to fit, .* got {len(texts)}"
    with pytest.raises(ValueError, match=message):
        fitted(RAEEClassifier).explain(X_NEW[0], texts=texts)


def test_explain_joins_the_fields_of_a_frame_of_the_texts_of_fit() -> None:
    table = pd.DataFrame({"text": X, "thing": "film"}, index=SHUFFLED[: len(X)])
    clf = raee(template=PAIR_TEMPLATE)
    told = clf.fit(table, Y).explain(table.iloc[:1], texts=table)
    assert [one.text for one in told.neighbors] == [
        f"film {X[one.position]}" for one in told.neighbors
    ]


def test_named_tuples_of_a_stream_are_taken_by_their_names() -> None:
    frame = pd.DataFrame({"hypothesis": X, "premise": X[::-1]})
    clf = raee(template="{premise} it was {hypothesis} {mask}.").fit(frame, Y)
    found = np.concatenate(list(clf.predict_iter(frame.itertuples(index=False))))
    np.testing.assert_array_equal(found, clf.predict(frame))
