"""Ridge regressions of every depth from sums over texts, which machines make apart.

What a ridge regression needs of n texts are their second moments: of F features F x F
numbers, however many texts there are. They are summed where the texts are swept, and
merged as they come: sums about the mean of each part, so that nothing is lost where a
feature's mean is large against its spread (Chan, Golub and LeVeque, "Updating formulae
and a pairwise algorithm for computing sample variances", 1979).

Sums know no single text, so there is no leave-one-out. Texts are dealt out to a few
folds, each with sums of its own: the penalty is the one with the least error of folds
that were left out, and what a left-out text is told is read by the regression without
its fold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from skraee.engine.states import States, unpacked
from skraee.readout.ridge_regression import PENALTIES, feature_scale
from skraee.readout.ties import tied

Float64Array = npt.NDArray[np.float64]
IntegerArray = npt.NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over n weighted texts, of P parts of F features at each of D depths.

    Attributes
    ----------
    n : int
        Texts with a weight.
    weight : float
        Sum of the weights.
    mean : ndarray of shape (D, P, F)
        Weighted means of the features.
    level : ndarray of shape (C,)
        Weighted means of the targets, 1 for the class and -1 for the others.
    gram : ndarray of shape (D, P, F, F)
        Weighted sums of products of two features, less their means.
    cross : ndarray of shape (D, P, F, C)
        The same of a feature and a target.
    energy : float
        The same of the targets with themselves, all together.
    center : ndarray of shape (D, P, F)
        Means of the features without weights.
    spread : ndarray of shape (D, P, F)
        Sums of their squares less these, without weights.
    size : ndarray of shape (D, P, F)
        Largest absolute values.
    """

    n: int
    weight: float
    mean: Float64Array
    level: Float64Array
    gram: Float64Array
    cross: Float64Array
    energy: float
    center: Float64Array
    spread: Float64Array
    size: Float64Array

    @classmethod
    def of(
        cls, states: States, codes: IntegerArray, n_classes: int, weights: Float64Array
    ) -> Moments:
        """Sum over texts; those without a weight have no part.

        Parameters
        ----------
        states : ndarray of shape (n, D, P, F)
            One depth at a time is in memory as float64.
        codes : ndarray of shape (n,)
            Class codes.
        n_classes : int
            Number of classes C.
        weights : ndarray of shape (n,)
        """
        rows = np.flatnonzero(weights)
        states, codes, weights = states[rows], codes[rows], weights[rows]
        n, n_depths, n_parts, n_features = states.shape
        share = weights / max(weights.sum(), np.finfo(np.float64).tiny)
        targets = np.where(codes[:, None] == np.arange(n_classes), 1.0, -1.0)
        level = share @ targets
        targets -= level
        weighted = weights[:, None] * targets
        shape = n_depths, n_parts, n_features
        mean, center, spread, size = (np.zeros(shape) for _ in range(4))
        gram = np.empty((*shape, n_features))
        cross = np.empty((*shape, n_classes))
        for depth, part in np.ndindex(n_depths, n_parts):
            x = unpacked(states[:, depth, part]).astype(np.float64)
            if n:
                center[depth, part] = x.mean(axis=0)
                spread[depth, part] = x.var(axis=0) * n
                size[depth, part] = np.abs(x).max(axis=0)
            mean[depth, part] = share @ x
            x -= mean[depth, part]
            gram[depth, part] = x.T @ (weights[:, None] * x)
            cross[depth, part] = x.T @ weighted
        energy = float((weighted * targets).sum())
        total = float(weights.sum())
        return cls(n, total, mean, level, gram, cross, energy, center, spread, size)

    def merged(self, other: Moments) -> Moments:
        """Return the sums over the texts of both.

        Parameters
        ----------
        other : Moments
            Of other texts, of the same depths, parts, features and classes.
        """
        if not other.n or not self.n:
            return self if self.n else other
        n, weight = self.n + other.n, self.weight + other.weight
        apart = self.weight * other.weight / weight
        mean, level = other.mean - self.mean, other.level - self.level
        center = other.center - self.center
        return Moments(
            n=n,
            weight=weight,
            mean=self.mean + mean * (other.weight / weight),
            level=self.level + level * (other.weight / weight),
            gram=self.gram
            + other.gram
            + apart * mean[..., :, None] * mean[..., None, :],
            cross=self.cross + other.cross + apart * mean[..., None] * level,
            energy=self.energy + other.energy + apart * float(level @ level),
            center=self.center + center * (other.n / n),
            spread=self.spread + other.spread + center**2 * (self.n * other.n / n),
            size=np.maximum(self.size, other.size),
        )


def merged(parts: Sequence[Moments]) -> Moments:
    """Return the sums over the texts of all parts, of which there is one at least."""
    return reduce(Moments.merged, parts)


