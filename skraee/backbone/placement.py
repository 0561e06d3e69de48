"""A model on several devices: its layers in order, each where there is room.

All that is no layer stays on the first device, the model's home. A layer that lives
elsewhere takes what it is called with to its own device and brings home what it makes,
so that whatever stands between two layers finds states where it is itself. Texts that
have left do not travel, and what does is small beside a layer's weights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from skraee.backbone.families import Family

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Of a device's free memory, what weights may take; the rest is for the texts.
_FOR_WEIGHTS = 0.85


def place(
    model: PreTrainedModel, family: Family, devices: Sequence[torch.device]
) -> PreTrainedModel:
    """Bring a model to devices.

    Parameters
    ----------
    model : PreTrainedModel
        Changed in place.
    family : Family
        Its row.
    devices : sequence of torch.device
        The first takes all that is no layer, and as many layers as it has room for;
        each other one the layers after these.

    Raises
    ------
    ValueError
        If there is not enough room, or parts for several devices share weights.
    """
    home = devices[0]
    if len(devices) == 1:
        return model.to(home)
    layers = _layers(model, family)
    inner = {id(part) for layer in layers for part in layer.modules()}
    outer = [part for part in model.modules() if id(part) not in inner]
    sizes = [_sizes(layer.modules()) for layer in layers]
    rest = _sizes(outer)
    places = spread(
        [sum(of_layer.values()) for of_layer in sizes],
        sum(rest.values()),
        [_room(device) for device in devices],
    )
    if any(places):
        _refuse_shared(model, [rest, *sizes])
    for layer, number in zip(layers, places, strict=True):
        for part in layer.modules():
            _bring(part, devices[number])
        if number > 0:
            travel = _Travel(devices[number], home)
            layer.register_forward_pre_hook(travel.there, with_kwargs=True)
            layer.register_forward_hook(travel.back)
    for part in outer:
        _bring(part, home)
    return model


def spread(layers: Sequence[int], rest: int, rooms: Sequence[float]) -> list[int]:
    """Return which device each layer goes to.

    Parameters
    ----------
    layers : sequence of int
        Bytes of each layer.
    rest : int
        Bytes of all that is no layer; it goes to device 0.
    rooms : sequence of float
        Bytes that each device has room for.

    Raises
    ------
    ValueError
        If there is not enough room.

    Examples
    --------
    >>> from skraee.backbone.placement import spread
    >>> spread([4, 4, 4, 4], rest=2, rooms=[10, 5, 20])
    [0, 0, 1, 2]
    """
    left = [rooms[0] - rest, *rooms[1:]]
    places: list[int] = []
    number = 0
    for size in layers:
        while number < len(left) and left[number] < size:
            number += 1
        if number == len(left) or left[0] < 0:
            raise ValueError(
                f"the model's weights take {(sum(layers) + rest) / 1e9:.3g} GB, and "
                f"its devices have room for {sum(rooms) / 1e9:.3g} GB; name one more, "
                "such as 'cpu' at the end, or a smaller dtype."
            )
        left[number] -= size
        places.append(number)
    return places


def _layers(model: PreTrainedModel, family: Family) -> list[nn.Module]:
    listed = (
        model.get_submodule(stack).get_submodule(family.layers)
        for stack in family.stacks
    )
    return [layer for layers in listed for layer in layers.children()]


def _tensors(parts: Iterator[nn.Module] | Sequence[nn.Module]) -> Iterator[Tensor]:
    for part in parts:
        yield from part.parameters(recurse=False)
        yield from part.buffers(recurse=False)


def _sizes(parts: Iterator[nn.Module] | Sequence[nn.Module]) -> dict[int, int]:
    """Return the bytes of what modules hold themselves, by the ids of tensors."""
    return {id(t): t.numel() * t.element_size() for t in _tensors(parts)}


def _room(device: torch.device) -> float:
    if device.type != "cuda":
        return float("inf")
    free, _ = torch.cuda.mem_get_info(device)
    # What this process has reserved and does not use is free to it.
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return _FOR_WEIGHTS * (free + unused)


def _refuse_shared(model: nn.Module, held: Sequence[Mapping[int, int]]) -> None:
    times = Counter(tensor for part in held for tensor in part)
    if max(times.values()) > 1:
        raise ValueError(
            f"layers of this {type(model).__name__} share weights, so it cannot be on "
            "several devices; name one, such as device='cuda:0'."
        )


def _bring(part: nn.Module, device: torch.device) -> None:
    """Bring to a device what a module holds itself."""
    for weight in part.parameters(recurse=False):
        weight.data = weight.data.to(device)
    for name, buffer in list(part.named_buffers(recurse=False)):
        part._buffers[name] = buffer.to(device)


class _Travel:
    """Takes what a layer is called with to its device, and what it makes home."""

    def __init__(self, device: torch.device, home: torch.device) -> None:
        self.device = device
        self.home = home

    def there(self, layer: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """Before the layer runs."""
        return _moved(args, self.device), _moved(kwargs, self.device)

    def back(self, layer: nn.Module, args: Any, made: Any) -> Any:
        """After it ran."""
        return _moved(made, self.home)


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if type(value) in (tuple, list):
        return type(value)(_moved(item, device) for item in value)
    if type(value) is dict:
        return {name: _moved(item, device) for name, item in value.items()}
    return value
