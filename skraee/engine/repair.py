"""Numbers that do not fit the backbone's dtype: rows run again in float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from skraee.engine.states import States, packed, rounded, unpacked

if TYPE_CHECKING:
    from skraee.backbone.loaded import LoadedBackbone

IntArray = npt.NDArray[np.int64]
Arrays = dict[str, States]


def read_finite(
    backbone: LoadedBackbone,
    n_rows: int,
    read: Callable[[LoadedBackbone, IntArray], Arrays],
) -> tuple[Arrays, int]:
    """Read rows, and those in which a number is not finite again in float32.

    Parameters
    ----------
    backbone : LoadedBackbone
    n_rows : int
    read : callable
        ``read(backbone, rows)`` gives arrays of n_rows rows, by name, in which the rows
        with these numbers are filled in.

    Returns
    -------
    found : dict of str to ndarray
    n_repeated : int
        Rows that were read again.

    Raises
    ------
    ValueError
        If numbers are not finite in float32 either.
    """
    found = read(backbone, np.arange(n_rows))
    bad = _rows_not_finite(found)
    if len(bad) == 0 or backbone.dtype == torch.float32:
        refuse_rows(bad)
        return found, 0
    again = read(backbone.in_float32, bad)
    refuse_rows(_rows_not_finite(again))
    _fill_in(found, again, bad, backbone.dtype)
    return found, len(bad)


def _fill_in(found: Arrays, again: Arrays, rows: IntArray, dtype: torch.dtype) -> None:
    """Put what was read again in the place of what is not finite.

    What is finite stays: a text has the same key whether its deeper states fit or not.
    What is no floating-point number (an exit) goes with its row.
    """
    for name, array in found.items():
        chosen = rows
        if array.dtype.kind in "fu":  # states may be the bits of bfloat16
            chosen = rows[~_is_finite(array[rows])]
        values = again[name][chosen]
        if values.dtype != array.dtype:
            values = packed(rounded(torch.from_numpy(values), dtype))
        array[chosen] = values


def _rows_not_finite(arrays: Arrays) -> IntArray:
    """Return the rows in which some array holds a number that is not finite."""
    finite = [_is_finite(array) for array in arrays.values()]
    return np.flatnonzero(~np.logical_and.reduce(finite))


def _is_finite(array: States) -> npt.NDArray[np.bool_]:
    """Whether all numbers of each row are finite."""
    values = unpacked(array) if array.dtype.kind in "fu" else array
    rows = values.reshape(len(array), -1)
    finite: npt.NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(rows), axis=1)
    return finite


def refuse_rows(bad: IntArray) -> None:
    """Refuse a backbone of which rows are not finite in float32.

    Parameters
    ----------
    bad : ndarray of int
        These rows; none is no error.

    Raises
    ------
    ValueError
        If there are any.
    """
    if len(bad):
        raise ValueError(
            f"the backbone gives numbers that are not finite for {len(bad)} text(s), "
            f"the first at position {bad[0]} of its batch, even in float32; check its "
            "weights."
        )
