"""Arrays of the search, and vectors in the form it takes: finite float32 rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from skraee.exceptions import BackboneChangedError

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def check_keys(keys: npt.ArrayLike) -> Float32Array:
    """Return keys as finite, contiguous float32 rows.

    Parameters
    ----------
    keys : array-like of shape (n, d)

    Returns
    -------
    ndarray of float32 of shape (n, d)

    Raises
    ------
    ValueError
        If there are none, or if some hold NaN or infinity.
    """
    rows = finite_rows("keys", keys)
    if rows.size == 0:
        raise ValueError(
            f"keys must not be empty, got shape {rows.shape}; give some texts, and an "
            "encoder that returns numbers."
        )
    return rows


def refuse_other_width(keys: npt.NDArray[Any], n_dimensions: int) -> None:
    """Refuse keys (n, d) of new texts that are not of the kind of the stored ones.

    Raises
    ------
    BackboneChangedError
        If d is another number.
    """
    if keys.shape[-1] != n_dimensions:
        raise BackboneChangedError(
            f"the keys of the texts of fit have {n_dimensions} numbers and those of "
            f"new texts {keys.shape[-1]}: what makes them is another than it was; "
            "fetch it as it was, or fit again."
        )


def finite_rows(
    name: str, values: npt.ArrayLike, n_dimensions: int | None = None
) -> Float32Array:
    """Return vectors as contiguous float32 rows; refuse NaN and other shapes."""
    with np.errstate(over="ignore"):  # what overflows float32 is refused below
        vectors = np.ascontiguousarray(values, dtype=np.float32)
    if vectors.ndim != 2 or n_dimensions not in (None, vectors.shape[1]):
        raise ValueError(
            f"{name} must have shape (n, {n_dimensions or 'd'}), got {vectors.shape}; "
            "give one row for each text."
        )
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise ValueError(
            f"{name} must be finite in float32, but {len(bad)} of {len(vectors)} hold "
            f"NaN or infinity, the first at position {bad[0]}; leave these texts out "
            "or mend the encoder that made them."
        )
    return vectors
