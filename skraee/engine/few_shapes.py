"""Few numbers of rows, where a kernel is made for each.

oneDNN, by which torch multiplies bfloat16, float16 and packed weights on a CPU, makes a
kernel for every number of rows that it meets, and keeps 1,024. That takes 1 to 2 ms and
0.7 MB: as long as a product of some hundred rows. Batches from which rows leave have
ever new numbers of rows; here they are filled up to one of few.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_DTYPES = (torch.bfloat16, torch.float16)
# Few rows are not filled up: there are not many such numbers, and a single text waits.
_FEW = 64
# Of more the number has this many binary digits before its zeros: filling up adds 6 %
# at the most.
_DIGITS = 5


def makes_kernels(tensor: Tensor) -> bool:
    """Whether a kernel is made for each shape of a product with a tensor."""
    return tensor.dtype in _DTYPES and tensor.device.type == "cpu"


def filled_up(n_rows: int) -> int:
    """Return up to how many rows so many are filled up.

    Examples
    --------
    >>> [filled_up(n) for n in (1, 25, 64, 65, 500, 513, 1000)]
    [1, 25, 64, 68, 512, 544, 1024]
    """
    if n_rows <= _FEW:
        return n_rows
    step = 1 << ((n_rows - 1).bit_length() - _DIGITS)
    return -(-n_rows // step) * step


class Filling:
    """What was filled up last: several products may read it, as those of attention."""

    def __init__(self) -> None:
        self._last: tuple[Tensor, int, Tensor] | None = None

    def filled(self, tokens: Tensor) -> Tensor:
        """Return tokens (..., K) as rows, with rows of zeros behind them.

        Parameters
        ----------
        tokens : Tensor
            Returned as they are where they are as many as they would be filled up to.
        """
        n_rows = tokens.numel() // tokens.shape[-1]
        n_more = filled_up(n_rows) - n_rows
        if not n_more:
            return tokens
        # What was made in inference mode counts no changes, and is not changed here.
        version = 0 if tokens.is_inference() else tokens._version
        if self._last is not None:
            known, known_version, filled = self._last
            if known is tokens and known_version == version:
                return filled
        rows = tokens.reshape(-1, tokens.shape[-1])
        filled = nn.functional.pad(rows, (0, 0, 0, n_more))
        self._last = tokens, version, filled
        return filled

    def forget(self) -> None:
        """Let go of it, once a pass is over."""
        self._last = None
