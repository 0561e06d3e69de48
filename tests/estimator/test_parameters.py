"""What no backbone could make right is refused before one is loaded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from skraee import (
    Backbone,
    EarlyExitClassifier,
    LayerSweep,
    RAEEClassifier,
    RAEEClassifierCV,
    toy,
)
from skraee.baselines import (
    AdaInferClassifier,
    CALMClassifier,
    DeeBERTClassifier,
    FullDepthClassifier,
    HashEEClassifier,
    SLEBClassifier,
)

X, Y = toy.reviews(8)
SWEEP = LayerSweep(np.zeros((8, 3)), np.zeros((8, 5, 2)), (7, 9))
WORDED = [
    RAEEClassifier,
    RAEEClassifierCV,
    FullDepthClassifier,
    AdaInferClassifier,
    CALMClassifier,
    HashEEClassifier,
    SLEBClassifier,
]
ESTIMATORS = [*WORDED, DeeBERTClassifier]
OURS = [RAEEClassifier, RAEEClassifierCV]
CALLS = {
    "fit": lambda clf: clf.fit(X, Y),
    "partial_fit": lambda clf: clf.partial_fit(X, Y, ["negative", "positive"]),
    "sweep": lambda clf: clf.sweep(X),
    "fit_sweep": lambda clf: clf.fit_sweep(SWEEP, Y),
}


class Unloadable(Backbone):
    """A backbone that a wrong parameter must not reach."""

    def load(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("must not be loaded")


def estimator(cls: Any, **params: Any) -> Any:
    defaults: dict[str, Any] = {"backbone": Unloadable("no/model")}
    defaults["template"] = toy.TEMPLATES["masked"]
    if cls is not DeeBERTClassifier:
        defaults["label_words"] = toy.LABEL_WORDS
    return cls(**{**defaults, **params})


WHOLE = "must be a whole number, got"
COMMON: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"backbone": 3}, TypeError, "backbone must be a hub name, a path"),
    ({"template": "no field"}, ValueError, "must have a place for the text, got 'no f"),
    ({"template": "{text"}, ValueError, "stray '{' at position 0"),
    ({"template": 3}, TypeError, "a template must be a string .* got int"),
    ({"template": "{text} {note} was {mask}."}, ValueError, "needs a DataFrame with"),
    ({"max_length": 0}, ValueError, "max_length must be at least 1, got 0"),
    ({"max_length": "long"}, TypeError, f"max_length {WHOLE} 'long'"),
    ({"batch_tokens": 0}, ValueError, "batch_tokens must be 'auto' or .* got 0"),
    ({"batch_tokens": 2.5}, ValueError, "batch_tokens must be 'auto' or .* got 2.5"),
    ({"batch_tokens": True}, ValueError, "batch_tokens must be 'auto' or .* got True"),
    ({"batch_tokens": "big"}, ValueError, "batch_tokens must be 'auto' or .* got 'big"),
    ({"device": "gpu"}, ValueError, "device 'gpu' is not to be had here"),
    ({"device": "cuda:99"}, ValueError, "device 'cuda:99' is not to be had here"),
    ({"device": None}, ValueError, "device None is not to be had here"),
    ({"dtype": "int3"}, ValueError, "dtype must be 'auto', .* got 'int3'"),
    ({"dtype": None}, ValueError, "dtype must be 'auto', .* got None"),
    ({"random_state": -1}, ValueError, "random_state must lie between 0 and .* got -1"),
    ({"random_state": 2**32}, ValueError, "random_state must lie between 0 and"),
    ({"random_state": "x"}, TypeError, "random_state must be None, a whole .* got 'x'"),
    ({"random_state": True}, TypeError, "random_state must be None, .* got True"),
    ({"verbose": -1}, ValueError, "verbose must be at least 0, got -1"),
    ({"verbose": "yes"}, TypeError, f"verbose {WHOLE} 'yes'"),
]
WORDS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"label_words": {"negative": "bad"}}, ValueError, "no word for 'positive'"),
    ({"label_words": {"negative": "bad", "positive": 3}}, TypeError, "a string, got 3"),
    ({"label_words": {"negative": "bad", "positive": ""}}, ValueError, "not be empty"),
    ({"label_words": ["bad"]}, ValueError, "1 words for 2 classes"),
    ({"label_words": ["bad", " bad"]}, ValueError, "own, got 'bad' for .* and"),
    ({"label_words": "bad"}, TypeError, "must be a dict of class to word, .* got str"),
]
KEPT: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"memory": 3}, TypeError, "memory must be 'process', None, a folder or"),
    ({"memory": "a\0b"}, ValueError, "memory= must be the path of a folder, got 'a"),
]
EXITS = [
    ({"min_exit": -1}, ValueError, "min_exit must be at least 0, got -1"),
    ({"min_exit": 1.0}, TypeError, f"min_exit {WHOLE} 1.0"),
]
LONG = [
    ({"long_texts": "tail"}, ValueError, "long_texts must be one of 'cut', 'head_tai"),
]
RAEE: list[tuple[dict[str, Any], type[Exception], str]] = [
    *KEPT,
    *EXITS,
    *LONG,
    ({"n_jobs": 0}, ValueError, "n_jobs must be a number of threads, .* got 0"),
    ({"n_jobs": 1.5}, TypeError, f"n_jobs {WHOLE} 1.5"),
    ({"encoder": 0}, ValueError, "encoder=0 names no depth"),
    ({"encoder": 1.5}, TypeError, "encoder must be None, a depth, .* got float"),
    ({"encoder": True}, TypeError, "encoder must be None, a depth, .* got bool"),
    ({"readout": "svm"}, ValueError, "readout must be one of 'lm_head', 'ridge'"),
    ({"calibrate": "yes"}, TypeError, "calibrate must be True or False, got 'yes'"),
    ({"calibrate": 1}, TypeError, "calibrate must be True or False, got 1"),
    ({"metric": np.array([1, 2])}, ValueError, r"metric must be one of .* got array"),
    ({"below_tau": "top5"}, ValueError, "below_tau must be one of"),
    ({"database": "some"}, ValueError, "database must be one of"),
    ({"metric": "l1"}, ValueError, "metric must be one of"),
    ({"index": "faiss"}, ValueError, "index must be one of"),
    ({"readout": "ridge", "label_words": ["bad"]}, ValueError, "1 words for 2 classes"),
]
BAD: dict[Any, list[tuple[dict[str, Any], type[Exception], str]]] = {
    RAEEClassifier: [
        *RAEE,
        ({"k": 0}, ValueError, "k must be at least 1, got 0"),
        ({"tau": 2}, ValueError, "tau must lie between 0 and 1, got 2"),
        ({"budget": 30}, ValueError, "budget must lie between 0 and 1, got 30"),
        ({"budget": 0}, ValueError, "budget must be above 0, got 0"),
    ],
    RAEEClassifierCV: [
        *RAEE,
        ({"ks": []}, ValueError, "ks must hold at least one value"),
        ({"taus": [2]}, ValueError, "every tau of taus must lie between 0 and 1"),
        ({"budgets": [30]}, ValueError, "every budget of budgets must lie between"),
        ({"scoring": "beauty"}, ValueError, "scoring must be a name"),
    ],
    EarlyExitClassifier: [
        *KEPT,
        *EXITS,
        *LONG,
        ({"threshold": -0.1}, ValueError, "threshold must lie between 0 and 1, got"),
        ({"threshold": "0.9"}, TypeError, "threshold must be a number, got '0.9'"),
        ({"budget": 30}, ValueError, "budget must lie between 0 and 1, got 30"),
        ({"class_weight": 3}, ValueError, "class_weight must be None, 'balanced' or"),
    ],
    FullDepthClassifier: [],
    DeeBERTClassifier: [
        *KEPT,
        ({"dropout": 1}, ValueError, "dropout must be at least"),
    ],
    AdaInferClassifier: [*KEPT, *EXITS],
    CALMClassifier: [*KEPT, *EXITS],
    HashEEClassifier: [({"n_buckets": 0}, ValueError, "n_buckets must be at least 1")],
    SLEBClassifier: [
        ({"n_remove": -1}, ValueError, "n_remove must be at least 0, got -1"),
        ({"removal_order": 3}, TypeError, "removal_order must be a sequence of numb"),
        ({"removal_order": {1, 2}}, TypeError, "removal_order must be a sequence of"),
        ({"removal_order": [1.5]}, TypeError, "every block of removal_order must be"),
        ({"calibration_texts": "a film"}, ValueError, "got one string 'a film'"),
        ({"calibration_texts": [None]}, ValueError, "must hold only strings, got None"),
        ({"calibration_texts": []}, ValueError, "at least one text, got 0 samples"),
    ],
}
ROWS = [
    (cls, call, *row)
    for cls in ESTIMATORS
    for call in (CALLS if cls in OURS else ["fit"])
    for row in [*COMMON, *(WORDS if cls in WORDED else []), *BAD[cls]]
]
# What a call cannot know: a sweep its labels, fit_sweep the columns of its texts.
UNKNOWN = {
    "sweep": ("no word for", "words for 2 classes"),
    "fit_sweep": ("needs a DataFrame",),
}


@pytest.mark.parametrize(("cls", "call", "change", "error", "message"), ROWS)
def test_wrong_parameter_is_refused_before_a_backbone_is_loaded(
    cls: Any, call: str, change: dict[str, Any], error: type[Exception], message: str
) -> None:
    clf = estimator(cls, **change)
    if any(part in message for part in UNKNOWN.get(call, ())):
        error, message = AssertionError, "must not be loaded"
    with pytest.raises(error, match=message):
        CALLS[call](clf)


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        (X, ["a", "b"] * 3, "same length, got 8 texts and 6 labels"),
        (X, ["a", ""] * 4, "y must hold no empty labels, got '' at position 1"),
        (X, ["a", None] * 4, "no missing or infinite labels, got None at position 1"),
        ([*X[:7], None], Y, "must hold only strings, got None at position 7"),
        ([], [], "at least one text, got 0 samples"),
        (pd.DataFrame({"text": []}), [], "at least one text, got 0 samples"),
    ],
)
def test_wrong_texts_or_labels_are_refused_before_a_backbone_is_loaded(
    cls: Any, texts: Any, labels: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        estimator(cls).fit(texts, labels)


@pytest.mark.parametrize("cls", WORDED)
def test_classes_that_name_no_words_are_refused_before_a_backbone_is_loaded(
    cls: Any,
) -> None:
    message = r"None only where all classes are strings, got the class 3; .*'ridge'"
    with pytest.raises(ValueError, match=message):
        estimator(cls, label_words=None).fit(X, [3, 4] * 4)


@pytest.mark.parametrize("cls", OURS)
@pytest.mark.parametrize(
    ("change", "call", "message"),
    [
        ({"label_words": None}, "sweep", "give label_words to sweep texts on their"),
        ({"encoder": TfidfVectorizer()}, "sweep", "wrap it in sklearn.frozen"),
    ],
)
def test_sweep_that_cannot_be_is_refused_before_a_backbone_is_loaded(
    cls: Any, change: dict[str, Any], call: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        CALLS[call](estimator(cls, **change))


@pytest.mark.parametrize("cls", OURS)
def test_partial_fit_without_classes_is_refused_before_a_backbone_is_loaded(
    cls: Any,
) -> None:
    with pytest.raises(ValueError, match="first call of partial_fit must name all"):
        estimator(cls).partial_fit(X, Y)
    with pytest.raises(ValueError, match=r"was not told of: \['positive'\]"):
        estimator(cls).partial_fit(X, Y, ["negative"])


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize(
    "change",
    [
        {"random_state": np.random.RandomState(0)},
        {"random_state": np.int64(3)},
        {"verbose": True},
        {"batch_tokens": np.int64(64)},
        {"dtype": "bfloat16"},
        {"device": "cpu"},
        {"max_length": np.int64(64)},
    ],
)
def test_right_parameters_reach_the_backbone(cls: Any, change: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="must not be loaded"):
        estimator(cls, **change).fit(X, Y)


@pytest.mark.parametrize("cls", OURS)
@pytest.mark.parametrize(
    "change", [{"n_jobs": -1}, {"n_jobs": 2}, {"encoder": 2}, {"encoder": "a/name"}]
)
def test_right_parameters_of_retrieval_reach_the_backbone(
    cls: Any, change: dict[str, Any]
) -> None:
    with pytest.raises(AssertionError, match="must not be loaded"):
        estimator(cls, **change).fit(X, Y)
