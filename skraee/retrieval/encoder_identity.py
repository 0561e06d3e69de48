"""What a sentence encoder is: all that decides its vectors, not its weights alone."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from typing import Any

from torch import nn

from skraee.backbone.fingerprint import config_hash_of, fingerprint_of
from skraee.backbone.objects import refuse_patched
from skraee.backbone.precision import name_of
from skraee.backbone.settings_hash import settings_of, update_with_modules
from skraee.backbone.source_state import tokenizer_state_of
from skraee.text.tokenizer import TextTokenizer

#: Hashes of parts, by the names that files have for them.
EncoderIdentity = dict[str, str | None]

_LIBRARY = "sentence_transformers"
# Whose classes compute what their attributes say.
_KNOWN = {_LIBRARY, "transformers", "torch"}
# How a tokenizer cuts and fills up.
_CUTTING = ("model_max_length", "truncation_side", "padding_side", "pad_token_id")

_ENTRIES = (
    *("fingerprint", "tokenizer_hash", "config_hash", "dtype"),
    *("modules_hash", "library"),
)
# What may not change, and what messages call it.
_PARTS = {
    "fingerprint": "weights",
    "tokenizer_hash": "tokenizer",
    "modules_hash": "modules and settings",
}


def identity_of(model: Any, *, is_known: bool) -> EncoderIdentity:
    """Return what an encoder is, as far as that can be told.

    Parameters
    ----------
    model : object
        Its parts have the names that sentence-transformers gives them.
    is_known : bool
        Whether its code is that of the libraries, or ours.

    Returns
    -------
    dict
        ``fingerprint`` of the weights, ``tokenizer_hash``, ``config_hash``, ``dtype``,
        ``modules_hash`` of all else, and the ``library`` that runs it; the last two are
        None for an object whose code may do anything.
    """
    found: EncoderIdentity = dict.fromkeys(_ENTRIES)
    network: Any = getattr(model, "transformers_model", None)
    tokenizer = getattr(model, "tokenizer", None)
    parameters = model if isinstance(model, nn.Module) else network
    if parameters is not None:
        found["fingerprint"] = fingerprint_of(parameters)
    if hasattr(tokenizer, "backend_tokenizer"):
        found["tokenizer_hash"] = TextTokenizer.from_hf(tokenizer).fingerprint
    if hasattr(network, "config"):
        found["config_hash"] = config_hash_of(network)
        found["dtype"] = name_of(network.dtype)
    if is_known:
        found["modules_hash"] = _settings_hash_of(model)
        found["library"] = _library_of(model)
    return found


def change_between(then: EncoderIdentity, now: EncoderIdentity) -> str | None:
    """Return which part of an encoder is another now; None where none is known to be.

    Parameters
    ----------
    then, now : dict
        The former may come from a file, and an older one has no ``modules_hash``, which
        another version of the library makes otherwise.
    """
    is_comparable = then.get("library") == now.get("library")
    for part, name in _PARTS.items():
        known = then.get(part) is not None and (part != "modules_hash" or is_comparable)
        if known and then[part] != now[part]:
            return name
    return None


def whole_hash_of(identity: EncoderIdentity) -> str | None:
    """Return one hash of all that decides vectors; None where that cannot be told.

    Parameters
    ----------
    identity : dict
    """
    if identity["modules_hash"] is None:
        return None
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def state_of(model: Any) -> tuple[str, ...] | None:
    """Return what an object holds now; None where that cannot be told.

    Parameters
    ----------
    model : object
    """
    if not isinstance(model, nn.Module):
        return None
    tokenizer = getattr(model, "tokenizer", None)
    told = "" if tokenizer is None else tokenizer_state_of(tokenizer)
    known = str(is_of_library(model))
    return fingerprint_of(model), _settings_hash_of(model), told, known


def is_of_library(model: Any) -> bool:
    """Whether only code of the libraries computes an encoder's vectors.

    Parameters
    ----------
    model : object
    """
    if not is_sentence_transformer(model):
        return False
    try:
        refuse_patched(model)
    except ValueError:
        return False
    kinds = {type(module).__module__.partition(".")[0] for module in model.modules()}
    return kinds <= _KNOWN


def is_sentence_transformer(model: Any) -> bool:
    """Whether an object, or a parent of its class, comes from that library.

    Parameters
    ----------
    model : object
    """
    return any(parent.__module__.startswith(_LIBRARY) for parent in type(model).__mro__)


def _settings_hash_of(model: Any) -> str:
    digest = hashlib.sha256()
    if isinstance(model, nn.Module):
        update_with_modules(digest, model)
        parts = [_configuration_of(part) for part in model.children()]
        digest.update(_json([parts, getattr(model, "prompts", None)]))
    network: Any = getattr(model, "transformers_model", None)
    if hasattr(network, "config"):
        digest.update(_json(settings_of(network.config)))
        if network is not model:
            update_with_modules(digest, network)
    tokenizer = getattr(model, "tokenizer", None)
    digest.update(_json([getattr(tokenizer, name, None) for name in _CUTTING]))
    digest.update(_json(getattr(model, "limit", None)))
    return digest.hexdigest()


def _configuration_of(module: Any) -> Any:
    return module.get_config_dict() if hasattr(module, "get_config_dict") else None


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, default=str).encode()


def _library_of(model: Any) -> str:
    name = "sentence-transformers" if is_sentence_transformer(model) else "transformers"
    return f"{name} {version(name)}"
