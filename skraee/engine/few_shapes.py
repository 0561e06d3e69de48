"""Few numbers of rows, where a kernel is made for each.

oneDNN, by which torch multiplies bfloat16, float16 and packed weights on a CPU, makes a
kernel for every number of rows that it meets, and keeps 1,024. That takes 1 to 2 ms and
0.7 MB: as long as a product of some hundred rows. Batches from which rows leave have
ever new numbers of rows; here they are filled up to one of few. Products of attention,
which some models make one by one, are parted so that they are of few shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_DTYPES = (torch.bfloat16, torch.float16)
# Few rows are not filled up: there are not many such numbers, and a single text waits.
_FEW = 64
# Of more the number has this many binary digits before its zeros: filling up adds 6 %
# at the most.
_DIGITS = 5


class _Numbers(Protocol):
    """What has a dtype and a place, as tensors and models do."""

    @property
    def dtype(self) -> torch.dtype: ...
    @property
    def device(self) -> torch.device: ...


def makes_kernels(of: _Numbers) -> bool:
    """Whether a kernel is made for each shape of a product.

    Parameters
    ----------
    of : Tensor or LoadedBackbone
        What is multiplied, or what multiplies.
    """
    return of.dtype in _DTYPES and of.device.type == "cpu"


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


# Products of many matrices with as many others, as eager attention has them.
_OF_MANY = frozenset(
    (torch.matmul, torch.bmm, Tensor.matmul, Tensor.bmm, Tensor.__matmul__)
)
# So many texts, or heads where these are not apart, go into one product.
_TEXTS, _HEADS = 16, 256


def few_shapes_of_attention(
    model: PreTrainedModel, n_rows: int
) -> AbstractContextManager[object]:
    """Return a context in which a model's attention makes products of few shapes.

    Parameters
    ----------
    model : PreTrainedModel
        Fused attention needs no kernels of this kind.
    n_rows : int
        Of the batch that it runs.
    """
    attention = getattr(model.config, "_attn_implementation", None)
    if n_rows == 1 or attention != "eager" or not makes_kernels(model):
        return nullcontext()
    return _FewShapesOfAttention()


class _FewShapesOfAttention(TorchFunctionMode):
    """Parts products of many matrices: 29 texts as 16 and 8 and 4 and 1."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func in _OF_MANY and not kwargs and len(args) == 2:
            left, right = args
            are_many = left.ndim == right.ndim >= 3 and len(left) == len(right)
            if are_many and makes_kernels(left):
                sizes = parted(len(left), _TEXTS if left.ndim > 3 else _HEADS)
                if len(sizes) > 1:
                    parts = zip(left.split(sizes), right.split(sizes), strict=True)
                    return torch.cat([func(*part) for part in parts])
        return func(*args, **(kwargs or {}))


def parted(n: int, most: int) -> list[int]:
    """Return powers of two, `most` at the most, that make a number.

    Examples
    --------
    >>> parted(29, 16), parted(40, 16), parted(0, 16)
    ([16, 8, 4, 1], [16, 16, 8], [])
    """
    sizes = [most] * (n // most)
    rest = n % most
    return sizes + [
        1 << bit for bit in reversed(range(most.bit_length())) if rest >> bit & 1
    ]
