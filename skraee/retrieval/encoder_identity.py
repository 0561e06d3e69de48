"""What a sentence encoder is, told in hashes: more than its weights alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from typing import Any, Self

from torch import nn

from skraee.backbone.fingerprint import config_hash_of, fingerprint_of
from skraee.backbone.precision import name_of
from skraee.backbone.settings_hash import settings_of, update_with_modules
from skraee.backbone.source_state import tokenizer_state_of
from skraee.retrieval.sentence_transformer import is_of_library, is_sentence_transformer
from skraee.text.tokenizer import TextTokenizer

# How a tokenizer cuts and fills up.
_CUTTING = ("model_max_length", "truncation_side", "padding_side", "pad_token_id")

# What may not change, and what messages call it.
_PARTS = {
    "fingerprint": "weights",
    "tokenizer_hash": "tokenizer",
    "modules_hash": "modules and settings",
}


@dataclass(frozen=True)
class EncoderIdentity:
    """What an encoder is, as far as that can be told; None is not known.

    Attributes
    ----------
    fingerprint : str or None
        Of the weights.
    tokenizer_hash, config_hash : str or None
    dtype : str or None
    modules_hash : str or None
        Of all else; None for an object whose code may do anything.
    library : str or None
        What runs it, with its version, in which ``modules_hash`` is made.
    """

    fingerprint: str | None = None
    tokenizer_hash: str | None = None
    config_hash: str | None = None
    dtype: str | None = None
    modules_hash: str | None = None
    library: str | None = None

    @classmethod
    def of(cls, model: Any, *, is_known: bool) -> Self:
        """Return what a model is.

        Parameters
        ----------
        model : object
            Its parts have the names that sentence-transformers gives them.
        is_known : bool
            Whether its code is that of the libraries, or ours.
        """
        found = {}
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
        return cls(**found)

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Self:
        """Return what a description tells; an older one tells less."""
        return cls(**{f.name: description.get(f.name) for f in fields(cls)})

    def description(self) -> dict[str, str | None]:
        """Return all hashes by their names, as files have them."""
        return asdict(self)

    def change_to(self, now: EncoderIdentity) -> str | None:
        """Return what is another there; None where nothing that is known is.

        Another version of the library makes ``modules_hash`` otherwise.
        """
        then, found = asdict(self), asdict(now)
        for part, name in _PARTS.items():
            is_comparable = part != "modules_hash" or self.library == now.library
            if then[part] is not None and is_comparable and then[part] != found[part]:
                return name
        return None

    def lasting(self) -> Self:
        """Return what other versions of the libraries, too, can be held to."""
        return self  # which tells the library

    def whole_hash(self) -> str | None:
        """Return one hash of all that decides vectors; None where that is not known."""
        if self.modules_hash is None:
            return None
        return hashlib.sha256(_json(asdict(self))).hexdigest()


def state_of(model: Any) -> tuple[str, ...] | None:
    """Return what an object holds now; None where that cannot be told."""
    if not isinstance(model, nn.Module):
        return None
    tokenizer = getattr(model, "tokenizer", None)
    told = "" if tokenizer is None else tokenizer_state_of(tokenizer)
    known = str(is_of_library(model))
    return fingerprint_of(model), _settings_hash_of(model), told, known


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
