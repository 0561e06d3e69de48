"""The closed-form readout: at every depth small linear maps from states to classes.

It is solved, not trained: at each depth a ridge regression onto the classes for each
part of the states (read position, text, words around it), whose penalty is chosen by
its exact leave-one-out error, which the same decomposition gives. The parts are solved
apart and their log-probabilities averaged: that costs a seventh of one solution for
all of them, and reads better (docs/candidates.md). Whatever the classifier learns about
its depths on the way (temperatures, weights, exit information) comes from leave-one-out
scores, since fitted ones would all look right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax
from sklearn.utils import check_random_state

from skraee.engine.states import States, unpacked
from skraee.readout.calibration import fit_sharpness, weighted_accuracy
from skraee.readout.ties import ROUNDING, tied
from skraee.sweep.layer_sweep import softmax

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
IntegerArray = npt.NDArray[np.integer]

#: Penalties that are tried, on standardised features.
PENALTIES = 10.0 ** np.arange(1.0, 5.6, 0.5)

#: Texts that are solved for; of more, a stratified sample.
READOUT_SAMPLES = 20_000

#: A readout counts by this power of its gain over chance: good ones more than in
#: proportion (docs/candidates.md has other powers).
POWER = 6

# A smaller gain is none: it may be rounding, and its power nothing in float32.
_LEAST_GAIN = 1e-3

# Features that vary by less than this share of their size are constant but for
# rounding; scaled up they would be noise.
_CONSTANT = 1e-6


@dataclass(frozen=True, eq=False)
class RidgeReadout:
    """States at the depths passed to scores of the classes.

    Attributes
    ----------
    coef : ndarray of shape (m + 1, P, H, C), float32
        On the features as they come, for each of the P parts of a state.
    intercept : ndarray of shape (m + 1, P, C), float32
        `coef` and `intercept` hold the part's sharpness already.
    weight : ndarray of shape (m + 1, P)
        Of a part's log-probabilities in the average over the depths passed: the sixth
        power of how far its leave-one-out accuracy is from chance.
    sharpness : ndarray of shape (m + 1,)
        Factor on the average; what it gives are calibrated log-probabilities but for
        a constant.
    penalty : ndarray of shape (m + 1, P)
        Chosen for each part; for information.
    """

    coef: Float32Array
    intercept: Float32Array
    weight: Float64Array
    sharpness: Float64Array
    penalty: Float64Array

    @property
    def n_classes(self) -> int:
        """Number of classes C."""
        return int(self.intercept.shape[2])

    def scores(self, states: States) -> Float32Array:
        """Score texts at every depth.

        The plain form of what `skraee.readout.scorers` does on the way.

        Parameters
        ----------
        states : ndarray of shape (n, m + 1, P, H)

        Returns
        -------
        scores : ndarray of shape (n, m + 1, C), float32
            Softmax gives the probabilities.
        """
        n, n_depths = states.shape[:2]
        scores = np.empty((n, n_depths, self.n_classes), np.float32)
        passed = Passed()
        for depth in range(n_depths):
            features = _features(states, depth).astype(np.float32, copy=False)
            linear = features @ self.coef[depth] + self.intercept[depth][:, None]
            averaged = passed.add(log_softmax(linear, axis=2), self.weight[depth])
            scores[:, depth] = averaged * self.sharpness[depth]
        return scores


def fit_ridge(
    states: States,
    codes: IntegerArray,
    n_classes: int,
    weights: Float64Array,
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
        Of the texts. One without weight is read, but takes no part in the solution.
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
        If there are fewer than two texts with a weight.
    """
    n, n_depths, n_parts = states.shape[:3]
    weighted = np.flatnonzero(weights)
    if len(weighted) < 2:
        lighter = "" if len(weighted) == n else ", of which some weigh nothing"
        raise ValueError(
            "the closed-form readout leaves one text out to see how well it reads it, "
            f"got n_samples={n}{lighter}; give more texts."
        )
    chosen = weighted[_sample(codes[weighted], seed)]
    rest = np.setdiff1d(np.arange(n), chosen)
    own_codes, own_weights = codes[chosen], weights[chosen]
    targets = np.where(own_codes[:, None] == np.arange(n_classes), 1.0, -1.0)
    proba = np.empty((n, n_depths, n_classes), np.float32)
    maps, weight, sharpness = [], np.empty((n_depths, n_parts)), np.empty(n_depths)
    passed = Passed()
    for depth in range(n_depths):
        logs = np.empty((n_parts, n, n_classes))
        for part, features in enumerate(_features(states, depth)):
            solved = solve(features[chosen], targets, own_weights)
            sharp = fit_sharpness(solved.left_out, own_codes, own_weights)
            logs[part, chosen] = solved.left_out
            logs[part, rest] = features[rest] @ solved.coef + solved.intercept
            logs[part] = log_softmax(sharp * logs[part], axis=1)
            gain = gain_over_chance(logs[part, chosen], own_codes, own_weights)
            weight[depth, part] = gain**POWER
            maps.append((sharp * solved.coef, sharp * solved.intercept, solved.penalty))
        averaged = passed.add(logs, weight[depth])
        sharpness[depth] = fit_sharpness(averaged[chosen], own_codes, own_weights)
        proba[:, depth] = softmax(averaged * sharpness[depth])
    coef, intercept, penalty = (np.stack(each) for each in zip(*maps, strict=True))
    readout = RidgeReadout(
        coef=coef.astype(np.float32).reshape(n_depths, n_parts, -1, n_classes),
        intercept=intercept.astype(np.float32).reshape(n_depths, n_parts, n_classes),
        weight=weight,
        sharpness=sharpness,
        penalty=penalty.reshape(n_depths, n_parts),
    )
    return readout, proba


