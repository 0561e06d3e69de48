"""A layer's matrix products at the machine's speed, on a CPU.

Two things keep torch from it, whatever the model. It lays a product's weights out anew
at every call, which for one text takes as long as the product itself; here they are
laid out once and kept beside the model's own. And it makes a kernel for every number of
rows (:mod:`skraee.engine.few_shapes`). In bfloat16 the numbers are the same to the bit
where that was measured, in float32 others by rounding.
"""

from __future__ import annotations

import platform
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers.pytorch_utils import Conv1D

from skraee.backbone.loaded import LoadedBackbone
from skraee.engine.few_shapes import Filling, makes_kernels
from skraee.engine.views import Front, view_of

#: Both work on tokens one by one. Subclasses may do anything.
PRODUCTS = (nn.Linear, Conv1D)
#: Under which name a backbone has its packed weights.
PACKED_WEIGHTS = "packed weights"
# Where it was measured: mpnet and Gemma 3 270M take 0.86 of their time, one product of
# some ten rows 0.5 to 0.7 of its.
_MACHINES = ("x86_64", "AMD64")
_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
# What is laid out is a second copy.
_MOST_BYTES = 1 << 30
# For how many rows the layout is chosen; those for 32 and for 1,024 are as fast for any
# number of rows, that for a single one is not.
_N_ROWS = 1024


def with_fast_products(
    layer: nn.Module, weights: PackedWeights, filling: Filling
) -> nn.Module:
    """Return a view of a layer whose products are made here.

    Parameters
    ----------
    layer : nn.Module
        Left as it is.
    weights : PackedWeights
        Of the model.
    filling : Filling
        Of all layers of the stack.

    Returns
    -------
    nn.Module
        The layer itself, where it has none of these products.
    """
    replaced = {
        path: _Product(module, weights, filling)
        for path, module in layer.named_modules()
        if path and type(module) in PRODUCTS
    }
    return view_of(layer, replaced) if replaced else layer


class PackedWeights:
    """The weights of a model's products, laid out as the CPU's kernels read them.

    Each is laid out when its product is first made: of layers that no text comes to
    there is no second copy.

    Parameters
    ----------
    room : int, optional
        Bytes that they may take, a GiB by default; weights beyond stay as they are.
    """

    def __init__(self, room: int | None = None) -> None:
        self._room = _MOST_BYTES if room is None else room
        self._known: dict[int, tuple[nn.Module, Tensor | None]] = {}

    @classmethod
    def of_backbone(cls, backbone: LoadedBackbone) -> PackedWeights:
        """Return those of a model, which all its views share."""
        return backbone.derived(PACKED_WEIGHTS, cls)

    def of(self, module: nn.Module) -> Tensor | None:
        """Return a product's weights, or None where they stay as they are.

        Parameters
        ----------
        module : nn.Linear or Conv1D
        """
        known = self._known.get(id(module))
        if known is None:
            # The module is held, so that no other has its id.
            known = self._known[id(module)] = (module, self._packed(module))
        return known[1]

    def _packed(self, module: nn.Module) -> Tensor | None:
        weight = module.weight
        if not (isinstance(weight, nn.Parameter) and _can_be_packed(module, weight)):
            return None
        if weight.nbytes > self._room:
            return None
        self._room -= weight.nbytes
        rows = weight.detach().t() if isinstance(module, Conv1D) else weight.detach()
        packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(
            rows.contiguous(), _N_ROWS
        )
        return packed


def flop_counter() -> FlopCounterMode:
    """Return torch's counter of operations, which counts packed products, too."""

    def flops_of_packed(
        tokens: torch.Size, weight: torch.Size, *_: Any, **__: Any
    ) -> int:
        return 2 * tokens.numel() * weight[0]  # M K times N

    ours: dict[Any, Any] = {}
    if _has_onednn():
        ours[torch.ops.mkldnn._linear_pointwise] = flops_of_packed
    return FlopCounterMode(display=False, custom_mapping=ours)


def _can_be_packed(module: nn.Module, weight: nn.Parameter) -> bool:
    # A hook may make the weight anew; one of another class computes otherwise.
    hooks = module._forward_hooks or module._forward_pre_hooks
    return (
        type(weight.data) is Tensor
        and weight.dtype in _DTYPES
        and weight.device.type == "cpu"
        and weight.numel() > 0
        and not hooks
        and platform.machine() in _MACHINES
        and _has_onednn()
        and bool(torch.backends.mkldnn.enabled)
        and _has_kernels(weight.dtype)
    )


def _has_onednn() -> bool:
    return bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def _has_kernels(dtype: torch.dtype) -> bool:
    """Whether oneDNN multiplies in a dtype on this CPU, not by way of float32."""
    if dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    if dtype == torch.float16:
        return bool(torch.ops.mkldnn._is_mkldnn_fp16_supported())
    return True


class _Product(Front):
    def __init__(
        self, module: nn.Module, weights: PackedWeights, filling: Filling
    ) -> None:
        super().__init__(module)
        self._weights = weights
        self._filling = filling

    def forward(self, tokens: Tensor) -> Any:
        weight = self._weights.of(self.layer)
        if tokens.numel() == 0 or (weight is None and not makes_kernels(tokens)):
            return self.layer(tokens)
        if weight is not None:
            bias: Any = self.layer.bias
            return packed_product(tokens, weight, bias, self._filling)
        made = self.layer(self._filling.filled(tokens))
        return _as_many_as(tokens, made)


def packed_product(
    tokens: Tensor, weight: Tensor, bias: Tensor | None, filling: Filling
) -> Tensor:
    """Multiply tokens (..., K) with packed weights: (..., N).

    Parameters
    ----------
    tokens : Tensor
    weight : Tensor
        As `PackedWeights` has it.
    bias : Tensor of shape (N,) or None
    filling : Filling
    """
    filled = filling.filled(tokens)
    made = torch.ops.mkldnn._linear_pointwise(filled, weight, bias, "none", [], "")
    return _as_many_as(tokens, made)


def _as_many_as(tokens: Tensor, made: Tensor) -> Tensor:
    """Return the rows that were made of tokens, not of what was filled up."""
    if made.shape[:-1] == tokens.shape[:-1]:
        return made
    n_rows = tokens.numel() // tokens.shape[-1]
    return made[:n_rows].view(*tokens.shape[:-1], made.shape[-1])
