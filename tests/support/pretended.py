"""Devices that this machine does not have, whose tensors must not meet.

Numbers are those of the CPU; that each is on its device is only pretended.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

#: Two devices beside the CPU itself.
CARDS = (torch.device("cpu", 1), torch.device("cpu", 2))
CPU = torch.device("cpu")

_DEVICE_OF: Any = torch.Tensor.device
_MOVING = (Tensor.to, Tensor.cpu)
_INDEXING = (Tensor.__getitem__, Tensor.__setitem__)


class PretendedDevices(TorchFunctionMode):
    """Let every tensor be on the device that it was made on or brought to.

    Raises where an operation gets tensors of several devices, as torch does; one number
    of the CPU, or indices of the CPU, go with those of any device.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func == _DEVICE_OF.__get__:  # made anew each time
            return device_of(args[0])
        if func is Tensor.numpy and device_of(args[0]) != CPU:
            raise RuntimeError(f"numpy reads no tensor of {device_of(args[0])}")
        wanted = kwargs.pop("device", None)
        if func is Tensor.cpu:
            wanted = CPU
        if func is Tensor.to:
            args, given = _without_device(args)
            wanted = given if wanted is None else wanted
        if wanted is None:
            wanted = _common(func, [*_tensors((args, kwargs))])
        else:
            wanted = torch.device(wanted)
        if func in _MOVING and wanted != device_of(args[0]):
            args = (args[0].clone(), *args[1:])
        is_only_moved = func in _MOVING and len(args) == 1 and not kwargs
        made = args[0] if is_only_moved else func(*args, **kwargs)
        for tensor in _tensors(made):
            tensor._pretended = wanted
        return made


def device_of(tensor: Tensor) -> torch.device:
    """Return where a tensor is, or pretends to be."""
    return getattr(tensor, "_pretended", None) or CPU


def bring(part: torch.nn.Module, device: torch.device) -> None:
    """Bring what a module holds itself to a device."""
    for tensor in (*part.parameters(recurse=False), *part.buffers(recurse=False)):
        tensor._pretended = device  # type: ignore[attr-defined]


def _common(func: Any, tensors: list[Tensor]) -> torch.device | None:
    if func in _INDEXING:
        tensors = [t for i, t in enumerate(tensors) if i == 0 or device_of(t) != CPU]
    found = {device_of(t) for t in tensors if t.ndim > 0 and not _is_anywhere(t)}
    if len(found) > 1:
        raise RuntimeError(f"{func.__name__} got tensors of {sorted(map(str, found))}")
    if not found and any(map(_is_anywhere, tensors)):
        return None
    return found.pop() if found else CPU


def _is_anywhere(tensor: Tensor) -> bool:
    """Whether it is a weight made of others, of which no function call told, or of one.

    Its place is not known, so it goes with everything.
    """
    usual = None if isinstance(tensor, torch.nn.Parameter) else CPU
    return getattr(tensor, "_pretended", usual) is None


def _without_device(args: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any]:
    """Take the device away from what `Tensor.to` is given."""
    tensor, *others = args
    if others and isinstance(others[0], Tensor):
        return (tensor, others[0].dtype), device_of(others[0])
    if others and isinstance(others[0], (str, torch.device)):
        return (tensor, *others[1:]), others[0]
    return args, None


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