@dataclass(frozen=True, eq=False)
class SolvedByMoments:
    """Ridge regressions of every depth and part, on all texts and without each fold.

    Attributes
    ----------
    coef : ndarray of shape (D, P, F, C)
        On the features as they come.
    intercept : ndarray of shape (D, P, C)
    penalty : ndarray of shape (D, P)
        The one with the least error of left-out folds.
    coef_without, intercept_without : ndarray of shape (K, D, P, F, C), (K, D, P, C)
        The same, with the same penalty, without each of K folds.
    """

    coef: Float64Array
    intercept: Float64Array
    penalty: Float64Array
    coef_without: Float64Array
    intercept_without: Float64Array

    def left_out(self, states: States, folds: IntegerArray) -> npt.NDArray[np.float32]:
        """Score texts at every depth, each by the regressions without its fold.

        Parameters
        ----------
        states : ndarray of shape (n, D, P, F)
        folds : ndarray of shape (n,)

        Returns
        -------
        scores : ndarray of shape (n, D, P, C), float32
        """
        scores = np.empty((*states.shape[:3], self.coef.shape[-1]), np.float32)
        for fold in np.unique(folds):
            rows = np.flatnonzero(folds == fold)
            for depth, part in np.ndindex(states.shape[1:3]):
                x = unpacked(states[rows, depth, part])
                at = fold, depth, part
                scores[rows, depth, part] = (
                    x @ self.coef_without[at] + self.intercept_without[at]
                )
        return scores


def solve_moments(
    folds: Sequence[Moments], penalties: Float64Array = PENALTIES
) -> SolvedByMoments:
    """Solve every depth and part, and choose each penalty by left-out folds.

    The regression is that of :func:`skraee.readout.ridge_regression.solve`: features
    have mean 0 and deviation 1 over all texts, weights a mean of 1.

    Parameters
    ----------
    folds : sequence of K Moments
        At least two that have texts; one without takes no part.
    penalties : ndarray, optional
        To choose from; `PENALTIES` by default.

    Raises
    ------
    ValueError
        If fewer than two folds have a text with a weight.
    """
    if sum(one.n > 0 for one in folds) < 2:
        raise ValueError(
            "sums over texts are judged by folds that are left out, and "
            f"{sum(one.n > 0 for one in folds)} of {len(folds)} have a text; give more "
            "texts, or fit on one machine, which leaves out single texts."
        )
    whole = merged(folds)
    n_classes = len(whole.level)
    shape = whole.mean.shape
    coef, intercept = np.empty((*shape, n_classes)), np.empty((*shape[:2], n_classes))
    penalty = np.empty(shape[:2])
    coef_without = np.empty((len(folds), *coef.shape))
    intercept_without = np.empty((len(folds), *intercept.shape))
    rests = [
        merged([one for one in folds if one is not left]) if left.n else whole
        for left in folds
    ]
    for at in np.ndindex(*shape[:2]):
        scale = feature_scale(whole.spread[at] / whole.n, whole.size[at])
        factor = whole.n / whole.weight
        eigen = [_Eigen.of(rest, at, scale, factor) for rest in rests]
        penalty[at] = _chosen(folds, eigen, at, penalties)
        found = _Eigen.of(whole, at, scale, factor)
        coef[at], intercept[at] = found.solved(float(penalty[at]))
        for fold, without in enumerate(eigen):
            both = without.solved(float(penalty[at]))
            coef_without[fold][at], intercept_without[fold][at] = both
    return SolvedByMoments(coef, intercept, penalty, coef_without, intercept_without)


class _Eigen(NamedTuple):
    """The sums of one part at one depth, decomposed: for any penalty, two products."""

    values: Float64Array
    vectors: Float64Array
    projected: Float64Array
    scale: Float64Array
    mean: Float64Array
    level: Float64Array

    @classmethod
    def of(
        cls, whole: Moments, at: tuple[int, ...], scale: Float64Array, factor: float
    ) -> _Eigen:
        gram = whole.gram[at] * factor / np.multiply.outer(scale, scale)
        cross = whole.cross[at] * factor / scale[:, None]
        values, vectors = np.linalg.eigh(gram)
        projected = vectors.T @ cross
        values = values.clip(0)
        return cls(values, vectors, projected, scale, whole.mean[at], whole.level)

    def solved(self, penalty: float) -> tuple[Float64Array, Float64Array]:
        """Return coefficients (F, C) and intercept (C,) on features as they come."""
        standard = self.vectors @ (self.projected / (self.values + penalty)[:, None])
        coef: Float64Array = standard / self.scale[:, None]
        return coef, self.level - self.mean @ coef


def _chosen(
    folds: Sequence[Moments],
    eigen: Sequence[_Eigen],
    at: tuple[int, ...],
    penalties: Float64Array,
) -> float:
    """Return the largest penalty whose left-out folds have the least error."""
    errors = np.zeros(len(penalties))
    size = 0.0
    for fold, without in zip(folds, eigen, strict=True):
        size += fold.energy + fold.weight * float(fold.level @ fold.level)
        for i, penalty in enumerate(penalties):
            errors[i] += _error(fold, at, *without.solved(penalty))
    return float(penalties[np.flatnonzero(tied(-errors, size))[-1]])


def _error(
    fold: Moments, at: Any, coef: Float64Array, intercept: Float64Array
) -> float:
    """Return the weighted sum of squares by which a regression misses a fold."""
    off = fold.level - intercept - fold.mean[at] @ coef
    within = (coef * (fold.gram[at] @ coef - 2.0 * fold.cross[at])).sum()
    return float(fold.weight * (off @ off) + fold.energy + within)
