"""A ridge regression for every penalty at once, with its exact leave-one-out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from skraee.readout.ties import tied

Float64Array = npt.NDArray[np.float64]
IntegerArray = npt.NDArray[np.integer]

#: Penalties that are tried, on standardised features.
PENALTIES = 10.0 ** np.arange(1.0, 5.6, 0.5)

# Features that vary by less than this share of their size are constant but for
# rounding; scaled up they would be noise.
_CONSTANT = 1e-6

# One that varies by less than this share of what the most varied does is a unit that
# training has put out; all-MiniLM-L6-v2 has two, of 1e-32. Scaled up, it would have a
# coefficient with which other states overflow, and files with such ones are refused.
_PUT_OUT = 1e-12


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
    without_folds : callable
        Gives, for the fold (n,) of each text, its predictions (n, C) by a regression
        with this penalty without all texts of the fold.
    """

    coef: Float64Array
    intercept: Float64Array
    penalty: float
    left_out: Float64Array
    without_folds: Callable[[IntegerArray], Float64Array]


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
    centered = Centered.of(targets, weights)
    middle = centered.share @ standard
    standard -= middle
    standard *= centered.root
    decomposed = _decomposed(standard, centered.wanted)
    penalty, left_out = centered.chosen(decomposed, penalties)
    coef = decomposed.coef(penalty)
    own_coef = coef / scale[:, None]
    return Solved(
        coef=own_coef,
        intercept=centered.level - center @ own_coef - middle @ coef,
        penalty=penalty,
        left_out=left_out,
        without_folds=partial(centered.without_folds, decomposed, penalty),
    )


class SolvedByTexts(NamedTuple):
    """A ridge regression as a sum over the texts that were solved for.

    Parameters
    ----------
    dual : ndarray of shape (n, C)
        A coefficient is the sum of the texts' centred features times these.
    penalty : float
    left_out : ndarray of shape (n, C)
    without_folds : callable
        As in `Solved`.
    """

    dual: Float64Array
    penalty: float
    left_out: Float64Array
    without_folds: Callable[[IntegerArray], Float64Array]


@dataclass(frozen=True, eq=False)
class Centered:
    """Weighted targets without their mean: what a regression has to explain.

    Attributes
    ----------
    targets : ndarray of shape (n, C)
        As they came.
    share : ndarray of shape (n,)
        Of the texts in all weights.
    root : ndarray of shape (n, 1)
        Of the weights, scaled to a mean of 1.
    level : ndarray of shape (C,)
        Weighted mean of the targets.
    wanted : ndarray of shape (n, C)
        Targets without it, times `root`.
    size : float
        Weighted sum of the targets' squares.
    """

    targets: Float64Array
    share: Float64Array
    root: Float64Array
    level: Float64Array
    wanted: Float64Array
    size: float

    @classmethod
    def of(cls, targets: Float64Array, weights: Float64Array) -> Self:
        """Centre targets (n, C) of texts of these weights (n,), all above 0."""
        share = weights / weights.sum()
        root = np.sqrt(weights * (len(weights) / weights.sum()))[:, None]
        level = share @ targets
        size = float((weights @ targets**2).sum() * len(weights) / weights.sum())
        return cls(targets, share, root, level, root * (targets - level), size)

    def chosen(
        self, decomposed: _Decomposed, penalties: Float64Array
    ) -> tuple[float, Float64Array]:
        """Return the penalty of the least leave-one-out error, and what it predicts.

        Parameters
        ----------
        decomposed : _Decomposed
            Of the centred features.
        penalties : ndarray
            To choose from.
        """
        kept = 1.0 - self.share[:, None] - decomposed.leverages(penalties)
        # A text may outweigh all the others.
        kept = kept.clip(np.finfo(np.float64).eps)
        off = [
            (self.wanted - decomposed.fitted(penalty)) / kept[:, i, None]
            for i, penalty in enumerate(penalties)
        ]
        errors = np.array([(part**2).sum() for part in off])
        best = int(np.flatnonzero(tied(-errors, self.size))[-1])  # the largest
        return float(penalties[best]), self.targets - off[best] / self.root

    def without_folds(
        self, decomposed: _Decomposed, penalty: float, folds: IntegerArray
    ) -> Float64Array:
        """Predict for each text by a regression without all texts of its fold.

        Of the residuals of a fold, with H its block of the hat matrix, those by a
        regression without it are (I - H)^-1 times those with it.

        Parameters
        ----------
        decomposed : _Decomposed
            Of the centred features.
        penalty : float
        folds : ndarray of shape (n,)
            Numbers of the folds; a fold takes time by the cube of its size.

        Returns
        -------
        ndarray of shape (n, C)
        """
        off = self.wanted - decomposed.fitted(penalty)
        share_root = np.sqrt(self.share)
        scaled = decomposed.left / (decomposed.values + penalty)
        for fold in np.unique(folds):
            rows = np.flatnonzero(folds == fold)
            hat = scaled[rows] @ decomposed.left[rows].T
            hat += np.outer(share_root[rows], share_root[rows])
            # A fold may outweigh all the others.
            kept = (1.0 + np.finfo(np.float64).eps) * np.eye(len(rows)) - hat
            off[rows] = np.linalg.solve(kept, off[rows])
        return self.targets - off / self.root

    def solve_gram(self, gram: Float64Array, penalties: Float64Array) -> SolvedByTexts:
        """Solve by the products of the texts' features, which may be very many.

        Parameters
        ----------
        gram : ndarray of shape (n, n)
            Products of the features less their weighted mean.
        penalties : ndarray
            To choose from.
        """
        values, u = np.linalg.eigh(self.root * gram * self.root.T)
        values = values.clip(0)
        root = np.sqrt(values)
        projected = u.T @ self.wanted
        decomposed = _Decomposed(values, u * root, root[:, None] * projected)
        penalty, left_out = self.chosen(decomposed, penalties)
        dual = self.root * (u @ (projected / (values + penalty)[:, None]))
        without_folds = partial(self.without_folds, decomposed, penalty)
        return SolvedByTexts(dual, penalty, left_out, without_folds)


