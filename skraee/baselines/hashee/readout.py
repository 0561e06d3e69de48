"""Classes from the last states, where a backbone has no words to say them with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from torch import Tensor

from skraee.backbone.loaded import LoadedBackbone
from skraee.engine.batch import Batch
from skraee.engine.depth_states import DepthStates, StateKind
from skraee.engine.head import final_norms
from skraee.engine.scorer import RunningScoring, Scoring
from skraee.readout.calibration import fit_inverse_temperature
from skraee.readout.ridge_regression import solve

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_KINDS: tuple[StateKind, ...] = ("read", "text")


@dataclass(frozen=True, eq=False)
class LastReadout:
    """A linear map from the states at full depth to scores of the classes.

    Attributes
    ----------
    coef : ndarray of shape (2 H, C), float32
    intercept : ndarray of shape (C,), float32
        Softmax of what both give are probabilities.
    """

    coef: Float32Array
    intercept: Float32Array

    @classmethod
    def of(cls, features: Float32Array, codes: IntArray, n_classes: int) -> Self:
        """Solve a ridge regression onto the classes.

        The penalty has the least error of texts left out, and one temperature the least
        log-loss of them.

        Parameters
        ----------
        features : ndarray of shape (n, 2 H)
            What `LastStates` reads.
        codes : ndarray of shape (n,)
            The right classes.
        n_classes : int
            Number of classes C.
        """
        targets = np.where(codes[:, None] == np.arange(n_classes), 1.0, -1.0)
        weights = np.ones(len(codes))
        solved = solve(features, targets, weights)
        factor = fit_inverse_temperature(solved.left_out, codes, weights)
        return cls(
            (solved.coef * factor).astype(np.float32),
            (solved.intercept * factor).astype(np.float32),
        )

    def scores(self, features: Float32Array) -> Float32Array:
        """Return the scores (n, C) of features (n, 2 H)."""
        found: Float32Array = features @ self.coef + self.intercept
        return found


class LastStates:
    """Reads the states at full depth: of the read position, and the text's mean.

    Parameters
    ----------
    backbone : LoadedBackbone
    last : int
        The full depth m.
    """

    def __init__(self, backbone: LoadedBackbone, last: int) -> None:
        self.last = last
        self._final_norms = final_norms(backbone)

    def begin(self, batch: Batch) -> Scoring:
        """Start a batch."""
        return _Reading(DepthStates(batch, self._final_norms, _KINDS), self.last)


class _Reading(RunningScoring):
    def __init__(self, states: DepthStates, last: int) -> None:
        self._states = states
        # A decoder's depths keep what the encoder's last one has of the text.
        self._depths = (states.batch.first_stack, last)

    def read(self, depth: int, hidden: Tensor, rows: Tensor) -> Tensor:
        if depth not in self._depths:
            return hidden.new_zeros(len(rows), 1)
        return self._states(depth, hidden, rows).flatten(1).float()
