"""What one would try first: no gradient steps through a language model.

All are estimators of scikit-learn. A classifier on a sentence encoder's vectors is
``on_vectors(sentence_encoder(folder, dtype, device), regression(class_weight))``; on a
backbone's own states it is a `LinearProbe`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skraee import EarlyExitClassifier, RAEEClassifier

Encode = Callable[[list[str]], np.ndarray]
Float32Array = npt.NDArray[np.float32]

N_ENCODERS = 2  # in memory
N_FOLDS = 5
CS = (1.0, 10.0, 100.0)
NEIGHBORS = (1, 2, 4, 8, 12, 16, 24, 32, 48)

# Of standardised states, of which there are about as many as texts.
PROBE_CS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
PROBE_C = 1e-2  # where depths are compared


def regression(class_weight: str | None) -> GridSearchCV:
    """Return a logistic regression whose C is searched with five folds."""
    linear = LogisticRegression(max_iter=2_000, class_weight=class_weight)
    return _searched(linear, "C", CS, class_weight)


def words_and_regression(class_weight: str | None) -> GridSearchCV:
    """Return the same on TF-IDF of words and pairs of words."""
    return _on(_words(), CS, class_weight)


def words_letters_and_regression(class_weight: str | None) -> GridSearchCV:
    """Return the same on TF-IDF of words and pairs beside that of 2 to 5 letters."""
    return _on(make_union(_words(), _letters()), CS, class_weight)


def votes() -> KNeighborsClassifier:
    """Return the plain vote of as many neighbours as RAEE has."""
    return KNeighborsClassifier(12, weights="distance")


def votes_by_folds(n_texts: int) -> GridSearchCV:
    """Return the vote of as many neighbours as five folds of n texts find best."""
    # On ties the fewest: a search takes the first of the best.
    most = n_texts - -(-n_texts // N_FOLDS)
    grid = {"n_neighbors": [k for k in NEIGHBORS if k <= most]}
    return GridSearchCV(KNeighborsClassifier(weights="distance"), grid, cv=N_FOLDS)


def on_vectors(encode: Encode, classifier: Any) -> Pipeline:
    """Put a classifier of scikit-learn on an encoder's vectors."""
    return make_pipeline(FunctionTransformer(encode), classifier)


def encoding_by(model: Pipeline, encode: Encode) -> Pipeline:
    """Change how a fitted model of `on_vectors` makes the vectors of its texts."""
    return model.set_params(functiontransformer__func=encode)


def remembering(encode: Encode) -> Encode:
    """Return an `encode` that makes the vector of each text once."""
    known: dict[str, np.ndarray] = {}

    def encoded(texts: list[str]) -> np.ndarray:
        if new := [text for text in dict.fromkeys(texts) if text not in known]:
            known.update(zip(new, encode(new), strict=True))
        return np.stack([known[text] for text in texts])

    return encoded


