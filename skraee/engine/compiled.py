"""Layers compiled by torch, for work that pays for it.

Between a layer's matrix products there are norms, rotations, multiplications and copies
that each read and write all states. A compiler makes few loops of them. All layers of a
kind share what is compiled, dynamic in rows and tokens; torch keeps it on disk, so that
a later process finds it there. What cannot be compiled runs as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from itertools import count
from types import FunctionType
from typing import Any, Literal
from weakref import finalize

import numpy as np
import torch
from torch import Tensor, nn

from skraee.backbone.loaded import LoadedBackbone
from skraee.engine.batching import is_out_of_memory
from skraee.engine.few_shapes import Filling, makes_kernels
from skraee.engine.products import PRODUCTS, PackedWeights, packed_product
from skraee.engine.views import view_of
from skraee.exceptions import warn_user

#: Whether layers are compiled.
Compile = Literal["auto"] | bool

# Compiling takes about half a minute. This is ten minutes of two cores' work, of which
# it takes up to a tenth off, more where products are faster (AMX).
_MUCH_WORK = 2e14  # floating-point operations


def check_compile(compile: object) -> Compile:
    """Return a `compile` as it is.

    Raises
    ------
    ValueError
        If it is none.
    """
    if isinstance(compile, bool | np.bool_):
        return bool(compile)
    if isinstance(compile, str) and compile == "auto":
        return "auto"
    raise ValueError(
        f"compile must be 'auto', True or False, got {compile!r}; leave it at 'auto', "
        "which compiles where that pays."
    )


def compiled_for(
    backbone: LoadedBackbone, compile: Compile, n_tokens: int, *, verbose: int = 0
) -> CompiledLayers | None:
    """Return a model's compiled layers, where work is to be done by these.

    Parameters
    ----------
    backbone : LoadedBackbone
    compile : "auto" or bool
        "auto" is only for much work on a CPU, in a dtype of 16 bits.
    n_tokens : int
        How many tokens are to be run, at full depth.
    verbose : int, default=0
        1 tells of it on the standard error.
    """
    if compile == "auto":
        is_much = 2.0 * _n_weights(backbone) * n_tokens >= _MUCH_WORK
        compile = is_much and makes_kernels(backbone)
    if not compile:
        return None
    layers = backbone.derived("compiled layers", lambda: CompiledLayers(backbone))
    if verbose:
        layers.tell(type(backbone.model).__name__)
    return layers


def _n_weights(backbone: LoadedBackbone) -> int:
    # Counted once: to go through a model's parameters takes 1 ms.
    def counted() -> int:
        return sum(weight.numel() for weight in backbone.model.parameters())

    return backbone.derived("number of weights", counted)


class CompiledLayers:
    """The compiled form of a model's layers, each made when it is first run.

    Parameters
    ----------
    backbone : LoadedBackbone
        Left as it is.
    """

    def __init__(self, backbone: LoadedBackbone) -> None:
        self._weights = PackedWeights.of_backbone(backbone)
        self._views: dict[nn.Module, nn.Module] = {}
        self._call: Callable[..., Any] | None = None
        self._is_on = True

    def tell(self, name: str) -> None:
        """Say that layers will be compiled, where none has been yet.

        Parameters
        ----------
        name : str
            Of the model.
        """
        if self._is_on and self._call is None:
            sys.stderr.write(
                f"compiling the layers of {name}: half a minute, or seconds where an "
                "earlier process has done it; compile=False leaves them as they are\n"
            )

    def run(
        self, layer: nn.Module, plain: nn.Module, hidden: Tensor, args: Any, kwargs: Any
    ) -> Any:
        """Run a layer on states.

        Parameters
        ----------
        layer : nn.Module
            The model's own.
        plain : nn.Module
            What runs if compiling fails, from then on.
        hidden : Tensor of shape (n, T, H)
        args, kwargs : tuple, dict
            Its other arguments. Caches are not compiled for, as each is an object.
        """
        if not (self._is_on and all(map(_is_plain, (*args, *kwargs.values())))):
            return plain(hidden, *args, **kwargs)
        try:
            if self._call is None:
                self._call = _compiled_call()
            return self._call(self._view(layer), hidden, args, kwargs)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            made = plain(hidden, *args, **kwargs)  # raises what is wrong anyway
            self._give_up(error)
            return made

    def _view(self, layer: nn.Module) -> nn.Module:
        view = self._views.get(layer)
        if view is None:
            view = self._views[layer] = _with_opaque_products(layer, self._weights)
        return view

    def _give_up(self, error: Exception) -> None:
        self._is_on = False
        lines = str(error).strip().splitlines() or [""]
        warn_user(
            f"torch could not compile the layers ({type(error).__name__}: {lines[0]}); "
            "they run as they are, with the same answers more slowly, and "
            "compile=False leaves the attempt out.",
            UserWarning,
        )


def _compiled_call() -> Callable[..., Any]:
    """Return a call of any layer, compiled, with a count of variants of its own."""

    def call(layer: nn.Module, hidden: Tensor, args: Any, kwargs: Any) -> Any:
        return layer(hidden, *args, **kwargs)

    # torch counts what it has compiled of a piece of code, and stops at eight.
    own = FunctionType(call.__code__.replace(), call.__globals__, "call")
    return torch.compile(own, dynamic=True)


def _is_plain(argument: Any) -> bool:
    if isinstance(argument, tuple):
        return all(map(_is_plain, argument))
    return argument is None or isinstance(argument, Tensor | bool | int | float | str)


def _with_opaque_products(layer: nn.Module, weights: PackedWeights) -> nn.Module:
    """Return a view of a layer whose packed products are one operator to a compiler."""
    replaced: dict[str, nn.Module | None] = {}
    for path, module in layer.named_modules():
        if path and type(module) in PRODUCTS:
            packed = weights.of(module)
            if packed is not None:
                replaced[path] = _OpaqueProduct(module, packed)
    return view_of(layer, replaced) if replaced else layer


# Packed weights have no strides, so that a compiler is given their number instead.
_PACKED: dict[int, Tensor] = {}
_NUMBERS = count()


class _OpaqueProduct(nn.Module):
    number: Tensor

    def __init__(self, module: nn.Module, packed: Tensor) -> None:
        super().__init__()
        number = next(_NUMBERS)
        _PACKED[number] = packed
        finalize(self, _PACKED.pop, number)
        self.register_buffer("number", torch.tensor(number))
        self.bias = module.bias
        self.weight = module.weight  # some layers ask for its dtype
        self.n_out = packed.shape[0]
        _define_operator()

    def forward(self, tokens: Tensor) -> Tensor:
        made: Tensor = torch.ops.skraee.packed_product(
            tokens, self.number, self.bias, self.n_out
        )
        return made


@cache
def _define_operator() -> None:
    name = "skraee::packed_product"
    torch.library.define(
        name, "(Tensor tokens, Tensor number, Tensor? bias, int n_out) -> Tensor"
    )
    torch.library.impl(name, "CPU", _packed_product)
    torch.library.register_fake(name, _no_product)


def _packed_product(
    tokens: Tensor, number: Tensor, bias: Tensor | None, n_out: int
) -> Tensor:
    made = packed_product(tokens, _PACKED[int(number)], bias, Filling())
    return made.contiguous()


def _no_product(
    tokens: Tensor, number: Tensor, bias: Tensor | None, n_out: int
) -> Tensor:
    return tokens.new_empty((*tokens.shape[:-1], n_out))
