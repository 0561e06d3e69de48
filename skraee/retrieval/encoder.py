"""Sentence encoders by name: texts to vectors, loaded once per process."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from skraee.backbone import hub
from skraee.backbone.ambient import own_torch_state
from skraee.backbone.frozen import DType, FrozenModel
from skraee.backbone.inside import refuse_links_outside
from skraee.backbone.naming import parse_name
from skraee.backbone.precision import Devices, resolve_device
from skraee.exceptions import BackboneMissingError
from skraee.retrieval.encoder_identity import EncoderIdentity, state_of
from skraee.retrieval.loaded_encoder import LoadedEncoder
from skraee.retrieval.mean_pooled import MeanPooled
from skraee.retrieval.sentence_transformer import (
    read_sentence_transformer,
    refuse_long_texts,
)
from skraee.text.inputs import check_texts

# By their vectors the twin of an object is known: cases, marks, and a text that is cut.
_PROBES = ["A lovely film!", "the waiter was cold, and so was the meal", "so it " * 600]


class Encoder(FrozenModel[LoadedEncoder]):
    """A frozen sentence encoder, whose vectors are keys for retrieval.

    A sentence-transformers folder runs through that library (extra ``encoder``); any
    other checkpoint is averaged over all its tokens, as the RAEE paper does with
    bert-base-uncased, and not normalised. Like a :class:`~skraee.Backbone` it is
    loaded once per process, survives ``clone`` uncopied, pickles as name, revision
    and hashes, and is what its source holds now.

    Parameters
    ----------
    name_or_model : str, Path or object
        Hub name (``org/name`` or ``org/name@revision``), a local folder, or an object
        whose ``encode(texts)`` returns an array (n, d).
    revision : str, optional
        Branch, tag or commit on the hub. Give a commit to make results repeatable.
    device : str or torch.device, default="auto"
        Where a named encoder runs; "auto" is the first GPU, else the CPU.

    Examples
    --------
    >>> from skraee import Encoder
    >>> Encoder("sentence-transformers/all-MiniLM-L6-v2")
    Encoder('sentence-transformers/all-MiniLM-L6-v2')
    """

    _what = "encoder"

    def __init__(
        self,
        name_or_model: str | os.PathLike[str] | Any,
        revision: str | None = None,
        *,
        device: str | torch.device = "auto",
    ) -> None:
        if isinstance(name_or_model, (str, os.PathLike)):
            super().__init__(*parse_name(name_or_model, revision))
        elif callable(getattr(name_or_model, "encode", None)):
            super().__init__(_name_of(name_or_model), revision, (name_or_model,))
        else:
            raise TypeError(
                "an encoder is a name, a path or an object with an encode method, got "
                f"{type(name_or_model).__name__}; give the name of a sentence encoder."
            )
        self._device = device

    @own_torch_state()
    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return one vector for every text.

        Parameters
        ----------
        texts : sequence of n str, or what `fit` takes for one field
            Longer ones than the encoder reads are cut as it cuts them.

        Returns
        -------
        vectors : ndarray of shape (n, d), float32

        Raises
        ------
        ValueError, TypeError
            If it is one string, has no order, or holds anything but strings.
        """
        plain = [text for (text,) in check_texts(texts, allow_empty=True)]
        return np.asarray(self.load().encode(plain), dtype=np.float32)

    def fingerprint(self) -> str | None:
        """Return a hash of all that decides vectors.

        That is weights, modules, pooling, prompts, tokenizer, length and dtype.

        Returns
        -------
        str or None
            None for an object whose code may do anything.
        """
        return self.load().identity.whole_hash()

    @own_torch_state()
    def load(self) -> LoadedEncoder:
        """Load the encoder, or find it where this process has loaded it before.

        Returns
        -------
        LoadedEncoder

        Raises
        ------
        OSError
            If there is no such encoder.
        ImportError
            If it is one of sentence-transformers, and that is not installed.
        BackboneChangedError
            If it is not what this object was pickled or saved with.
        BackboneMissingError
            If it was saved with a device that this machine does not have.
        """
        return self._load(None, (self._reached_device(),))

    def pinned(self) -> Self:
        """Return a handle on this encoder that refuses it once it has changed.

        Returns
        -------
        Encoder
        """
        return self._held_to({None: self._identity()})

    def description(self) -> dict[str, Any]:
        """Return what leads to this encoder and what it is, in plain JSON values.

        Returns
        -------
        dict

        Raises
        ------
        PicklingError
            If it was made of an object and no name leads to it.
        """
        return {**self._where(), **self._identity().description()}

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Self:
        """Return the encoder that `description` was asked of.

        Parameters
        ----------
        description : mapping
            As `description` returned it.

        Returns
        -------
        Encoder
        """
        place = cls(
            description["name"],
            description["revision"],
            device=description["device"],
        )
        return place.instead_of(description)

    def instead_of(self, description: Mapping[str, Any]) -> Self:
        """Return an encoder that is where this one is, and must be the one described.

        Parameters
        ----------
        description : mapping
            As `description` returned it.

        Returns
        -------
        Encoder
        """
        return self._held_to({None: EncoderIdentity.from_description(description)})

    def _identity(self) -> EncoderIdentity:
        """Return what this encoder has to be, or is."""
        pin = self._pins.get(None)
        return pin if isinstance(pin, EncoderIdentity) else self.load().identity

    def _read(self, dtype: DType, devices: Devices) -> LoadedEncoder:
        if self._objects:
            (model,) = self._objects
            refuse_long_texts(model)
            return LoadedEncoder.of(model)
        folder = self._folder()
        is_of_modules = (folder / "modules.json").is_file()
        read = read_sentence_transformer if is_of_modules else MeanPooled
        return LoadedEncoder.of(read(folder, devices[0]))

    def _reached_device(self) -> torch.device:
        try:
            return resolve_device(self._device)
        except ValueError as error:
            if not self._pins:
                raise
            raise BackboneMissingError(
                f"encoder {self._name!r} was saved with device={str(self._device)!r}, "
                "which is not to be had here; say where else it can run when a saved "
                "file is loaded: RAEEClassifier.load(path, encoder='name or folder')."
            ) from error

    def _folder(self) -> Path:
        if (folder := Path(self._name)).is_dir():
            refuse_links_outside(folder)
            return folder
        try:
            return hub.snapshot(self._name, self._revision, local_files_only=False)
        except OSError as error:
            if not self._pins:
                raise
            raise BackboneMissingError(
                f"encoder {self._name!r}, with which the estimator was fitted, cannot "
                "be loaded; if it has moved, say where to when a saved file is loaded: "
                "RAEEClassifier.load(path, encoder='name or folder')."
            ) from error

    def _state_of_objects(self) -> tuple[str, ...] | None:
        return state_of(*self._objects)

    def _holds(self, loaded: LoadedEncoder) -> bool:
        """Whether a name leads to these weights, and the same is done with them."""
        mine = self.load()
        weights = mine.identity.fingerprint
        if weights is None or weights != loaded.identity.fingerprint:
            return False
        one, other = (np.asarray(e.encode(_PROBES), np.float32) for e in (mine, loaded))
        has_shape = one.shape == other.shape
        return has_shape and np.allclose(one, other, rtol=1e-3, atol=1e-4)

    def _options(self) -> dict[str, Any]:
        return {"device": str(self._device)}


def as_encoder(encoder: Any) -> Any:
    """Wrap names and objects with an ``encode`` method; leave the rest as it is.

    Parameters
    ----------
    encoder : None, int, str, Path, Encoder, transformer or callable

    Returns
    -------
    object
    """
    if isinstance(encoder, (str, os.PathLike)):
        return Encoder(encoder)
    is_foreign = not isinstance(encoder, Encoder) and not hasattr(encoder, "transform")
    if is_foreign and callable(getattr(encoder, "encode", None)):
        return Encoder(encoder)
    return encoder


def _name_of(model: Any) -> str:
    for owner in (model, getattr(model, "transformers_model", None)):
        if isinstance(name := getattr(owner, "name_or_path", None), str) and name:
            return name
    return ""