class Passed:
    """Log-probabilities of texts, averaged over the depths that they passed."""

    def __init__(self) -> None:
        self._sum: Any = 0.0
        self._weight = 0.0

    def add(self, logs: Float64Array, weight: Float64Array) -> Float64Array:
        """Pass a depth.

        Parameters
        ----------
        logs : ndarray of shape (P, n, C)
            Log-probabilities, by each part.
        weight : ndarray of shape (P,)
            How much a part counts.

        Returns
        -------
        averaged : ndarray of shape (n, C)
            Where no part of any depth so far counts, the plain mean of this depth's.
        """
        self._sum = self._sum + np.tensordot(weight, logs, axes=1)
        self._weight += weight.sum()
        averaged: Float64Array = (
            self._sum / self._weight if self._weight else logs.mean(axis=0)
        )
        return averaged


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

    coef: Float64Array
    intercept: Float64Array
    penalty: float
    left_out: Float64Array


def solve(
    features: npt.NDArray[Any],
    targets: Float64Array,
    weights: Float64Array,
    penalties: Float64Array = PENALTIES,
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
    kept = kept.clip(np.finfo(np.float64).eps)  # a text that outweighs all the others
    off = [
        (wanted - decomposed.fitted(penalty)) / kept[:, i, None]
        for i, penalty in enumerate(penalties)
    ]
    errors = np.array([(part**2).sum() for part in off])
    size = float((weights @ targets**2).sum() * len(weights) / weights.sum())
    best = int(np.flatnonzero(tied(-errors, size))[-1])  # of equals, the largest
    coef = decomposed.coef(penalties[best])
    own_coef = coef / scale[:, None]
    return Solved(
        coef=own_coef,
        intercept=level - center @ own_coef - middle @ coef,
        penalty=float(penalties[best]),
        left_out=targets - off[best] / root,
    )


def _features(states: States, depth: int) -> Float32Array:
    """Return the features (P, n, H) of a depth."""
    return unpacked(np.ascontiguousarray(states[:, depth].swapaxes(0, 1)))


def _sample(codes: IntegerArray, seed: Any) -> IntegerArray:
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


def gain_over_chance(
    logs: Float64Array, codes: IntegerArray, weights: Float64Array
) -> float:
    """Return how far the accuracy of log-probabilities (n, C) is from chance to 1.

    Chance is the share of the largest class; what is not above it is 0.
    """
    accuracy = float(weighted_accuracy(logs, codes, weights))
    of_class = np.bincount(codes, weights=weights)
    chance = float(of_class.max() / of_class.sum())
    if chance == 1.0:
        return 1.0
    gain = (accuracy - chance) / (1.0 - chance)
    return gain if gain > _LEAST_GAIN - ROUNDING else 0.0


def _center_and_scale(features: npt.NDArray[Any]) -> tuple[Float64Array, Float64Array]:
    center = features.mean(axis=0, dtype=np.float64)
    scale = features.std(axis=0, dtype=np.float64)
    size = np.abs(features).max(axis=0).astype(np.float64)
    scale[scale <= _CONSTANT * size] = np.inf  # a constant feature says nothing
    return center, scale


@dataclass(frozen=True, eq=False)
class _Decomposed:
    """Z = U S V', as far as ridge needs it: for any penalty, in one product."""

    values: Float64Array  # S**2
    left: Float64Array  # U S (n, r)
    projected: Float64Array  # S U' Y (r, C)
    right: Callable[[Float64Array], Float64Array]  # (r, C) -> V @ (r, C)

    def fitted(self, penalty: float) -> Float64Array:
        return self.left @ (self.projected / (self.values + penalty)[:, None])

    def leverages(self, penalties: Float64Array) -> Float64Array:
        return (self.left**2) @ (1.0 / (self.values[:, None] + penalties))

    def coef(self, penalty: float) -> Float64Array:
        return self.right(self.projected / (self.values + penalty)[:, None])


def _decomposed(z: Float64Array, y: Float64Array) -> _Decomposed:
    """Decompose by the smaller of Z'Z and ZZ'."""
    n, n_features = z.shape
    if n > n_features:
        values, v = np.linalg.eigh(z.T @ z)
        return _Decomposed(values.clip(0), z @ v, v.T @ (z.T @ y), lambda a: v @ a)
    values, u = np.linalg.eigh(z @ z.T)
    values = values.clip(0)
    root = np.sqrt(values)
    real = values > values.max(initial=0) * n * np.finfo(np.float64).eps

    def right(a: Float64Array) -> Float64Array:
        unscaled = np.divide(
            a, root[:, None], out=np.zeros_like(a), where=real[:, None]
        )
        found: Float64Array = z.T @ (u @ unscaled)  # V = Z' U / S
        return found

    return _Decomposed(values, u * root, root[:, None] * (u.T @ y), right)
