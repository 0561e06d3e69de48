"""What came of generating: texts, where they stopped, and what was drafted."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Generations:
    """Generated texts, and how they were generated.

    Attributes
    ----------
    texts : ndarray of object of shape (n,)
        The strings.
    exit_layers : ndarray of shape (n,), int
        Depth at which each text was generated, or drafted.
    undecided : ndarray of shape (n,), bool
        Where no neighbour voted, so that all layers ran.
    n_tokens : ndarray of shape (n,), int
        Tokens of each text, the end token included.
    n_drafted, n_accepted : ndarray of shape (n,), int
        With ``speculative=True``: tokens that the depth proposed, and those of them
        that the full depth says too. 0 without.
    n_passes : ndarray of shape (n,), int
        Passes of the deepest layer that each text runs.
    """

    texts: npt.NDArray[Any]
    exit_layers: IntArray
    undecided: npt.NDArray[np.bool_]
    n_tokens: IntArray
    n_drafted: IntArray
    n_accepted: IntArray
    n_passes: IntArray

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def accepted_share(self) -> float:
        """Share of the drafted tokens that were accepted; NaN without drafts."""
        drafted = int(self.n_drafted.sum())
        return int(self.n_accepted.sum()) / drafted if drafted else float("nan")

    def take(self, rows: IntArray) -> Self:
        """Return some of the texts, in this order.

        Parameters
        ----------
        rows : ndarray of int
        """
        return type(self)(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        """Return the texts of all parts.

        Parameters
        ----------
        parts : list of Generations
        """
        if not parts:
            none = np.zeros(0, dtype=np.int64)
            return cls(none.astype(object), none, none.astype(bool), *[none] * 4)
        joined = {
            f.name: np.concatenate([getattr(part, f.name) for part in parts])
            for f in fields(cls)
        }
        return cls(**joined)
