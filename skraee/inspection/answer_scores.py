"""Numbers of answers beside what would have been right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

# What a probability of 0 counts as in the log-loss.
_LEAST = float(np.finfo(np.float32).eps)


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
    confidence = np.asarray(proba, dtype=np.float64).max(axis=1)
    right = np.asarray(proba).argmax(axis=1) == codes
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=n_bins)
    return float(np.abs(gaps).sum() / len(confidence))


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
