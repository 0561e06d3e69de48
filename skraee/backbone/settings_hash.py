"""What decides a model's answers beside its weights, in one hash."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from skraee.backbone.fingerprint import bits_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Entries of a configuration that change no answer: names, and what is given beside it.
_NO_SETTING = {
    *("_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version"),
    *("output_attentions", "output_hidden_states", "return_dict", "torchscript"),
    "use_cache",
}
# Attributes that do not decide what a module computes.
_NO_MATTER = {"name_or_path", "training"}
# What torch itself keeps in every module.
_MACHINERY = frozenset(vars(nn.Module()))
_LIBRARIES = ("transformers.", "torch.", "sentence_transformers.")
# Rotary embeddings that stretch with the longest text of a batch write these down.
_STRETCHING = ("dynamic", "longrope")
_STRETCHED = ("inv_freq", "max_seq_len_cached", "attention_scaling")


def settings_hash_of(model: PreTrainedModel) -> str:
    """Hash what decides a model's answers beside its parameters.

    That is its configuration, the classes of its modules, their numbers, flags, names
    and functions, and all tensors that are no parameters.

    Returns
    -------
    str
        SHA-256, in hexadecimal. Other versions of the libraries have another one.
    """
    settings = json.dumps(settings_of(model.config), sort_keys=True, default=str)
    digest = hashlib.sha256(settings.encode())
    update_with_modules(digest, model)
    return digest.hexdigest()


def settings_of(config: Any) -> dict[str, Any]:
    """Return the entries of a configuration on which answers may depend."""
    settings = config.to_dict()
    return {key: settings[key] for key in settings.keys() - _NO_SETTING}


def update_with_modules(digest: hashlib._Hash, model: nn.Module) -> None:
    """Add to a hash what the modules of a model hold beside their parameters.

    Parameters
    ----------
    digest : hash object
        Of hashlib.
    model : nn.Module
    """
    for path, module in model.named_modules(remove_duplicate=False):
        kind = type(module)
        digest.update(f"{path} {kind.__module__}.{kind.__qualname__}\n".encode())
        for name, value in sorted(_held(module)):
            digest.update(f"{name}=".encode() + value)


def _held(module: nn.Module) -> Iterator[tuple[str, bytes]]:
    """Yield a module's attributes and buffers that have a plain value."""
    stretches = _stretches(module)
    for name, value in {**vars(module), **module._buffers}.items():
        if name in _MACHINERY or name in _NO_MATTER:
            continue
        # What the libraries keep for themselves may change from call to call; of other
        # classes, as adapters have them, it may decide what they compute.
        if name.startswith("_") and type(module).__module__.startswith(_LIBRARIES):
            continue
        if stretches and name.endswith(_STRETCHED) and "original" not in name:
            continue
        if (plain := _plain(value)) is not None:
            yield name, plain


def _stretches(module: nn.Module) -> bool:
    kinds = str(getattr(module, "rope_type", ""))  # one, or one for each kind of layer
    return any(kind in kinds for kind in _STRETCHING)


def _plain(value: Any) -> bytes | None:
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)} {value.dtype} ".encode() + bits_of(value)
    if isinstance(value, (bool, int, float, str, torch.dtype)) or value is None:
        return repr(value).encode()
    if isinstance(value, np.ndarray) and value.dtype != object:
        return f"{value.shape} {value.dtype} ".encode() + value.tobytes()
    if isinstance(value, Mapping):
        pairs = sorted(value.items(), key=lambda pair: repr(pair[0]))
        return b"{" + b",".join(map(_of_item, chain(*pairs))) + b"}"
    if isinstance(value, (tuple, list)):
        return b"[" + b",".join(map(_of_item, value)) + b"]"
    if inspect.isroutine(value):
        return f"{value.__module__}.{value.__qualname__}".encode()
    return None


def _of_item(value: Any) -> bytes:
    """Return an item's value, or of what has none the class."""
    plain = _plain(value)
    return type(value).__qualname__.encode() if plain is None else plain
