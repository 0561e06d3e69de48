"""Arrays that fill batch by batch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from torch import Tensor

from skraee.engine.states import States, packed

IntArray = npt.NDArray[np.int64]


class Collector:
    """Arrays, by name, whose rows arrive in any order.

    Attributes
    ----------
    arrays : dict of str to ndarray of shape (n_rows, ...)
        Zero where nothing has arrived.
    """

    def __init__(self, n_rows: int) -> None:
        self.arrays: dict[str, States] = {}
        self._n_rows = n_rows

    def put(self, numbers: IntArray, found: Mapping[str, Tensor]) -> None:
        """Store the rows with these numbers."""
        for name, values in found.items():
            rows = packed(values)
            if name not in self.arrays:
                shape = (self._n_rows, *rows.shape[1:])
                self.arrays[name] = np.zeros(shape, dtype=rows.dtype)
            self.arrays[name][numbers] = rows
