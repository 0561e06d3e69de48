"""A backbone by name: loaded once per process, never inside a pickle."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch

from skraee.backbone import gguf, hub, loading, tiny
from skraee.backbone.ambient import own_torch_state
from skraee.backbone.embeddings import (
    refuse_tokens_without_embedding,
)
from skraee.backbone.families import Family, family_of
from skraee.backbone.fingerprint import fingerprint_of
from skraee.backbone.identity import Identity
from skraee.backbone.loaded import LoadedBackbone, moved
from skraee.backbone.naming import Uncopied, parse_name
from skraee.backbone.objects import plain_model, refuse_changed
from skraee.backbone.output_flags import without_output_flags
from skraee.backbone.precision import (
    Device,
    name_of,
    refuse_overflow,
    resolve_device,
    resolve_dtype,
    warn_where_slow,
)
from skraee.backbone.settings_hash import settings_hash_of
from skraee.backbone.source_state import state_of_files, state_of_objects
from skraee.exceptions import BackboneChangedError
from skraee.text.tokenizer import TextTokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

_loaded: dict[tuple[Any, ...], LoadedBackbone] = {}
_loading = threading.RLock()


class Backbone(Uncopied):
    """A frozen language model, by name or as objects.

    It is loaded when it is first needed, once per process and dtype, and shared by
    all estimators, their clones and their threads. A pickle holds its name, its
    revision and hashes of its weights and tokenizer, never the weights.

    It is what its source holds now: where files of a folder or the weights of a model
    object have changed since, the next `fit` takes them as they are, and estimators
    that were fitted before raise :class:`~skraee.exceptions.BackboneChangedError`.

    Parameters
    ----------
    name_or_model : str, Path or PreTrainedModel
        Hub name (``org/name`` or ``org/name@revision``), a local folder, a ``.gguf``
        file, the name of a toy (``toy:masked:0``, see `skraee.toy`), or a model of the
        transformers library with its language-model head; ``torch.compile`` and
        ``DataParallel`` are taken off. Of other wrappers give the model inside.
    tokenizer : PreTrainedTokenizerFast, optional
        Needed with a model object, and only then.
    revision : str, optional
        Branch, tag or commit on the hub. Give a commit to make results repeatable.
    local_files_only : bool, default=False
        Do not ask the hub, use what its cache has.

    Examples
    --------
    >>> from skraee import Backbone
    >>> Backbone("FacebookAI/roberta-large@main")
    Backbone('FacebookAI/roberta-large', revision='main')
    """

    def __init__(
        self,
        name_or_model: str | os.PathLike[str] | PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast | None = None,
        *,
        revision: str | None = None,
        local_files_only: bool = False,
    ) -> None:
        self._model: PreTrainedModel | None = None
        self._tokenizer = tokenizer
        self._local_files_only = local_files_only
        self._seen: dict[str, Identity] = {}  # dtype -> what was loaded last
        self._pinned: dict[str, Identity] = {}  # dtype -> what it has to be
        self._found_by_name: dict[Identity, str] = {}  # what names have led to
        if isinstance(name_or_model, (str, os.PathLike)):
            self._take_name(name_or_model, revision)
        else:
            self._take_model(name_or_model, revision)

    @property
    def name(self) -> str:
        """Hub name or absolute path; of a model object, its ``name_or_path``."""
        return self._name

    @property
    def revision(self) -> str | None:
        """Revision on the hub."""
        return self._revision

    @own_torch_state()
    def load(
        self, dtype: str | torch.dtype = "auto", device: Device = "auto"
    ) -> LoadedBackbone:
        """Load the model, or find it where this process has loaded it before.

        Parameters
        ----------
        dtype : {"auto", "bfloat16", "float16", "float32"}, default="auto"
            "auto" is bfloat16 where the device has instructions for it, else
            float32; for a model object its own dtype, for a toy float32.
        device : str or torch.device, default="auto"
            "auto" is the first GPU, else the CPU; for a model object its own device.

        Returns
        -------
        LoadedBackbone

        Raises
        ------
        OSError
            If there is no such model.
        ValueError
            If its type is not supported, its weights are incomplete, its tokenizer is
            another model's, or a model object was patched.
        BackboneMismatchError
            If its layers, run one by one, do not answer as the model does.
        BackboneChangedError
            If it is not what this object was pickled with.
        """
        target = self._resolve_device(device)
        kind = self._resolve_dtype(dtype, target)
        key = (*self._identity(), kind, target)
        state = self._state()
        with _loading:
            if key not in _loaded or state not in (None, _loaded[key]._state):
                warn_where_slow(kind, target)
                _loaded.pop(key, None)
                _loaded[key] = self._load(kind, target, state)
            loaded = _loaded[key]
        self._check_pin(loaded)
        return loaded

    def pinned_to(self, loaded: LoadedBackbone) -> Self:
        """Return a handle on this backbone that refuses it once it has changed.

        Parameters
        ----------
        loaded : LoadedBackbone
            What `load` returned.
        """
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._pinned = {**self._pinned, name_of(loaded.dtype): loaded.identity}
        return twin

    def description(self) -> dict[str, Any]:
        """Return what leads to this backbone, in values that JSON can hold.

        Returns
        -------
        dict

        Raises
        ------
        PicklingError
            If it was made of objects and no name leads to them.
        """
        if self._model is not None:
            self._check_that_name_leads_here()
        return {
            "name": self._name,
            "revision": self._revision,
            "local_files_only": self._local_files_only,
        }

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Self:
        """Return the backbone that `description` was asked of.

        Parameters
        ----------
        description : mapping
        """
        if "toy" in description:  # once toys had no name
            return cls(tiny.name_of(description["toy"], description["seed"]))
        return cls(
            description["name"],
            revision=description["revision"],
            local_files_only=description["local_files_only"],
        )

    def _take_name(self, name: str | os.PathLike[str], revision: str | None) -> None:
        if self._tokenizer is not None:
            raise ValueError(
                f"a tokenizer was given with the name {str(name)!r}; it goes with a "
                "model object only, a named backbone brings its own."
            )
        if tiny.is_tiny(name):
            self._name, self._revision = tiny.check_name(str(name), revision), None
        else:
            self._name, self._revision = parse_name(name, revision)

    def _take_model(self, model: PreTrainedModel, revision: str | None) -> None:
        model = plain_model(model)
        if self._tokenizer is None:
            raise ValueError(
                "a backbone made of a model object needs its tokenizer: "
                "Backbone(model, tokenizer)."
            )
        self._model = model
        self._name = getattr(model, "name_or_path", "")
        self._revision = revision

    def _identity(self) -> tuple[Any, ...]:
        if self._model is not None:
            return ("object", id(self._model), id(self._tokenizer))
        return ("name", self._name, self._revision)

    def _state(self) -> Any:
        """Return what the source holds now; None where that cannot be told."""
        if self._model is not None:
            refuse_changed(self._model)
            return state_of_objects(self._model, self._tokenizer)
        return state_of_files(Path(self._name))

    def _resolve_device(self, device: Device) -> torch.device:
        if self._model is not None and isinstance(device, str) and device == "auto":
            return torch.device(self._model.device)
        return resolve_device(device)

    def _resolve_dtype(
        self, dtype: str | torch.dtype, device: torch.device
    ) -> torch.dtype:
        if self._model is not None and isinstance(dtype, str) and dtype == "auto":
            dtype = self._model.dtype
        elif tiny.is_tiny(self._name) and isinstance(dtype, str) and dtype == "auto":
            dtype = torch.float32
        return resolve_dtype(dtype, device)

    def _load(
        self, dtype: torch.dtype, device: torch.device, state: Any
    ) -> LoadedBackbone:
        model, hf_tokenizer, family = self._read(dtype)
        if model.dtype != dtype or model.device != device:
            if self._model is not None:  # the user's own model stays as it is
                model = deepcopy(model)
            model = moved(model, dtype, device)
        tokenizer = TextTokenizer.from_hf(hf_tokenizer)
        refuse_tokens_without_embedding(model, tokenizer)
        loaded = LoadedBackbone(
            model=model,
            tokenizer=tokenizer,
            family=family,
            dtype=dtype,
            device=device,
            fingerprint=fingerprint_of(model),
            settings_hash=settings_hash_of(model),
            _state=state,
            # The key of the registry is the id of these objects while they live.
            _source=(self._model, self._tokenizer),
        )
        return loaded

    def _read(
        self, dtype: torch.dtype
    ) -> tuple[PreTrainedModel, PreTrainedTokenizerFast, Family]:
        """Return model, tokenizer and family; subclasses have other sources."""
        if self._model is not None:
            assert self._tokenizer is not None
            family = family_of(self._model.config.model_type)
            refuse_overflow(family.kind, dtype)
            model = without_output_flags(self._model)
            return model, self._tokenizer, loading.family_as_in(model, family)
        if tiny.is_tiny(self._name):
            return tiny.read(self._name, dtype)
        path = Path(self._name)
        if path.is_file() and path.suffix.lower() == ".gguf":
            return loading.read_folder(gguf.unpacked(path), dtype)
        if not path.is_dir():
            path = hub.snapshot(
                self._name, self._revision, local_files_only=self._local_files_only
            )
        return loading.read_folder(path, dtype)

    def _check_pin(self, loaded: LoadedBackbone) -> None:
        kind = name_of(loaded.dtype)
        if not tiny.is_tiny(self._name):  # which its name decides
            self._seen[kind] = loaded.identity
        pin = self._pinned.get(kind)
        if pin is not None and (change := pin.change_to(loaded.identity)) is not None:
            raise BackboneChangedError(
                f"the {change} of backbone {self.name or self!r} are not those that "
                "the estimator was fitted with; restore them (give the revision), or "
                "fit again with a new Backbone."
            )

    def __reduce__(self) -> tuple[Any, ...]:
        description = self.description()
        known = {**self._seen, **self._pinned}
        # Settings are hashed otherwise by other versions of the libraries.
        pins = {dtype: (pin.weights, pin.tokenizer) for dtype, pin in known.items()}
        return _restore, (description, pins)

    @own_torch_state()
    def _check_that_name_leads_here(self) -> None:
        mine = self.load()
        if mine.identity not in self._found_by_name:
            name = self._name_that_leads_to(mine.identity, mine.dtype)
            self._found_by_name[mine.identity] = name
        self._name = self._found_by_name[mine.identity]

    def _name_that_leads_to(self, wanted: Identity, dtype: torch.dtype) -> str:
        try:
            twin = Backbone(self._name, revision=self._revision)
            model, tokenizer, _ = twin._read(dtype)
            found = Identity(
                fingerprint_of(model),
                TextTokenizer.from_hf(tokenizer).fingerprint,
                settings_hash_of(model),
            )
        except (OSError, ValueError):
            found = None
        if found != wanted:
            raise pickle.PicklingError(
                "the backbone was made of a model object and its name_or_path "
                f"{self._name!r} does not lead to the same weights and tokenizer, so "
                "it can be neither pickled nor saved; save both with save_pretrained "
                "and pass the folder."
            )
        return twin.name

    def __repr__(self) -> str:
        if self._model is not None:
            return f"Backbone({type(self._model).__name__}(...))"
        revision = f", revision={self._revision!r}" if self._revision else ""
        return f"Backbone({self._name!r}{revision})"


def as_backbone(backbone: object) -> Backbone:
    """Return a `Backbone` for what a user gave.

    Parameters
    ----------
    backbone : str, Path or Backbone

    Raises
    ------
    TypeError
        If it is something else.
    """
    if isinstance(backbone, Backbone):
        return backbone
    if isinstance(backbone, (str, os.PathLike)):
        return Backbone(backbone)
    raise TypeError(
        "backbone must be a hub name, a path or a skraee.Backbone, got "
        f"{type(backbone).__name__}; wrap model objects: Backbone(model, tokenizer)."
    )


def clear_backbones() -> None:
    """Forget all loaded models; the next use loads them again."""
    with _loading:
        _loaded.clear()


def _restore(
    description: Mapping[str, Any], pins: Mapping[str, tuple[str, str | None] | str]
) -> Backbone:
    backbone = Backbone.from_description(description)
    for dtype, pin in pins.items():  # once the weights' hash alone was pickled
        parts = (pin,) if isinstance(pin, str) else pin
        backbone._pinned[dtype] = Identity(*parts)
    return backbone
