"""What came of prompts that ran to their exits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Run:
    """Where prompts stopped, and how they scored there.

    Attributes
    ----------
    scores : ndarray of shape (n, C), float32
        Softmax gives the probabilities.
    exits : ndarray of shape (n,), int
        The depth at which each stopped.
    undecided : ndarray of shape (n,), bool
        Where nothing spoke for any depth, so that the whole model ran.
    """

    scores: Float32Array
    exits: IntArray
    undecided: npt.NDArray[np.bool_]

    @classmethod
    def empty(cls, n_prompts: int, n_classes: int) -> Self:
        """Return room for n prompts."""
        return cls(
            np.zeros((n_prompts, n_classes), dtype=np.float32),
            np.zeros(n_prompts, dtype=np.int64),
            np.zeros(n_prompts, dtype=bool),
        )

    def put(self, rows: IntArray, run: Run) -> None:
        """Put another run's prompts in the place of some of these."""
        self.scores[rows] = run.scores
        self.exits[rows] = run.exits
        self.undecided[rows] = run.undecided

    def take(self, rows: IntArray) -> Run:
        """Return some of the prompts, as often as each is named."""
        return Run(self.scores[rows], self.exits[rows], self.undecided[rows])
