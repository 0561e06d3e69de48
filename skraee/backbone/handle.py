"""A backbone by name: loaded once per process, never inside a pickle."""

from __future__ import annotations

import os
from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Self

import torch

from skraee.backbone import sources, tiny
from skraee.backbone.ambient import own_torch_state
from skraee.backbone.frozen import DType, FrozenModel
from skraee.backbone.identity import Identity
from skraee.backbone.loaded import LoadedBackbone, in_dtype
from skraee.backbone.naming import parse_name
from skraee.backbone.objects import plain_model, refuse_changed
from skraee.backbone.placement import place
from skraee.backbone.precision import (
    Device,
    Devices,
    resolve_devices,
    resolve_dtype,
    warn_where_slow,
)
from skraee.backbone.quantized import is_quantized
from skraee.backbone.source_state import state_of_objects

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


class Backbone(FrozenModel[LoadedBackbone]):
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
        Hub name (``org/name`` or ``org/name@revision``), a local folder (also of a
        PEFT adapter, which is merged into its base), a ``.gguf`` file, the name of a
        toy (``toy:masked:0``, see `skraee.toy`), or a model of the transformers library
        with its language-model head; ``torch.compile`` and ``DataParallel`` are taken
        off. Of other wrappers give the model inside.
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

    _what = "backbone"

    def __init__(
        self,
        name_or_model: str | os.PathLike[str] | PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast | None = None,
        *,
        revision: str | None = None,
        local_files_only: bool = False,
    ) -> None:
        if isinstance(name_or_model, (str, os.PathLike)):
            _refuse_tokenizer_beside(name_or_model, tokenizer)
            self._is_decided_by_name = tiny.is_tiny(name_or_model)
            parse = tiny.parse_name if self._is_decided_by_name else parse_name
            super().__init__(*parse(name_or_model, revision))
        else:
            model = plain_model(name_or_model)
            _require_tokenizer(tokenizer)
            name = getattr(model, "name_or_path", "")
            super().__init__(name, revision, (model, tokenizer))
        self._local_files_only = local_files_only

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
        device : str, torch.device or sequence of these, default="auto"
            Of several devices the first takes as many layers as it has room for, the
            next one the layers after these, and so on. "auto" is all GPUs, else the
            CPU; for a model object its own device.

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
        if isinstance(device, str) and device == "auto" and self._objects:
            device = self._objects[0].device
        if isinstance(dtype, str) and dtype == "auto":
            dtype = self._own_dtype() or dtype
        devices = resolve_devices(device)
        return self._load(resolve_dtype(dtype, devices[0]), devices)

    def prompts(self) -> dict[str, str]:
        """Return the prompts that a sentence-transformers folder names; none loads.

        Returns
        -------
        dict of str to str
            Name -> words before the text, such as ``"query: "``; empty of any other
            backbone. `skraee.templates.of_backbone` makes templates of them.

        Raises
        ------
        OSError
            If it is a hub's name and the hub does not have it.
        ValueError
            If the folder's list of modules is damaged.
        """
        if not self._name:
            return {}
        return sources.named_prompts(
            self._name, self._revision, local_files_only=self._local_files_only
        )

    def pinned_to(self, loaded: LoadedBackbone) -> Self:
        """Return a handle on this backbone that refuses it once it has changed.

        Parameters
        ----------
        loaded : LoadedBackbone
            What `load` returned.

        Returns
        -------
        Backbone
        """
        return self._held_to({loaded.dtype: loaded.identity})

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
        return self._where()

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Self:
        """Return the backbone that `description` was asked of.

        Parameters
        ----------
        description : mapping
            As `description` returned it.

        Returns
        -------
        Backbone
        """
        if "toy" in description:  # once toys had no name
            return cls(tiny.name_of(description["toy"], description["seed"]))
        return cls(
            description["name"],
            revision=description["revision"],
            local_files_only=description["local_files_only"],
        )

    def _own_dtype(self) -> torch.dtype | None:
        """Return the dtype that does not depend on the device."""
        if self._objects:
            own: torch.dtype = self._objects[0].dtype
            return own
        return torch.float32 if tiny.is_tiny(self._name) else None

    def _read(self, dtype: DType, devices: Devices) -> LoadedBackbone:
        assert dtype is not None
        warn_where_slow(dtype, devices[0])
        model, tokenizer, family, sentence = self._parts(dtype, devices[0])
        if is_quantized(model):  # which the library has brought where it runs
            devices = devices[:1]
        if model.dtype != dtype or (model.device,) != devices:
            if self._objects:  # the user's own model stays as it is
                model = deepcopy(model)
            model = place(in_dtype(model, dtype), family, devices)
        return LoadedBackbone.of(model, tokenizer, family, sentence)

    def _parts(self, dtype: torch.dtype, device: torch.device) -> sources.Parts:
        if self._objects:
            model, tokenizer = self._objects
            return sources.take_objects(model, tokenizer, dtype)
        return sources.read_named(
            self._name,
            self._revision,
            dtype,
            device,
            local_files_only=self._local_files_only,
        )

    def _state_of_objects(self) -> tuple[str, ...]:
        refuse_changed(self._objects[0])
        return state_of_objects(*self._objects)

    def _holds(self, loaded: LoadedBackbone) -> bool:
        model, tokenizer, _, sentence = self._parts(loaded.dtype, loaded.device)
        return Identity.of(model, tokenizer, sentence) == loaded.identity

    def _options(self) -> dict[str, Any]:
        return {"local_files_only": self._local_files_only}


def _refuse_tokenizer_beside(name: object, tokenizer: object) -> None:
    if tokenizer is not None:
        raise ValueError(
            f"a tokenizer was given with the name {str(name)!r}; it goes with a "
            "model object only, a named backbone brings its own."
        )


def _require_tokenizer(tokenizer: object) -> None:
    if tokenizer is None:
        raise ValueError(
            "a backbone made of a model object needs its tokenizer, got none; pass "
            "both, as in Backbone(model, tokenizer)."
        )


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
