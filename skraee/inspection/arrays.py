"""Checks of the arrays that displays are given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

#: Name -> cost and score.
Points = Mapping[str, tuple[float, float]]


def vector(name: str, given: npt.ArrayLike | None) -> Any:
    """Return an array of one dimension, float64; None for None."""
    if given is None:
        return None
    array = np.asarray(given, dtype=float)
    if array.ndim != 1:
        raise ValueError(
            f"{name} must have one dimension, got shape {array.shape}; give a list of "
            "numbers."
        )
    return array


def check_lengths(costs: Any, **others: Any) -> None:
    """Refuse arrays of another length than the costs."""
    for name, other in others.items():
        n = None if costs is None else len(costs)
        if other is not None and len(other) != n:
            raise ValueError(
                f"{name} must have one entry for each cost, got {len(other)} and {n}; "
                "give both of one curve."
            )


def checked_points(name: str, points: Points | None) -> dict[str, tuple[float, float]]:
    """Return named pairs of cost and score as plain numbers."""
    found = {}
    for one, point in (points or {}).items():
        if np.shape(point) != (2,):
            raise ValueError(
                f"{name}[{one!r}] must be a pair of cost and score, got {point!r}; "
                "write for example (0.3, 0.9)."
            )
        found[str(one)] = float(point[0]), float(point[1])
    return found


def check_depths(
    proba: npt.NDArray[Any],
    exit_layer: int,
    *,
    neighbor_proba: npt.NDArray[Any] | None,
    **others: Any,
) -> None:
    """Refuse arrays of one text that are not of the same depths.

    Parameters
    ----------
    proba : ndarray of shape (m + 1,)
    exit_layer : int
    neighbor_proba : ndarray of shape (k, m + 1) or None
    **others : sequence of m + 1 object, or None
    """
    n_depths = len(proba)
    if proba.ndim != 1 or not 0 <= exit_layer < n_depths:
        raise ValueError(
            "proba must hold one number for each depth, and exit_layer be one of "
            f"these, got shape {proba.shape} and {exit_layer}; give both of one text."
        )
    near = neighbor_proba
    if near is not None and (near.ndim != 2 or near.shape[1] != n_depths):
        raise ValueError(
            f"neighbor_proba must be of shape (k, {n_depths}), one row for each "
            f"neighbour, got {near.shape}; give them of the same depths as proba."
        )
    for name, given in others.items():
        if given is not None and len(given) != n_depths:
            raise ValueError(
                f"{name} must have one entry for each of the {n_depths} depths, "
                f"got {len(given)}; give them of the same text."
            )
