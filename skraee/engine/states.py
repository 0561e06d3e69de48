"""Hidden states on the CPU: in the backbone's own number format, and as float32.

numpy has no bfloat16, so these are kept as their 16 bits (uint16), which are the upper
half of a float32. A dtype says by itself what an array holds.
"""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Float32Array = npt.NDArray[np.float32]
#: float32, float16, or the bits of bfloat16 as uint16.
States = npt.NDArray[Any]

# States of more than this go to a temporary file, of which the system keeps in memory
# what it has room for.
_IN_MEMORY = 2**30


def packed(states: Tensor) -> States:
    """Return a tensor as an array of its own number format.

    Parameters
    ----------
    states : Tensor, any shape
        float32, float16 or bfloat16.
    """
    states = states.detach().cpu()
    if states.dtype == torch.bfloat16:
        return states.contiguous().view(torch.int16).numpy().view(np.uint16)
    return states.numpy()


def rounded(states: Tensor, dtype: torch.dtype) -> Tensor:
    """Round float32 values to a number format; what is too large becomes its largest.

    Parameters
    ----------
    states : Tensor
    dtype : torch.dtype
    """
    if dtype == torch.float16:
        largest = torch.finfo(dtype).max
        states = torch.where(states.isfinite(), states.clamp(-largest, largest), states)
    return states.to(dtype)


def unpacked(states: States) -> Float32Array:
    """Return states as float32.

    Parameters
    ----------
    states : ndarray, any shape

    Examples
    --------
    >>> import torch
    >>> from skraee.engine.states import packed, unpacked
    >>> unpacked(packed(torch.tensor([1.5, -2.0], dtype=torch.bfloat16)))
    array([ 1.5, -2. ], dtype=float32)
    """
    if states.dtype == np.uint16:
        return (states.astype(np.uint32) << 16).view(np.float32)
    return states.astype(np.float32, copy=False)


def room_for(n: int, shape: tuple[int, ...], dtype: Any) -> States:
    """Make an array (n, depths, ...) of states in which a depth lies together.

    Parameters
    ----------
    n : int
        Texts.
    shape : tuple of int
        Of a text's states, depths first.
    dtype : numpy dtype

    Returns
    -------
    ndarray of shape (n, *shape)
        In a temporary file where it is large; the file goes with the array.
    """
    laid_out = (shape[0], n, *shape[1:])
    if np.prod(laid_out, dtype=np.int64) * np.dtype(dtype).itemsize <= _IN_MEMORY:
        return np.moveaxis(np.empty(laid_out, dtype), 0, 1)
    with tempfile.TemporaryFile() as file:
        array = np.memmap(file, dtype=dtype, mode="w+", shape=laid_out)
    return np.moveaxis(array, 0, 1)
