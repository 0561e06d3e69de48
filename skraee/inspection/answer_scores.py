"""Numbers of answers beside what would have been right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

# What a probability of 0 counts as in the log-loss.
_LEAST = float(np.finfo(np.float32).eps)

# Standard deviations within which 95 % of a normal distribution lie.
_Z = 1.959963984540054


@dataclass(frozen=True)
class ClassScores:
    """How well one class is told from the others.

    Attributes
    ----------
    label : object
        The class.
    precision : float
        Share of the texts with this answer that are of this class; 0 where there are
        none.
    recall : float
        Share of the texts of this class with this answer; 0 where there are none.
    f1 : float
        Harmonic mean of the two.
    support : int
        Texts of this class.
    """

    label: Any
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class ReliabilityBin:
    """Texts of about the same confidence, and how many of them are right.

    Attributes
    ----------
    low, high : float
        Between which their top probabilities lie.
    n_texts : int
        How many there are.
    confidence : float
        Mean of their top probabilities.
    accuracy : float
        Share of right answers.
    """

    low: float
    high: float
    n_texts: int
    confidence: float
    accuracy: float


def calibration_error(proba: Any, codes: Any, n_bins: int = 15) -> float:
    """Return how far accuracy and confidence are apart.

    Parameters
    ----------
    proba : ndarray of shape (n, C)
        Probabilities of the classes.
    codes : ndarray of shape (n,), int
        The right classes' columns; C or more for a class that has none.
    n_bins : int, default=15
        Equal bins of the top probability. More of them need more texts.

    Returns
    -------
    float
        In [0, 1], 0 where answers of every confidence are right as often as it says.

    Examples
    --------
    >>> from skraee.inspection.answer_scores import calibration_error
    >>> proba = np.array([[0.9, 0.1], [0.9, 0.1]])
    >>> round(calibration_error(proba, np.array([0, 1])), 3)
    0.4
    """
    bins = reliability(proba, codes, n_bins)
    gaps = [one.n_texts * abs(one.accuracy - one.confidence) for one in bins]
    return sum(gaps) / len(np.asarray(codes))


def reliability(proba: Any, codes: Any, n_bins: int = 15) -> list[ReliabilityBin]:
    """Return confidence beside accuracy, bin by bin.

    Parameters
    ----------
    proba : ndarray of shape (n, C)
        Probabilities of the classes.
    codes : ndarray of shape (n,), int
        The right classes' columns; C or more for a class that has none.
    n_bins : int, default=15
        Equal bins of the top probability. More of them need more texts.

    Returns
    -------
    list of ReliabilityBin
        Those that have texts, from the least confident on.

    Examples
    --------
    >>> from skraee.inspection.answer_scores import reliability
    >>> proba = np.array([[0.9, 0.1], [0.9, 0.1]])
    >>> (one,) = reliability(proba, np.array([0, 1]), n_bins=10)
    >>> one.n_texts, round(one.confidence, 3), one.accuracy
    (2, 0.9, 0.5)
    """
    confidence = np.asarray(proba, dtype=np.float64).max(axis=1)
    right = np.asarray(proba).argmax(axis=1) == codes
    places = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    counts = np.bincount(places, minlength=n_bins)
    sums = np.bincount(places, weights=confidence, minlength=n_bins)
    n_right = np.bincount(places, weights=right, minlength=n_bins)
    return [
        ReliabilityBin(
            low=place / n_bins,
            high=(place + 1) / n_bins,
            n_texts=int(counts[place]),
            confidence=float(sums[place] / counts[place]),
            accuracy=float(n_right[place] / counts[place]),
        )
        for place in np.flatnonzero(counts).tolist()
    ]


def share_interval(n_right: int, n_texts: int) -> tuple[float, float]:
    """Return where a share lies with 95 % confidence, by what a sample says.

    Wilson's interval (1927) is never outside [0, 1] and holds for few texts, too.

    Parameters
    ----------
    n_right : int
        Texts of the sample that are right.
    n_texts : int
        Texts of the sample, one at least.

    Returns
    -------
    tuple of float
        Lower and upper end.

    Examples
    --------
    >>> from skraee.inspection.answer_scores import share_interval
    >>> [round(end, 3) for end in share_interval(9, 10)]
    [0.596, 0.982]
    """
    share, per_text = n_right / n_texts, _Z**2 / n_texts
    middle = share + per_text / 2
    reach = (per_text * (share * (1 - share) + per_text / 4)) ** 0.5
    low, high = ((middle + sign * reach) / (1 + per_text) for sign in (-1, 1))
    return max(0.0, low), min(1.0, high)


def confusion_of(codes: IntArray, answers: IntArray, n_classes: int) -> IntArray:
    """Return how many texts of each class (row) got each answer (column)."""
    pairs = np.bincount(codes * n_classes + answers, minlength=n_classes**2)
    return pairs.reshape(n_classes, n_classes)


def class_scores(names: list[Any], confusion: IntArray) -> list[ClassScores]:
    """Return precision, recall and F1 of each class."""
    right = confusion.diagonal().astype(np.float64)
    support, answered = confusion.sum(axis=1), confusion.sum(axis=0)
    precision = right / np.maximum(answered, 1)
    recall = right / np.maximum(support, 1)
    f1 = 2 * right / np.maximum(support + answered, 1)
    columns = precision.tolist(), recall.tolist(), f1.tolist(), support.tolist()
    return [ClassScores(*row) for row in zip(names, *columns, strict=True)]


def log_loss_of(proba: npt.NDArray[np.floating], codes: IntArray) -> float:
    """Return the mean of -log of the right class's probability."""
    known = codes < proba.shape[1]
    right = np.zeros(len(codes))
    right[known] = proba[known, codes[known]]
    return float(np.abs(np.log(np.clip(right, _LEAST, 1.0))).mean())
