"""What texts weigh, and shares of texts by their weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from skraee.readout.ties import ROUNDING

Float64Array = npt.NDArray[np.float64]
IntegerArray = npt.NDArray[np.integer]

# A smaller gain is none: it may be rounding, and its power nothing in float32.
_LEAST_GAIN = 1e-3

# Standard errors of a one-sided bound with 95 % confidence.
_ONE_SIDED = 1.645


def sample_weights(
    codes: npt.NDArray[np.integer],
    classes: npt.NDArray[Any],
    class_weight: Literal["balanced"] | Mapping[Any, float] | None,
) -> Float64Array:
    """Return the weight of each text; they add up to their number.

    Parameters
    ----------
    codes : ndarray of shape (n,)
        Class codes, 0 to C - 1.
    classes : ndarray of shape (C,)
        The classes by their codes.
    class_weight : None, "balanced" or mapping of class to weight
        As `RAEEClassifier` was given it. "balanced" gives every class that occurs the
        same weight in all. As in scikit-learn, classes that a mapping leaves out weigh
        1, and it may name others where it leaves out none.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    ValueError
        If a mapping leaves classes out and names others in their place, or no text
        has a weight.

    Examples
    --------
    >>> import numpy as np
    >>> from skraee.readout.weights import sample_weights
    >>> codes, classes = np.array([0, 0, 0, 1]), np.array(["no", "yes"])
    >>> print(sample_weights(codes, classes, "balanced"))
    [0.66666667 0.66666667 0.66666667 2.        ]
    >>> print(sample_weights(codes, classes, {"yes": 5}))
    [0.5 0.5 0.5 2.5]
    """
    counts = np.bincount(codes, minlength=len(classes))
    if class_weight is None:
        of_class = np.ones(len(classes))
    elif isinstance(class_weight, str):
        of_class = 1.0 / np.maximum(counts, 1)
    else:
        of_class = _named_weights(classes, class_weight)
    total = float(counts @ of_class)
    if total == 0:
        raise ValueError(
            f"class_weight={class_weight!r} leaves every text of y without weight; "
            "give at least one class of y a weight above 0."
        )
    weights: Float64Array = (of_class * (len(codes) / total))[codes]
    return weights


def _named_weights(
    classes: npt.NDArray[Any], class_weight: Mapping[Any, float]
) -> Float64Array:
    """Return the weights of classes, the largest of them 1."""
    names = classes.tolist()
    unnamed = [name for name in names if name not in class_weight]
    foreign = [name for name in class_weight if name not in names]
    if unnamed and foreign:
        raise ValueError(
            f"class_weight names {foreign}, which are no classes of y, and leaves out "
            f"{unnamed}, which are; name the classes as y has them."
        )
    weights = np.array([class_weight.get(name, 1.0) for name in names], np.float64)
    return weights / (weights.max() or 1.0)


def weighted_accuracy(
    scores: npt.NDArray[np.floating],
    codes: npt.NDArray[np.integer],
    weights: Float64Array,
) -> Float64Array:
    """Return the weighted share of right answers.

    Parameters
    ----------
    scores : ndarray of shape (n, ..., C)
    codes : ndarray of shape (n,)
    weights : ndarray of shape (n,)

    Returns
    -------
    ndarray of shape (...)
    """
    best = scores.argmax(axis=-1)
    return WeightedShare(weights)(best == codes.reshape(-1, *[1] * (best.ndim - 1)))


class WeightedShare:
    """Weighted shares of texts.

    Texts of the same weight are counted, so that neither their order nor which of them
    have a part changes the last bit.

    Parameters
    ----------
    weights : ndarray of shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from skraee.readout.weights import WeightedShare
    >>> share = WeightedShare(np.array([1.0, 1.0, 2.0]))
    >>> float(share(np.array([True, False, True])))
    0.75
    """

    def __init__(self, weights: Float64Array) -> None:
        self._values, self._group, counts = np.unique(
            weights, return_inverse=True, return_counts=True
        )
        self._total = float(counts @ self._values)

    def __call__(self, part: npt.NDArray[np.bool_]) -> Float64Array:
        """Return the share of the texts that have a part, (n, ...) -> (...)."""
        columns = part.reshape(len(part), -1)
        counts = [
            np.count_nonzero(columns[self._group == group], axis=0)
            for group in range(len(self._values))
        ]
        found: Float64Array = np.stack(counts, axis=1) @ self._values / self._total
        return found.reshape(part.shape[1:])


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


def is_surely_above(
    values: Float64Array, weights: Float64Array, least: float = 0.0
) -> bool:
    """Return whether the mean of texts' values is above a limit, and not by chance.

    With 95 % confidence, one-sided.

    Parameters
    ----------
    values, weights : ndarray of shape (n,)
    least : float
        The limit.
    """
    share = weights / weights.sum()
    mean = float(share @ values)
    error = float(np.sqrt(share**2 @ (values - mean) ** 2))
    return mean - _ONE_SIDED * error > least
