"""A short name for a model's weights, which tells when they are others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from skraee.backbone.ambient import own_torch_state

_BLOCK = 1 << 15  # bytes


@own_torch_state()
def fingerprint_of(model: torch.nn.Module) -> str:
    """Hash a model's weights as they are in memory.

    Each tensor enters with its name, its shape, its dtype, for every 32 KiB the sum
    of its bits read as 64-bit integers, and the bytes that are left at its end. No
    order of summation changes such a sum, so the number of threads and the device do
    not matter; any one bit does. It costs about as much as reading the memory once.

    Returns
    -------
    str
        SHA-256, in hexadecimal.
    """
    digest = hashlib.sha256(type(model).__name__.encode())
    weights = dict(model.named_parameters()) | _beside(model)
    for name, weight in sorted(weights.items()):
        for path, part in _plain_parts(name, weight):
            digest.update(f"{path} {tuple(part.shape)} {part.dtype} ".encode())
            digest.update(bits_of(part))
    return digest.hexdigest()


def _beside(model: torch.nn.Module) -> dict[str, Tensor]:
    """Return what belongs to quantised weights and stands in no parameter."""
    if not getattr(model, "is_quantized", False):
        return {}
    named = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    named |= {name for name, _ in model.named_buffers(remove_duplicate=False)}
    saved = model.state_dict()
    return {
        name: saved[name]
        for name in saved.keys() - named
        if isinstance(saved[name], Tensor)
    }


def _plain_parts(name: str, weight: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors that a weight is made of: of most, itself."""
    if not hasattr(weight, "__tensor_flatten__"):
        yield name, weight
        return
    for part in weight.__tensor_flatten__()[0]:
        yield from _plain_parts(f"{name}:{part}", getattr(weight, part))


def config_hash_of(model: Any) -> str:
    """Hash a transformers model's configuration.

    Returns
    -------
    str
        SHA-256, in hexadecimal. Another version of transformers has another one.
    """
    return hashlib.sha256(model.config.to_json_string().encode()).hexdigest()


def bits_of(tensor: Tensor) -> bytes:
    """Return the sums and the bytes that stand for a tensor's bits in a hash."""
    flat = tensor.detach().contiguous().flatten()
    if flat.storage_offset() * flat.element_size() % 8:
        flat = flat.clone()
    per_block = _BLOCK // flat.element_size()
    whole = flat.numel() - flat.numel() % per_block
    blocks = flat[:whole].view(-1, per_block).view(torch.int64)
    rest = flat[whole:].view(torch.uint8)
    return _sums(blocks) + rest.cpu().numpy().tobytes()


def _sums(blocks: Tensor) -> bytes:
    if blocks.device.type == "cpu":
        # One thread reads as fast as the memory gives, and waits for no other.
        sums: bytes = blocks.numpy().sum(axis=1).tobytes()
        return sums
    return blocks.sum(1).cpu().numpy().tobytes()
