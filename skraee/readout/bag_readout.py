"""The readout of a text's bag of tokens: what the words say before the model runs.

A ridge regression onto the classes on bags of length 1 (`skraee.text.token_bags`),
solved by the texts' products, as there are more buckets than texts. The mean of the
depth-0 states holds the same tokens, but in a few hundred numbers: words that are rare
are told apart here, and pairs of words. Its log-probabilities are the first in the
average over the depths passed, so that shallow exits gain most.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax

from skraee.readout.discriminant import fit_score_map
from skraee.readout.ridge_regression import Centered
from skraee.readout.sample import Sample
from skraee.readout.weights import gain_over_chance
from skraee.text.token_bags import TokenBags

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

#: Penalties that are tried, on bags of length 1.
BAG_PENALTIES = 10.0 ** np.arange(-2.0, 2.1, 0.5)

#: Texts that are solved for; of more, a stratified sample. The time grows with the
#: cube.
BAG_SAMPLES = 3_000


@dataclass(frozen=True, eq=False)
class BagReadout:
    """Bags of tokens to log-probabilities of the classes.

    Attributes
    ----------
    buckets : ndarray of shape (B,), uint16
        Those in which texts of fit had something, ascending.
    coef : ndarray of shape (B, C), float32
        Of these, on bags of length 1. As in `RidgeReadout`, `coef` and `intercept`
        hold already how scores become log-probabilities.
    intercept : ndarray of shape (C,), float32
    weight : float
        Of the log-probabilities in the average over the depths passed, as for the
        parts of a state.
    penalty : float
        For information.
    """

    buckets: npt.NDArray[np.uint16]
    coef: Float32Array
    intercept: Float32Array
    weight: float
    penalty: float

    def logs(self, bags: TokenBags) -> Float32Array:
        """Return the log-probabilities (n, C) of texts, each by its bag alone.

        Parameters
        ----------
        bags : TokenBags
        """
        scores = bags.matrix(self.buckets) @ self.coef + self.intercept
        return np.asarray(log_softmax(scores, axis=1))


def fit_bags(
    bags: TokenBags, sample: Sample, power: float
) -> tuple[BagReadout, Float64Array]:
    """Solve for bags, and read all texts, those that were solved for left out.

    Parameters
    ----------
    bags : TokenBags
        Of n texts.
    sample : Sample
        The texts that are solved for.
    power : float
        By which the gain over chance becomes a weight.

    Returns
    -------
    readout : BagReadout
    logs : ndarray of shape (n, C)
    """
    rows, rest = sample.rows, sample.rest
    matrix = bags.matrix().astype(np.float64)
    own = matrix[rows]
    centered = Centered.of(sample.targets, sample.weights)
    gram = (own @ own.T).toarray()
    mean = gram @ centered.share
    gram = gram - mean - mean[:, None] + centered.share @ mean
    solved = centered.solve_gram(gram, BAG_PENALTIES)
    coef = own.T @ solved.dual  # whose sum is 0: the features need no centring
    intercept = centered.level - centered.share @ (own @ coef)

    mapped = fit_score_map(solved.left_out, solved.without_folds, sample)
    coef, intercept = coef @ mapped.matrix, mapped(intercept)
    logs = np.empty((len(bags), len(intercept)))
    logs[rows] = mapped.logs
    logs[rest] = log_softmax(matrix[rest] @ coef + intercept, axis=1)
    gain = gain_over_chance(mapped.logs, sample.codes, sample.weights)
    used = np.unique(own.indices)
    readout = BagReadout(
        buckets=used.astype(np.uint16),
        coef=coef[used].astype(np.float32),
        intercept=intercept.astype(np.float32),
        weight=gain**power,
        penalty=solved.penalty,
    )
    return readout, logs
