"""Where texts stop, as the engine asks for it.

A policy may decide at three moments, and the engine treats them alike:

before the pass     from the texts' keys (`depths`)
inside it, once     from the states at one depth, which are the keys then (`decide_at`)
at every depth      from the scores there (`reads_scores`, `accepts`)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

IntArray = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Exits:
    """Where some texts stop.

    Attributes
    ----------
    depths : ndarray of shape (n,), int
        The depth at which each text stops, or by which at the latest.
    undecided : ndarray of shape (n,), bool
        Where nothing spoke for any depth, so that the whole model runs.
    """

    depths: IntArray
    undecided: npt.NDArray[np.bool_]

    @classmethod
    def at(cls, depths: npt.ArrayLike) -> Self:
        """Return exits that nobody doubts."""
        depths = np.asarray(depths, dtype=np.int64)
        return cls(depths, np.zeros(len(depths), dtype=bool))

    def take(self, rows: IntArray) -> Exits:
        """Return the exits of some of the texts."""
        return Exits(self.depths[rows], self.undecided[rows])


class ExitPolicy:
    """Where texts stop: by itself, behind the last layer.

    Attributes
    ----------
    decide_at : int or None
        The depth 1..m whose read-position states are the keys that `depths` is asked
        with; None where it is asked before the pass.
    reads_scores : bool
        Whether `accepts` is asked at every depth.
    """

    decide_at: int | None = None
    reads_scores: bool = False

    def depths(self, keys: Float32Array, last: int) -> Exits:
        """Say how deep texts run at the most.

        Parameters
        ----------
        keys : ndarray of shape (n, d), float32
            d is 0 where no keys are made.
        last : int
            The full depth m.
        """
        return Exits.at(np.full(len(keys), last))

    def accepts(self, depth: int, scores: Tensor) -> Tensor | None:
        """Say which rows may stop here, ahead of what `depths` said.

        Parameters
        ----------
        depth : int
            Below the full depth.
        scores : Tensor of shape (n, C)
            Of the rows that run.

        Returns
        -------
        Tensor of shape (n,), bool, or None
            None is no row.
        """
        return None

    def exits(self, keys: Float32Array, scores: Float32Array) -> Exits:
        """Say where texts stop of which every depth is known.

        The plain form of what the engine does on the way.

        Parameters
        ----------
        keys : ndarray of shape (n, d)
            As `depths` takes them.
        scores : ndarray of shape (n, m + 1, C)
            Of every depth, as `accepts` takes those of one.
        """
        last = scores.shape[1] - 1
        found = self.depths(keys, last)
        if not self.reads_scores:
            return found
        depths = found.depths.copy()
        for depth in reversed(range(last)):
            accepted = self.accepts(depth, torch.from_numpy(scores[:, depth]))
            if accepted is not None:
                depths[accepted.numpy() & (found.depths > depth)] = depth
        return Exits(depths, found.undecided)


@dataclass(frozen=True, eq=False)
class AtGivenDepths(ExitPolicy):
    """Each text at a depth of its own that is known.

    Attributes
    ----------
    given : ndarray of shape (n,), int
        In the order of the call's texts.
    """

    given: IntArray

    def depths(self, keys: Float32Array, last: int) -> Exits:
        """Return the given depths."""
        return Exits.at(self.given)
