"""What exits are chosen by: texts of fit, each read as if it were new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from skraee.retrieval.database import Database
from skraee.retrieval.vectors import KeyArray

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Evidence:
    """What fit knows of its own texts, each left out: what exits are chosen by.

    Attributes
    ----------
    proba : ndarray of shape (n, m + 1, C)
        Of every text at every depth, by what did not see its label.
    codes : ndarray of shape (n,)
        Class codes.
    classes : ndarray of shape (C,)
        Sorted.
    weights : ndarray of shape (n,)
        Of the texts.
    costs : ndarray of shape (m + 1,)
        Share of a full pass that each exit takes, that of the keys included.
    """

    proba: Float32Array
    codes: npt.NDArray[np.integer]
    classes: npt.NDArray[Any]
    weights: Float64Array
    costs: Float64Array

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Whether each text is answered rightly at each depth: (n, m + 1)."""
        found: npt.NDArray[np.bool_] = self.proba.argmax(axis=2) == self.codes[:, None]
        return found


@dataclass(frozen=True, eq=False, kw_only=True)
class NeighborEvidence(Evidence):
    """The same where neighbours decide.

    Attributes
    ----------
    database : Database
        Whose other texts are a text's neighbours.
    keys : ndarray of shape (n, d)
        Of all texts, as the database has them.
    """

    database: Database
    keys: KeyArray
