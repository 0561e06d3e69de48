"""What a model is, and what its source holds now, told in hashes.

A source is known by what it holds and not by its path or by ``id``: weights may change
in place, folders may be written anew, tokens may be added.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from skraee.backbone.fingerprint import bits_of, fingerprint_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_FILES = ("*.json", "*.txt", "*.model", "*.safetensors", "*.bin")

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

# A vocabulary is told by so many of its tokens, evenly spread: the library replaces it
# as a whole or not at all, and reading all 262,144 of Gemma's takes 0.3 s.
_SAMPLED_TOKENS = 997


@dataclass(frozen=True)
class Identity:
    """What a backbone is.

    Attributes
    ----------
    weights : str
        Hash of them as loaded, so it depends on dtype.
    tokenizer : str or None
        Hash of it; None where it is not known (a pickle of an older skraee).
    settings : str or None
        Hash of configuration, modules and buffers. It changes with the versions of
        the libraries; None where none can be compared with.
    """

    weights: str
    tokenizer: str | None = None
    settings: str | None = None

    def change_to(self, now: Identity) -> str | None:
        """Return what is another there; None where nothing that is known is.

        Parameters
        ----------
        now : Identity
        """
        if self.weights != now.weights:
            return "weights"
        if self.tokenizer not in (None, now.tokenizer):
            return "tokenizer's tokens and settings"
        if self.settings not in (None, now.settings):
            return "configuration and modules"
        return None


def state_of_objects(model: PreTrainedModel, tokenizer: Any) -> tuple[str, ...]:
    """Return what a model and its tokenizer are now.

    It costs one reading of the weights: 45 ms for 268 million parameters in float32.
    The counters by which torch notices changes would cost nothing, but do not see what
    goes through ``.data`` or NumPy.

    Parameters
    ----------
    model : PreTrainedModel
    tokenizer : PreTrainedTokenizerFast

    Returns
    -------
    tuple of str
    """
    return (
        fingerprint_of(model),
        settings_hash_of(model),
        str(model.config._attn_implementation),
        tokenizer_state_of(tokenizer),
    )


def state_of_files(source: Path) -> tuple[tuple[str, int, int, int], ...] | None:
    """Return sizes, dates and places of the files of a source; none is read.

    Parameters
    ----------
    source : Path
        A file, or a folder with a model.

    Returns
    -------
    tuple or None
        None where there is nothing, or no longer anything.
    """
    if not source.is_absolute():  # a hub's name; paths are made absolute
        return None
    found = [(file, file.stat()) for file in sorted(_files(source))]
    return tuple((str(f), s.st_size, s.st_mtime_ns, s.st_ino) for f, s in found) or None


def _files(source: Path) -> Iterator[Path]:
    if source.is_file():
        yield source
    for kind in _FILES:
        yield from source.glob(kind)
        for part in _parts(source):
            yield from part.rglob(kind)


def _parts(folder: Path) -> list[Path]:
    """Return the folders in which a sentence encoder's modules lie."""
    listed = folder / "modules.json"
    if not listed.is_file():
        return []
    paths = {module.get("path") for module in json.loads(listed.read_text("utf-8"))}
    return [folder / path for path in paths if path]


def settings_hash_of(model: PreTrainedModel) -> str:
    """Hash what decides a model's answers beside its parameters.

    That is its configuration, the classes of its modules, their numbers, flags, names
    and functions, and all tensors that are no parameters.

    Parameters
    ----------
    model : PreTrainedModel

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
    """Return the entries of a configuration on which answers may depend.

    Parameters
    ----------
    config : PreTrainedConfig
    """
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


def tokenizer_state_of(tokenizer: Any) -> str:
    """Hash what can be changed of a tokenizer in memory.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
        One without a fast form is told by its class and size.

    Returns
    -------
    str
        SHA-256, in hexadecimal.
    """
    rust = getattr(tokenizer, "backend_tokenizer", None)
    if rust is None:
        return _hash([type(tokenizer).__name__, str(len(tokenizer))])
    steps = (rust.normalizer, rust.pre_tokenizer, rust.post_processor, rust.decoder)
    n_tokens = rust.get_vocab_size()
    spread = range(0, n_tokens, max(1, n_tokens // _SAMPLED_TOKENS))
    return _hash(
        [
            str(id(rust)),
            str(type(rust.model)),
            str(n_tokens),
            *(repr(rust.id_to_token(number)) for number in spread),
            *(repr(step and step.__getstate__()) for step in steps),
            repr(sorted(map(str, rust.get_added_tokens_decoder().items()))),
            repr((tokenizer.mask_token, sorted(tokenizer.all_special_ids))),
        ]
    )


def _hash(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
