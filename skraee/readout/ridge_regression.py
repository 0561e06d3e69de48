"""A ridge regression for every penalty at once, with its exact leave-one-out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from skraee.readout.ties import tied

Float64Array = npt.NDArray[np.float64]

#: Penalties that are tried, on standardised features.
PENALTIES = 10.0 ** np.arange(1.0, 5.6, 0.5)

# Features that vary by less than this share of their size are constant but for
# rounding; scaled up they would be noise.
_CONSTANT = 1e-6


@dataclass(frozen=True, eq=False)
class Solved:
    """A weighted ridge regression with intercept.

    Attributes
    ----------
    coef : ndarray of shape (F, C)
        On the features as they came.
    intercept : ndarray of shape (C,)
        On the features as they came, too.
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
        As they come; they are centred and scaled here.
    targets : ndarray of shape (n, C)
        One column for each class, 1 and -1.
    weights : ndarray of shape (n,)
        All above 0.
    penalties : ndarray, optional
        To choose from; `PENALTIES` by default.

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
