"""What a model's weight files hold, told by their own headers: no weight is read.

A configuration may claim anything, and the library makes what it claims before it looks
at the weights. So what is claimed is held against the headers first.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import NamedTuple

import torch

from skraee.backbone.checkpoint import refusing_what_is_no_weight, weight_files

# Names of the dtypes of safetensors that hold no floating numbers.
_WHOLE = ("I", "U", "BOOL", "C")


class HeldWeight(NamedTuple):
    """A weight in a file.

    Attributes
    ----------
    shape : tuple of int
    is_floating : bool
        Whether its numbers may have a fraction.
    file : Path
    """

    shape: tuple[int, ...]
    is_floating: bool
    file: Path


Held = Mapping[str, HeldWeight]


def held_weights(folder: Path) -> Held:
    """Return the weights of a folder, by their names in its files.

    Raises
    ------
    OSError
        If it has no weights, or not all files of them.
    ValueError
        If a file is damaged; the message names it.
    """
    held: dict[str, HeldWeight] = {}
    for file in weight_files(folder):
        with refusing_what_is_no_weight(file):
            held |= _in_safetensors(file) if _is_safe(file) else _in_pickle(file)
    if not held:
        raise ValueError(
            f"{file.name} in {str(folder)!r} holds no weights at all; fetch the "
            "checkpoint again."
        )
    return held


def n_numbers(held: Held) -> int:
    """Return how many numbers there are in all weights."""
    return sum(prod(weight.shape) for weight in held.values())


def _is_safe(file: Path) -> bool:
    return file.suffix == ".safetensors"


def _in_safetensors(file: Path) -> dict[str, HeldWeight]:
    from safetensors import safe_open

    with safe_open(file, framework="pt") as opened:
        parts = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118
        return {
            name: HeldWeight(
                tuple(part.get_shape()), not part.get_dtype().startswith(_WHOLE), file
            )
            for name, part in parts.items()
        }


def _in_pickle(file: Path) -> dict[str, HeldWeight]:
    found = torch.load(
        file, map_location="meta", weights_only=True, mmap=zipfile.is_zipfile(file)
    )
    if not isinstance(found, dict):
        raise TypeError(f"a {type(found).__name__} where weights have names")
    return {
        str(name): HeldWeight(tuple(weight.shape), weight.is_floating_point(), file)
        for name, weight in found.items()
        if isinstance(weight, torch.Tensor)
    }
