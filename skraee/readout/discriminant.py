"""Scores of a regression to log-probabilities: by one temperature, or a discriminant.

A ridge regression onto the classes gives every class a score of its own, and where
classes are many these overlap: a text of one class has high scores for its neighbours
too, in a way that is the same for all texts of the class. A linear discriminant of the
scores knows that (flexible discriminant analysis: T. Hastie, R. Tibshirani and A. Buja,
"Flexible Discriminant Analysis by Optimal Scoring", JASA 89, 1994). It is one more
linear map, which goes into the coefficients: predict and the file stay as they are.

It is fitted on scores of texts whose whole fold was left out. Scores of texts that were
left out one by one say by a trifle which class it was that is missing, in the level and
in the leverage; a discriminant would make a sure sign of that. And it is taken only
where the texts' log-loss, by a discriminant of other folds, is surely smaller than by a
temperature alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax

from skraee.readout.calibration import fit_inverse_temperature
from skraee.readout.sample import Sample
from skraee.readout.ties import ROUNDING
from skraee.readout.weights import is_surely_above

Float64Array = npt.NDArray[np.float64]
IntegerArray = npt.NDArray[np.integer]

#: Scores of texts (n, C) by regressions without the fold (n,) that each is in.
WithoutFolds = Callable[[IntegerArray], Float64Array]

# Texts of a fold at most: what is solved for a fold grows with the cube.
_FOLD = 400

# Discriminants that are fitted to judge them, each without the folds it is asked of.
_N_JUDGED = 5

# The covariance within classes is moved towards equal variances by this share.
_SHRINKAGE = 0.1

# The share of a class that has no text.
_NO_SHARE = 1e-9


@dataclass(frozen=True, eq=False)
class ScoreMap:
    """A linear map from scores to log-probabilities, but for a constant of each text.

    Attributes
    ----------
    matrix : ndarray of shape (C, C)
    offset : ndarray of shape (C,)
    logs : ndarray of shape (n, C)
        Log-probabilities of the texts it was fitted on, each by what did not see it.
    """

    matrix: Float64Array
    offset: Float64Array
    logs: Float64Array

    def __call__(self, scores: Float64Array) -> Float64Array:
        """Map scores (n, C), or the intercept (C,) of what gives them."""
        return scores @ self.matrix + self.offset


def fit_score_map(
    left_out: Float64Array, without_folds: WithoutFolds, sample: Sample
) -> ScoreMap:
    """Choose how scores are read.

    Parameters
    ----------
    left_out : ndarray of shape (n, C)
        Scores of the sample's texts, each by a regression without it.
    without_folds : callable
        Gives their scores by regressions without whole folds.
    sample : Sample
    """
    by_temperature = temperature_map(left_out, sample)
    if left_out.shape[1] < 3:  # the scores of two classes are one number
        return by_temperature
    folds = _dealt(left_out, sample.codes)
    discriminant = _discriminant(without_folds(folds), folds, sample)
    right = np.arange(len(folds)), sample.codes
    gains = discriminant.logs[right] - by_temperature.logs[right]
    least = ROUNDING * float(np.abs(by_temperature.logs[right]).mean())
    is_better = is_surely_above(gains, sample.weights, least)
    return discriminant if is_better else by_temperature


def temperature_map(scores: Float64Array, sample: Sample) -> ScoreMap:
    """Return the map that leaves left-out scores as they are, but for their size."""
    factor = fit_inverse_temperature(scores, sample.codes, sample.weights)
    n_classes = scores.shape[1]
    logs = np.asarray(log_softmax(factor * scores, axis=1))
    return ScoreMap(factor * np.eye(n_classes), np.zeros(n_classes), logs)


def _dealt(left_out: Float64Array, codes: IntegerArray) -> IntegerArray:
    """Deal the texts out to folds, class by class.

    Within a class they come in the order of its score, so that neither the order of
    the texts nor a seed has a say.
    """
    n = len(codes)
    n_folds = max(min(_N_JUDGED, n), -(-n // _FOLD))
    own = left_out[np.arange(n), codes]
    folds = np.empty(n, np.int64)
    folds[np.lexsort((own, codes))] = np.arange(n) % n_folds
    return folds


def _discriminant(
    scores: Float64Array, folds: IntegerArray, sample: Sample
) -> ScoreMap:
    """Fit a discriminant, and read the texts of each part of the folds by the others'.

    Parameters
    ----------
    scores : ndarray of shape (n, C)
        By regressions without the text's fold.
    folds : ndarray of shape (n,)
    sample : Sample
    """
    densities = np.empty_like(scores)
    of_part = folds % _N_JUDGED
    for part in range(of_part.max() + 1):
        asked = of_part == part
        matrix, offset = _linear_discriminant(scores, sample, ~asked)
        densities[asked] = scores[asked] @ matrix + offset
    factor = fit_inverse_temperature(densities, sample.codes, sample.weights)
    logs = np.asarray(log_softmax(factor * densities, axis=1))
    matrix, offset = _linear_discriminant(scores, sample, np.ones(len(folds), bool))
    return ScoreMap(factor * matrix, factor * offset, logs)


def _linear_discriminant(
    scores: Float64Array, sample: Sample, among: npt.NDArray[np.bool_]
) -> tuple[Float64Array, Float64Array]:
    """Return matrix and offset of Fisher's discriminant of scores (n, C).

    The texts weigh what they weigh in the sample. With the class means M (C, C) and the
    shrunken covariance S within classes, the matrix is S^-1 M' and the offset the
    logarithm of each class's share less half of its mean's length by S^-1.
    """
    scores = scores[among]
    own = np.where(sample.targets[among] > 0, sample.weights[among, None], 0.0)
    of_class = own.sum(axis=0)
    means = own.T @ scores / np.where(of_class > 0, of_class, 1.0)[:, None]
    apart = scores - means[sample.codes[among]]
    spread = apart.T @ (sample.weights[among, None] * apart) / of_class.sum()
    n_classes = len(of_class)
    spread += _SHRINKAGE * np.trace(spread) / n_classes * np.eye(n_classes)
    matrix = np.linalg.pinv(spread, hermitian=True) @ means.T
    share = np.maximum(of_class / of_class.sum(), _NO_SHARE)
    return matrix, np.log(share) - 0.5 * np.einsum("cd,dc->c", means, matrix)
