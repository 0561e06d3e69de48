"""Arrays of the search, and vectors in the form it takes: finite rows.

Queries are float32. Keys are, too, or float16 where memory is short.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from skraee.exceptions import BackboneChangedError

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
KeyArray = npt.NDArray[np.float32] | npt.NDArray[np.float16]
KeyDtype = Literal["float32", "float16"]

#: Numbers that are looked at in one go.
AT_ONCE = 2**22


def check_keys(keys: npt.ArrayLike) -> KeyArray:
    """Return keys as finite, contiguous rows of float32, or of float16 if they are.

    Parameters
    ----------
    keys : array-like of shape (n, d)

    Returns
    -------
    ndarray of float32 or float16 of shape (n, d)

    Raises
    ------
    ValueError
        If there are none, or if some hold NaN or infinity.
    """
    is_half = getattr(keys, "dtype", None) == np.float16
    rows: KeyArray = _finite_rows("keys", keys, np.float16 if is_half else np.float32)
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


def stored_as(keys: KeyArray, dtype: KeyDtype) -> KeyArray:
    """Return keys in the numbers in which a database stores them.

    Parameters
    ----------
    keys : ndarray of shape (n, d)
    dtype : {"float32", "float16"}

    Raises
    ------
    ValueError
        If float16 does not hold some of them.
    """
    if keys.dtype == dtype:
        return keys
    if dtype == "float32":
        return keys.astype(np.float32)
    with np.errstate(over="ignore"):
        stored = keys.astype(np.float16)
    for part in parts_of(keys):
        lost = np.isinf(stored[part]) & np.isfinite(keys[part])
        if lost.any():
            largest = np.abs(keys[part]).max()
            raise ValueError(
                f"key_dtype='float16' holds numbers up to 65504, and "
                f"keys of these texts reach {largest:.4g}; leave it at 'float32', or "
                "scale what the encoder returns."
            )
    return stored


def as_stored(queries: Float32Array, dtype: np.dtype[Any]) -> Float32Array:
    """Return queries as they would be were they stored; what is too large stays."""
    if dtype == np.float32:
        return queries
    with np.errstate(over="ignore"):
        rounded = queries.astype(dtype).astype(np.float32)
    return np.where(np.isfinite(rounded), rounded, queries)


def finite_rows(
    name: str, values: npt.ArrayLike, n_dimensions: int | None = None
) -> Float32Array:
    """Return vectors as contiguous float32 rows; refuse NaN and other shapes."""
    rows: Float32Array = _finite_rows(name, values, np.float32, n_dimensions)
    return rows


def _finite_rows(
    name: str, values: npt.ArrayLike, dtype: Any, n_dimensions: int | None = None
) -> Any:
    with np.errstate(over="ignore"):  # what overflows float32 is refused below
        vectors = np.ascontiguousarray(values, dtype=dtype)
    if vectors.ndim != 2 or n_dimensions not in (None, vectors.shape[1]):
        raise ValueError(
            f"{name} must have shape (n, {n_dimensions or 'd'}), got {vectors.shape}; "
            "give one row for each text."
        )
    finite = [np.isfinite(vectors[part]).all(axis=1) for part in parts_of(vectors)]
    bad = np.flatnonzero(~np.concatenate([np.ones(0, dtype=bool), *finite]))
    if len(bad):
        raise ValueError(
            f"{name} must be finite in float32, but {len(bad)} of {len(vectors)} hold "
            f"NaN or infinity, the first at position {bad[0]}; leave these texts out "
            "or mend the encoder that made them."
        )
    return vectors


def parts_of(vectors: npt.NDArray[Any]) -> list[slice]:
    """Cut rows (n, d) so that what is made of some takes little room beside them."""
    size = max(1, AT_ONCE // max(1, vectors.shape[1]))
    return [slice(start, start + size) for start in range(0, len(vectors), size)]
