"""What one would try first: no gradient steps through a language model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

Encode = Callable[[list[str]], np.ndarray]

N_KEPT = 4  # lists of texts


def regression(class_weight: str | None) -> GridSearchCV:
    """Return a logistic regression whose C is searched with five folds."""
    return _searched(LogisticRegression, class_weight)


def words_and_regression(class_weight: str | None) -> GridSearchCV:
    """Return the same on TF-IDF of words and pairs of words."""

    def on_words(**params: Any) -> Pipeline:
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
        return make_pipeline(words, LogisticRegression(**params))

    return _searched(on_words, class_weight, "logisticregression__C")


def votes() -> KNeighborsClassifier:
    """Return the plain vote of as many neighbours as RAEE has."""
    return KNeighborsClassifier(12, weights="distance")


def on_vectors(encode: Encode, classifier: Any) -> Pipeline:
    """Put a classifier of scikit-learn on an encoder's vectors."""
    return make_pipeline(FunctionTransformer(encode), classifier)


def encoding_by(model: Pipeline, encode: Encode) -> Pipeline:
    """Change how a fitted model of `on_vectors` makes the vectors of its texts."""
    return model.set_params(functiontransformer__func=encode)


class Encodes(Protocol):
    """What makes vectors of texts."""

    def encode(self, texts: Sequence[str], /) -> np.ndarray:
        """Return the vectors (n, d) of n texts."""


def remembering(encoder: Encodes) -> Encode:
    """Return an `encode` that knows the vectors of the lists it had last."""

    @lru_cache(N_KEPT)
    def encoded(texts: tuple[str, ...]) -> np.ndarray:
        return encoder.encode(texts)

    return lambda texts: encoded(tuple(texts))


def _searched(
    make: Callable[..., Any], class_weight: str | None, name: str = "C"
) -> GridSearchCV:
    scoring = "accuracy" if class_weight is None else "balanced_accuracy"
    linear = make(max_iter=2_000, class_weight=class_weight)
    return GridSearchCV(linear, {name: [1.0, 10.0, 100.0]}, cv=5, scoring=scoring)
