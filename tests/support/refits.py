"""Ridge regressions by their normal equations, one text left out after the other."""

from __future__ import annotations

import numpy as np

from skraee.readout.ridge_regression import PENALTIES


def targets_of(codes: np.ndarray, n_classes: int) -> np.ndarray:
    return np.where(codes[:, None] == np.arange(n_classes), 1.0, -1.0)


def standardized(features: np.ndarray) -> np.ndarray:
    features = features.astype(np.float64)
    scale = features.std(axis=0)
    constant = scale <= 1e-6 * np.abs(features).max(axis=0)
    out = (features - features.mean(axis=0)) / np.where(constant, 1.0, scale)
    return np.where(constant, 0.0, out)


def predicted(
    z: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    penalty: float,
    new: np.ndarray,
) -> np.ndarray:
    """Solve a ridge regression by its normal equations, the intercept a column."""
    z, new = np.insert(z, 0, 1.0, axis=1), np.insert(new, 0, 1.0)
    penalties = np.diag(np.insert(np.full(len(new) - 1, penalty), 0, 0.0))
    weighted = weights[:, None] * z
    return new @ np.linalg.solve(z.T @ weighted + penalties, weighted.T @ targets)


def refitted(
    features: np.ndarray, targets: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, float]:
    """Leave every text out by solving without it, for every penalty; the best."""
    z = standardized(features)
    weights = weights * len(weights) / weights.sum()
    best, found = np.inf, (np.zeros(0), 0.0)
    for penalty in PENALTIES:
        left_out = np.empty_like(targets)
        for i in range(len(z)):
            others = np.arange(len(z)) != i
            left_out[i] = predicted(
                z[others], targets[others], weights[others], penalty, z[i]
            )
        error = float((weights[:, None] * (left_out - targets) ** 2).sum())
        if error <= best:
            best, found = error, (left_out, float(penalty))
    return found
