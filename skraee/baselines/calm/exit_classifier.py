"""CALM's trained measure: a linear classifier on the state of a depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from skraee.baselines.measures import MeasuredScorer
from skraee.engine.batch import Batch
from skraee.engine.scorer import RunningScoring, Scoring

BoolArray = npt.NDArray[np.bool_]
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

# Pairs of text and depth that are trained on; of more, a sample.
_MOST_PAIRS = 20_000
_MOST_STEPS = 1_000


@dataclass(frozen=True, eq=False)
class ExitClassifier:
    """The probability that the answer at a depth is that at full depth.

    Attributes
    ----------
    coef : ndarray of shape (H,), float32
        On a state behind the final norm, of whatever depth.
    intercept : float
        Infinite where all that it was trained on had one label.
    """

    coef: Float32Array
    intercept: float

    def confidence(self, states: Float32Array) -> Float32Array:
        """Return the probabilities (...) of states (..., H)."""
        found: Float32Array = expit(states @ self.coef + np.float32(self.intercept))
        return found


def train_exit_classifier(
    states: Float32Array, agrees: BoolArray, random: np.random.RandomState
) -> ExitClassifier:
    """Train one classifier for all depths by logistic regression.

    Parameters
    ----------
    states : ndarray of shape (n, D, H)
        Behind the final norm, at the depths before the last.
    agrees : ndarray of shape (n, D)
        Whether the answer there is that at full depth.
    random : RandomState
        Draws the pairs of text and depth where there are very many.
    """
    width = states.shape[-1]
    if agrees.all() or not agrees.any():
        sure = np.inf if agrees.all() else -np.inf
        return ExitClassifier(np.zeros(width, np.float32), sure)
    weights = balanced_weights(agrees).ravel()
    pairs = np.flatnonzero(weights)
    if len(pairs) > _MOST_PAIRS:
        pairs = random.choice(pairs, _MOST_PAIRS, replace=False)
    features = states.reshape(-1, width)[pairs].astype(np.float64)
    center, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale == 0] = 1.0
    found = LogisticRegression(max_iter=_MOST_STEPS).fit(
        (features - center) / scale,
        agrees.ravel()[pairs],
        weights[pairs] / weights[pairs].mean(),
    )
    coef = found.coef_[0] / scale
    intercept = float(found.intercept_[0] - center @ coef)
    return ExitClassifier(coef.astype(np.float32), intercept)


def balanced_weights(agrees: BoolArray) -> Float64Array:
    """Weigh the labels so that at every depth both count alike.

    Parameters
    ----------
    agrees : ndarray of shape (n, D)

    Returns
    -------
    weights : ndarray of shape (n, D)
        A label weighs what share of the depth's texts have the other, so that a depth
        whose texts all have one counts nothing; all 1 where this is so everywhere.
    """
    share = agrees.mean(axis=0)
    weights: Float64Array = np.where(agrees, 1 - share, share)
    return weights if weights.any() else np.ones_like(weights)


class ClassifierScorer:
    """Label-word logits and the classifier's confidence at each depth, on the way.

    Parameters
    ----------
    hidden : MeasuredScorer
        With the measure "hidden".
    classifier : ExitClassifier
    n_classes : int
        Number of classes C.
    """

    def __init__(
        self, hidden: MeasuredScorer, classifier: ExitClassifier, n_classes: int
    ) -> None:
        self._hidden = hidden
        self._coef = torch.from_numpy(classifier.coef)
        self._intercept = classifier.intercept
        self._n_classes = n_classes

    def begin(self, batch: Batch) -> Scoring:
        """Start a batch."""
        return _Classifying(self, self._hidden.begin(batch))

    def judged(self, read: Tensor) -> Tensor:
        """Turn logits and states (n, C + H) into logits and confidence (n, C + 1)."""
        logits, states = read[:, : self._n_classes], read[:, self._n_classes :]
        judged = states @ self._coef.to(states.device) + self._intercept
        return torch.cat([logits, judged.sigmoid()[:, None]], dim=1)


class _Classifying(RunningScoring):
    def __init__(self, scorer: ClassifierScorer, hidden: Scoring) -> None:
        self._scorer = scorer
        self._hidden = hidden

    def read(self, depth: int, hidden: Tensor, rows: Tensor) -> Tensor:
        return self._scorer.judged(self._hidden.read(depth, hidden, rows))