@lru_cache(N_ENCODERS)
def sentence_encoder(folder: Path, dtype: torch.dtype, device: torch.device) -> Encode:
    """Return the `encode` of a sentence-transformers folder in a number format."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device=str(device)).to(dtype)
    return lambda texts: np.asarray(model.encode(texts), dtype=np.float32)


class LinearProbe(ClassifierMixin, BaseEstimator):
    """Logistic regression on a backbone's own states at one depth.

    The states are those that the closed-form readout has: the read position after the
    final norm, the mean over the text, the words around it, a folder's own pooling.
    Each is scaled to a root mean square of 1, then all are standardised. C is searched
    with five folds. A prediction sweeps the whole backbone, whatever the depth.

    Parameters
    ----------
    reader : EarlyExitClassifier or RAEEClassifier
        Names the backbone, its dtype and the template, and where sweeps are kept. It is
        not fitted. An RAEEClassifier needs ``readout="ridge"``.
    depth : {"best", "last"} or int, default="best"
        "best" is the depth of the highest score on a fifth of the texts of fit, by a
        regression on the others with C = 0.01; of equal ones the first. The fifth is
        drawn with seed 0, in the classes' shares where it can have them all. The score
        is accuracy, and balanced accuracy with a class weight.
    class_weight : None or "balanced", default=None

    Attributes
    ----------
    classes_ : ndarray of shape (C,)
    depth_ : int
    C_ : float
    """

    def __init__(
        self,
        reader: EarlyExitClassifier | RAEEClassifier,
        depth: Literal["best", "last"] | int = "best",
        class_weight: str | None = None,
    ) -> None:
        self.reader = reader
        self.depth = depth
        self.class_weight = class_weight

    def fit(self, X: list[str], y: np.ndarray) -> Self:
        """Choose the depth, then C, and solve."""
        states = self._states(X)
        self.depth_ = self._chosen(states, y)
        search = _on(StandardScaler(), PROBE_CS, self.class_weight)
        search.fit(features_at(states, self.depth_), y)
        self.C_ = search.best_params_["logisticregression__C"]
        self.model_, self.classes_ = search.best_estimator_, search.classes_
        return self

    def predict(self, X: list[str]) -> np.ndarray:
        return np.asarray(self.model_.predict(self._features(X)))

    def predict_proba(self, X: list[str]) -> np.ndarray:
        return np.asarray(self.model_.predict_proba(self._features(X)))

    def _features(self, X: list[str]) -> Float32Array:
        return features_at(self._states(X), self.depth_)

    def _states(self, X: list[str]) -> npt.NDArray[Any]:
        """Return the states (n, m + 1, P, H) in the backbone's number format."""
        states: npt.NDArray[Any] | None = clone(self.reader).sweep(X).states
        if states is None:
            raise ValueError(
                "the reader's sweep has no states; give an EarlyExitClassifier, or an "
                "RAEEClassifier with readout='ridge'."
            )
        return states

    def _chosen(self, states: npt.NDArray[Any], y: np.ndarray) -> int:
        """Return the depth that is asked for; of equally good ones the first."""
        last = states.shape[1] - 1
        if self.depth != "best":
            return last if self.depth == "last" else self.depth
        train, held_out = _split(y)
        probe = _on(StandardScaler(), [PROBE_C], self.class_weight)
        probe.set_params(cv=[(train, held_out)], refit=False)
        scores = [
            probe.fit(features_at(states, depth), y).best_score_
            for depth in range(last + 1)
        ]
        return int(np.argmax(scores))


def _split(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to fit and to score on, where depths are compared."""
    n_classes, least = len(np.unique(y)), np.unique(y, return_counts=True)[1].min()
    n_held_out = -(-len(y) // N_FOLDS)
    shares = y if least > 1 and n_held_out >= n_classes else None
    train, held_out = train_test_split(
        np.arange(len(y)), test_size=n_held_out, random_state=0, stratify=shares
    )
    return train, held_out


def features_at(states: npt.NDArray[Any], depth: int) -> Float32Array:
    """Return the states of a depth side by side, each scaled to a mean square of 1.

    Parameters
    ----------
    states : ndarray of shape (n, m + 1, P, H)
        float32, float16, or the bits of bfloat16 as uint16.
    depth : int

    Returns
    -------
    ndarray of shape (n, P * H), float32
    """
    parts = states[:, depth]
    if parts.dtype == np.uint16:  # the upper half of a float32
        parts = (parts.astype(np.uint32) << 16).view(np.float32)
    wide: Float32Array = parts.astype(np.float32)
    scale = np.sqrt(np.mean(wide**2, axis=-1, keepdims=True))
    scaled: Float32Array = np.divide(
        wide, scale, out=np.zeros_like(wide), where=scale > 0
    )
    return scaled.reshape(len(wide), -1)


def _words() -> TfidfVectorizer:
    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)


def _letters() -> TfidfVectorizer:
    return TfidfVectorizer(
        analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2
    )


def _on(
    transformer: Any, cs: Sequence[float], class_weight: str | None
) -> GridSearchCV:
    linear = LogisticRegression(max_iter=2_000, class_weight=class_weight)
    pipeline = make_pipeline(transformer, linear)
    return _searched(pipeline, "logisticregression__C", cs, class_weight)


def _searched(
    linear: Any, name: str, cs: Sequence[float], class_weight: str | None
) -> GridSearchCV:
    scoring = "accuracy" if class_weight is None else "balanced_accuracy"
    return GridSearchCV(linear, {name: list(cs)}, cv=N_FOLDS, scoring=scoring)
