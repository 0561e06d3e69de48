"""The texts that a readout is solved for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_random_state

Float64Array = npt.NDArray[np.float64]
IntegerArray = npt.NDArray[np.integer]

#: Texts that are solved for; of more, a stratified sample.
READOUT_SAMPLES = 20_000


@dataclass(frozen=True, eq=False)
class Sample:
    """The texts that are solved for.

    Attributes
    ----------
    rows, rest : ndarray of int
        Where these texts are among all, and where the others are.
    codes : ndarray of shape (n,)
        Class codes.
    weights : ndarray of shape (n,)
    targets : ndarray of shape (n, C)
        1 for the class, -1 for the others.
    """

    rows: IntegerArray
    rest: IntegerArray
    codes: IntegerArray
    weights: Float64Array
    targets: Float64Array

    @classmethod
    def draw(
        cls,
        codes: IntegerArray,
        n_classes: int,
        weights: Float64Array,
        seed: Any,
        most: int | None = None,
    ) -> Self:
        """Draw up to `most` of the texts that weigh anything.

        The other parameters are those of :func:`skraee.readout.ridge.fit_ridge`;
        `most` is `READOUT_SAMPLES` by default.

        Raises
        ------
        ValueError
            If there are fewer than two texts with a weight.
        """
        n, weighted = len(codes), np.flatnonzero(weights)
        if len(weighted) < 2:
            lighter = "" if len(weighted) == n else ", of which some weigh nothing"
            raise ValueError(
                "the closed-form readout leaves one text out to see how well it reads "
                f"it, got n_samples={n}{lighter}; give more texts."
            )
        most = READOUT_SAMPLES if most is None else most
        rows = weighted[_drawn(codes[weighted], seed, most)]
        own = codes[rows]
        targets = np.where(own[:, None] == np.arange(n_classes), 1.0, -1.0)
        return cls(rows, np.setdiff1d(np.arange(n), rows), own, weights[rows], targets)


def _drawn(codes: IntegerArray, seed: Any, most: int) -> IntegerArray:
    """Draw so many that every class has its share, and one text at least."""
    n = len(codes)
    if n <= most:
        return np.arange(n)
    shuffled = check_random_state(seed).permutation(n)
    of_class = shuffled[np.argsort(codes[shuffled], kind="stable")]
    counts = np.bincount(codes)
    rank = np.arange(n) - (np.cumsum(counts) - counts)[codes[of_class]]
    share = np.where(rank == 0, 0.0, (rank + 0.5) / counts[codes[of_class]])
    return np.sort(of_class[np.argsort(share, kind="stable")[:most]])
