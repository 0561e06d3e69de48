"""The closed-form readout: at every depth a small linear map from states to classes.

It is solved, not trained: at each depth a ridge regression onto the classes, whose
penalty is chosen by its exact leave-one-out error, which the same decomposition gives.
Whatever the classifier learns about its depths on the way (temperatures, weights, exit
information) comes from leave-one-out scores, since fitted ones would all look right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax
from sklearn.utils import check_random_state

from skraee.calibration import fit_sharpness, weighted_accuracy
from skraee.states import States, unpacked
from skraee.sweep import softmax

Float32Array = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.integer]

#: Penalties that are tried, on standardised features.
PENALTIES = 10.0 ** np.arange(1.0, 5.6, 0.5)

#: Texts that are solved for; of more, a stratified sample.
READOUT_SAMPLES = 20_000

# Features that vary by less than this share of their size are constant but for
# rounding; scaled up they would be noise.
_CONSTANT = 1e-6


@dataclass(frozen=True, eq=False)
class RidgeReadout:
    """States at the depths passed to scores of the classes.

    Attributes
    ----------
    coef : ndarray of shape (m + 1, F, C), float32
        On the features as they come, F = P * H of them.
    intercept : ndarray of shape (m + 1, C), float32
        `coef` and `intercept` hold the depth's sharpness already.
    gain : ndarray of shape (m + 1,)
        Weight of a depth's log-probabilities in the average over the depths passed:
        how far its leave-one-out accuracy is from chance.
    sharpness : ndarray of shape (m + 1,)
        Factor on the average; what it gives are calibrated log-probabilities but for
        a constant.
    penalty : ndarray of shape (m + 1,)
        Chosen at each depth; for information.
    """

    coef: Float32Array
    intercept: Float32Array
    gain: FloatArray
    sharpness: FloatArray
    penalty: FloatArray

    @property
    def n_classes(self) -> int:
        """Number of classes C."""
        return int(self.intercept.shape[1])

    def scores(self, states: States) -> Float32Array:
        """Score texts at every depth.

        The plain form of what `skraee.backbone.scoring` does on the way.

        Parameters
        ----------
        states : ndarray of shape (n, m + 1, P, H)

        Returns
        -------
        scores : ndarray of shape (n, m + 1, C), float32
            Softmax gives the probabilities.
        """
        n, n_depths = states.shape[:2]
        logs = np.empty((n_depths, n, self.n_classes))
        for depth in range(n_depths):
            features = _features(states, depth).astype(np.float32, copy=False)
            logs[depth] = features @ self.coef[depth] + self.intercept[depth]
        averaged = average(log_softmax(logs, axis=2), self.gain)
        averaged *= self.sharpness[:, None, None]
        return np.moveaxis(averaged, 0, 1).astype(np.float32)


def fit_ridge(
    states: States,
    codes: IntArray,
    n_classes: int,
    weights: FloatArray,
    seed: Any = 0,
) -> tuple[RidgeReadout, Float32Array]:
    """Solve every depth and read the texts without themselves.

    Parameters
    ----------
    states : ndarray of shape (n, m + 1, P, H)
        One depth at a time is in memory as floats.
    codes : ndarray of shape (n,)
        Class codes, 0 to n_classes - 1.
    n_classes : int
    weights : ndarray of shape (n,)
        Of the texts.
    seed : int
        Of the sample, where there are more than `READOUT_SAMPLES` texts.

    Returns
    -------
    readout : RidgeReadout
    proba : ndarray of shape (n, m + 1, C), float32
        Of every text, by a readout that did not see it.

    Raises
    ------
    ValueError
        If there are fewer than two texts.
    """
    n, n_depths = states.shape[:2]
    if n < 2:
        raise ValueError(
            f"readout='ridge' leaves one text out to see how well it reads it, got "
            f"n_samples={n}; give more texts, or set readout='lm_head'."
        )
    chosen = _sample(codes, seed)
    rest = np.setdiff1d(np.arange(n), chosen)
    own_codes, own_weights = codes[chosen], weights[chosen]
    targets = np.where(own_codes[:, None] == np.arange(n_classes), 1.0, -1.0)
    logs = np.empty((n_depths, n, n_classes))
    maps = []
    for depth in range(n_depths):
        features = _features(states, depth)
        solved = solve(features[chosen], targets, own_weights)
        scores = solved.left_out
        sharp = fit_sharpness(scores, own_codes, own_weights)
        logs[depth, chosen] = scores * sharp
        logs[depth, rest] = sharp * (features[rest] @ solved.coef + solved.intercept)
        maps.append((sharp * solved.coef, sharp * solved.intercept, solved.penalty))
    logs = log_softmax(logs, axis=2)
    gain = _gain(logs[:, chosen], own_codes, own_weights)
    averaged = average(logs, gain)
    sharpness = np.array(
        [fit_sharpness(a[chosen], own_codes, own_weights) for a in averaged]
    )
    averaged *= sharpness[:, None, None]
    coef, intercept, penalty = (np.stack(part) for part in zip(*maps, strict=True))
    readout = RidgeReadout(
        coef=coef.astype(np.float32),
        intercept=intercept.astype(np.float32),
        gain=gain,
        sharpness=sharpness,
        penalty=penalty,
    )
    return readout, softmax(np.moveaxis(averaged, 0, 1))


@dataclass(frozen=True, eq=False)
class Solved:
    """A weighted ridge regression with intercept.

    Attributes
    ----------
    coef : ndarray of shape (F, C)
        On the features as they came.
    intercept : ndarray of shape (C,)
    penalty : float
        The one with the least leave-one-out error.
    left_out : ndarray of shape (n, C)
        Predictions for each text by a regression without it.
    """

    coef: FloatArray
    intercept: FloatArray
    penalty: float
    left_out: FloatArray


def solve(
    features: npt.NDArray[Any],
    targets: FloatArray,
    weights: FloatArray,
    penalties: FloatArray = PENALTIES,
) -> Solved:
    """Solve a ridge regression for every penalty at once and choose by leave-one-out.

    Features are standardised (mean and deviation of the texts given). With Z the
    centred features times the roots of the weights, the hat matrix is
    Z (Z'Z + penalty)^-1 Z' plus that of the intercept, and the prediction without
    text i is y_i - (y_i - yhat_i) / (1 - h_ii).

    Parameters
    ----------
    features : ndarray of shape (n, F)
    targets : ndarray of shape (n, C)
    weights : ndarray of shape (n,)
        All above 0.
    penalties : ndarray, optional

    Returns
    -------
    Solved
    """
    center, scale = _center_and_scale(features)
    standard = (features - center) / scale
    share = weights / weights.sum()
    root = np.sqrt(weights * (len(weights) / weights.sum()))[:, None]
    middle, level = share @ standard, share @ targets
    standard -= middle
    standard *= root
    wanted = root * (targets - level)
    decomposed = _decomposed(standard, wanted)

    kept = 1.0 - share[:, None] - decomposed.leverages(penalties)
    off = [
        (wanted - decomposed.fitted(penalty)) / kept[:, i, None]
        for i, penalty in enumerate(penalties)
    ]
    errors = np.array([(part**2).sum() for part in off])
    best = len(errors) - 1 - int(errors[::-1].argmin())  # of equals, the largest
    coef = decomposed.coef(penalties[best])
    own_coef = coef / scale[:, None]
    return Solved(
        coef=own_coef,
        intercept=level - center @ own_coef - middle @ coef,
        penalty=float(penalties[best]),
        left_out=targets - off[best] / root,
    )


def average(logs: FloatArray, gain: FloatArray) -> FloatArray:
    """Average log-probabilities over the depths passed, by their gain over chance.

    Parameters
    ----------
    logs : ndarray of shape (m + 1, n, C)
    gain : ndarray of shape (m + 1,)

    Returns
    -------
    averaged : ndarray of shape (m + 1, n, C)
        Where no depth so far had any gain, the depth's own.
    """
    total = np.cumsum(gain)
    summed = np.cumsum(gain[:, None, None] * logs, axis=0)
    has_gain = total > 0
    averaged = logs.copy()
    averaged[has_gain] = summed[has_gain] / total[has_gain, None, None]
    return averaged


def _features(states: States, depth: int) -> Float32Array:
    """Return the features (n, P * H) of a depth."""
    return unpacked(np.ascontiguousarray(states[:, depth])).reshape(len(states), -1)


def _sample(codes: IntArray, seed: Any) -> IntArray:
    """Draw the texts to solve for: every class by its share, and at least one of it."""
    n = len(codes)
    if n <= READOUT_SAMPLES:
        return np.arange(n)
    shuffled = check_random_state(seed).permutation(n)
    of_class = shuffled[np.argsort(codes[shuffled], kind="stable")]
    counts = np.bincount(codes)
    rank = np.arange(n) - (np.cumsum(counts) - counts)[codes[of_class]]
    share = np.where(rank == 0, 0.0, (rank + 0.5) / counts[codes[of_class]])
    return np.sort(of_class[np.argsort(share, kind="stable")[:READOUT_SAMPLES]])


def _gain(logs: FloatArray, codes: IntArray, weights: FloatArray) -> FloatArray:
    """Return how far each depth's leave-one-out accuracy is from chance to 1."""
    accuracy = weighted_accuracy(np.moveaxis(logs, 0, 1), codes, weights)
    chance = float(np.bincount(codes, weights=weights).max() / weights.sum())
    if chance == 1.0:
        return np.ones(len(logs))
    gain: FloatArray = np.maximum(0.0, (accuracy - chance) / (1.0 - chance))
    return gain


def _center_and_scale(features: npt.NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    center = features.mean(axis=0, dtype=np.float64)
    scale = features.std(axis=0, dtype=np.float64)
    size = np.abs(features).max(axis=0).astype(np.float64)
    scale[scale <= _CONSTANT * size] = np.inf  # a constant feature says nothing
    return center, scale


@dataclass(frozen=True, eq=False)
class _Decomposed:
    """Z = U S V', as far as ridge needs it: for any penalty, in one product."""

    values: FloatArray  # S**2
    left: FloatArray  # U S (n, r)
    projected: FloatArray  # S U' Y (r, C)
    right: Callable[[FloatArray], FloatArray]  # (r, C) -> V @ (r, C)

    def fitted(self, penalty: float) -> FloatArray:
        return self.left @ (self.projected / (self.values + penalty)[:, None])

    def leverages(self, penalties: FloatArray) -> FloatArray:
        return (self.left**2) @ (1.0 / (self.values[:, None] + penalties))

    def coef(self, penalty: float) -> FloatArray:
        return self.right(self.projected / (self.values + penalty)[:, None])


def _decomposed(z: FloatArray, y: FloatArray) -> _Decomposed:
    """Decompose by the smaller of Z'Z and ZZ'."""
    n, n_features = z.shape
    if n > n_features:
        values, v = np.linalg.eigh(z.T @ z)
        return _Decomposed(values.clip(0), z @ v, v.T @ (z.T @ y), lambda a: v @ a)
    values, u = np.linalg.eigh(z @ z.T)
    values = values.clip(0)
    root = np.sqrt(values)
    real = values > values.max(initial=0) * n * np.finfo(np.float64).eps

    def right(a: FloatArray) -> FloatArray:
        unscaled = np.divide(
            a, root[:, None], out=np.zeros_like(a), where=real[:, None]
        )
        found: FloatArray = z.T @ (u @ unscaled)  # V = Z' U / S
        return found

    return _Decomposed(values, u * root, root[:, None] * (u.T @ y), right)