def _center_and_scale(features: npt.NDArray[Any]) -> tuple[Float64Array, Float64Array]:
    center = features.mean(axis=0, dtype=np.float64)
    variance = features.var(axis=0, dtype=np.float64)
    size = np.abs(features).max(axis=0).astype(np.float64)
    return center, feature_scale(variance, size)


def feature_scale(variance: Float64Array, size: Float64Array) -> Float64Array:
    """Return what features are divided by: infinity for those that say nothing.

    Parameters
    ----------
    variance : ndarray of shape (F,)
    size : ndarray of shape (F,)
        Their largest absolute values.
    """
    scale = np.sqrt(variance)
    least = np.maximum(_CONSTANT * size, _PUT_OUT * scale.max(initial=0))
    scale[scale <= least] = np.inf  # what varies so little says nothing
    return scale


@dataclass(frozen=True, eq=False)
class _Decomposed:
    """Z = U S V', as far as ridge needs it: for any penalty, in one product."""

    values: Float64Array  # S**2
    left: Float64Array  # U S (n, r)
    projected: Float64Array  # S U' Y (r, C)

    def fitted(self, penalty: float) -> Float64Array:
        return self.left @ (self.projected / (self.values + penalty)[:, None])

    def leverages(self, penalties: Float64Array) -> Float64Array:
        return (self.left**2) @ (1.0 / (self.values[:, None] + penalties))


@dataclass(frozen=True, eq=False)
class _DecomposedFeatures(_Decomposed):
    """The same of features that are at hand."""

    right: Callable[[Float64Array], Float64Array]  # (r, C) -> V @ (r, C)

    def coef(self, penalty: float) -> Float64Array:
        return self.right(self.projected / (self.values + penalty)[:, None])


def _decomposed(z: Float64Array, y: Float64Array) -> _DecomposedFeatures:
    """Decompose by the smaller of Z'Z and ZZ'."""
    n, n_features = z.shape
    if n > n_features:
        values, v = np.linalg.eigh(z.T @ z)
        projected = v.T @ (z.T @ y)
        return _DecomposedFeatures(values.clip(0), z @ v, projected, lambda a: v @ a)
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

    return _DecomposedFeatures(values, u * root, root[:, None] * (u.T @ y), right)
