"""The package's own torch state, whatever the caller has set around a call.

Autocast, inference mode, gradients, the default device and the default dtype reach into
every torch call of a thread. Whatever here runs a model enters
:func:`own_torch_state`, so that they change no number, no dtype and nothing that is
kept for later calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_AUTOCAST_DEVICES = ("cpu", "cuda", "mps", "xpu")


@contextmanager
def own_torch_state() -> Iterator[None]:
    """Run without autocast, inference mode and gradients, in float32, on the CPU.

    A context, or a decorator of functions. The last two are the defaults for tensors
    that name no dtype and no device. Only the state of this thread is set, and it is
    the caller's again behind it: never enter it around a ``yield`` to other code.

    The default dtype is the exception: torch has one for all threads. It is left
    alone; where it is not float32, what would take it is made float32 in this thread,
    but in TorchScript (DeBERTa's positions in releases of transformers before 5.23).
    Other settings of the whole process, as the precision of float32 products or the
    number of threads, are the caller's choice.

    Examples
    --------
    >>> import torch
    >>> from skraee.backbone.ambient import own_torch_state
    >>> with torch.inference_mode(), own_torch_state():
    ...     torch.is_inference_mode_enabled(), torch.ones(1).is_inference()
    (False, False)
    """
    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        for device in _AUTOCAST_DEVICES:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        # Not get_default_device, which fails in torch 2.6 once it was set to None.
        if torch.empty(0).device.type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if torch.get_default_dtype() != torch.float32:
            stack.enter_context(_Float32Default(torch.get_default_dtype()))
        yield


class _Float32Default(TorchFunctionMode):
    """Makes float32 what torch would make of the default dtype.

    That is what is made of nothing, of plain numbers or of whole numbers.
    """

    def __init__(self, default: torch.dtype) -> None:
        super().__init__()
        self._default = default

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        given = list(_flat((args, kwargs)))
        if func in _CONVERSIONS or any(map(_decides, given)):
            return func(*args, **kwargs)
        of_float32 = {**kwargs, "dtype": torch.float32}
        if func in _DRAWS:
            return func(*args, **of_float32)
        made = func(*args, **kwargs)
        if not isinstance(made, Tensor) or made.dtype != self._default:
            return made
        if not any(isinstance(value, Tensor) for value in given):
            return func(*args, **of_float32)
        kind = float if func in _CHOICES else Tensor
        return func(*_float32(args, kind), **_float32(kwargs, kind))


# Ask for a dtype by their name, or by a name or a tensor of it.
_CONVERSIONS = frozenset((Tensor.double, Tensor.half, Tensor.bfloat16, Tensor.type))
# Cannot be asked twice.
_DRAWS = frozenset((torch.rand, torch.randn, torch.normal))
# Take a condition, and their values from the others.
_CHOICES = frozenset((torch.where, Tensor.where))


def _decides(value: Any) -> bool:
    """Whether an argument says of what dtype a function's result is."""
    if isinstance(value, torch.dtype):
        return True
    dtype = getattr(value, "dtype", None)
    if isinstance(dtype, torch.dtype):
        return dtype.is_floating_point
    return isinstance(dtype, np.dtype) and dtype.kind == "f"


def _flat(values: Any) -> Iterator[Any]:
    if isinstance(values, dict):
        values = list(values.values())
    if isinstance(values, (list, tuple)):
        for value in values:
            yield from _flat(value)
    else:
        yield values


def _float32(values: Any, kind: type) -> Any:
    """Return arguments of which those of a kind, numbers or tensors, are float32."""
    if isinstance(values, dict):
        return {name: _float32(value, kind) for name, value in values.items()}
    if isinstance(values, (list, tuple)):
        return type(values)(_float32(value, kind) for value in values)
    if isinstance(values, kind):
        return torch.as_tensor(values, dtype=torch.float32)
    return values
