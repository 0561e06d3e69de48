"""Sentence encoders by name: texts to vectors, loaded once per process."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from skraee.backbone import loading
from skraee.backbone.ambient import own_torch_state
from skraee.backbone.batching import check_batch_tokens, run_batches
from skraee.backbone.checkpoint import prefers_safetensors
from skraee.backbone.fingerprint import config_hash_of, fingerprint_of
from skraee.backbone.naming import Uncopied, parse_name
from skraee.backbone.precision import Device, name_of, resolve_device
from skraee.backbone.quiet import quiet_loading
from skraee.exceptions import BackboneChangedError, BackboneMissingError
from skraee.text.inputs import check_texts
from skraee.text.tokenizer import TextTokenizer

Encode = Callable[[list[str]], Any]

# What a description tells besides hashes.
_WHERE = ("name", "revision", "device")

_loaded: dict[tuple[Any, ...], LoadedEncoder] = {}
_loading = threading.RLock()


class Encoder(Uncopied):
    """A frozen sentence encoder, whose vectors are keys for retrieval.

    A sentence-transformers folder runs through that library (extra ``encoder``); any
    other checkpoint is averaged over all its tokens, as the RAEE paper does with
    bert-base-uncased, and not normalised. Like a :class:`~skraee.Backbone` it is
    loaded once per process, survives ``clone`` uncopied and pickles as name, revision
    and fingerprint.

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

    def __init__(
        self,
        name_or_model: str | os.PathLike[str] | Any,
        revision: str | None = None,
        *,
        device: Device = "auto",
    ) -> None:
        self._model: Any = None
        self._device = device
        self._fingerprint: str | None = None
        self._saved: dict[str, Any] | None = None  # what a file tells of it
        if isinstance(name_or_model, (str, os.PathLike)):
            self._name, self._revision = parse_name(name_or_model, revision)
        elif callable(getattr(name_or_model, "encode", None)):
            self._model = name_or_model
            self._name, self._revision = _name_of(name_or_model), revision
        else:
            raise TypeError(
                "an encoder is a name, a path or an object with an encode method, got "
                f"{type(name_or_model).__name__}."
            )

    @property
    def name(self) -> str:
        """Hub name or absolute path; empty for an object that names none."""
        return self._name

    @own_torch_state()
    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return one vector for every text.

        Parameters
        ----------
        texts : sequence of n str, or what `fit` takes for one field

        Returns
        -------
        vectors : ndarray of shape (n, d), float32

        Raises
        ------
        ValueError, TypeError
            If it is one string, has no order, or holds anything but strings.
        """
        plain = [text for (text,) in check_texts(texts, allow_empty=True)]
        return np.asarray(self._load().encode(plain), dtype=np.float32)

    def fingerprint(self) -> str:
        """Return a hash of the weights: what `encode` computes.

        Returns
        -------
        str
        """
        return self._load().fingerprint

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
        if self._model is not None:
            self._check_that_name_leads_here()
        where = {"name": self._name, "revision": self._revision}
        identity = self._saved or self._load().identity
        return {**where, "device": str(self._device), **identity}

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Self:
        """Return the encoder that `description` was asked of.

        Parameters
        ----------
        description : mapping
        """
        name, revision, device = (description[part] for part in _WHERE)
        return cls(name, revision, device=device).instead_of(description)

    def instead_of(self, description: Mapping[str, Any]) -> Self:
        """Return an encoder that is where this one is, and must be the one described.

        Parameters
        ----------
        description : mapping
            As `description` returned it.
        """
        place = self._name if self._model is None else self._model
        encoder = type(self)(place, self._revision, device=self._device)
        encoder._saved = {k: v for k, v in description.items() if k not in _WHERE}
        encoder._fingerprint = description["fingerprint"]
        return encoder

    @own_torch_state()
    def _load(self) -> LoadedEncoder:
        device = resolve_device(self._device)
        key = (self._name, self._revision, id(self._model), device)
        with _loading:
            if key not in _loaded:
                _loaded[key] = self._read(device)
            loaded = _loaded[key]
        self._check_fingerprint(loaded)
        return loaded

    def _read(self, device: torch.device) -> LoadedEncoder:
        if self._model is not None:
            return LoadedEncoder.of(self._model)
        folder = self._folder()
        if (folder / "modules.json").is_file():
            return LoadedEncoder.of(_sentence_transformer(folder, device))
        pooled = _MeanPooled(folder, device)
        fingerprint = fingerprint_of(pooled.transformers_model)
        return LoadedEncoder(pooled.encode, fingerprint, pooled)

    def _folder(self) -> Path:
        if (folder := Path(self._name)).is_dir():
            return folder
        try:
            return loading.snapshot(self._name, self._revision, local_files_only=False)
        except OSError as error:
            if self._fingerprint is None:
                raise
            raise BackboneMissingError(
                f"encoder {self._name!r}, with which the estimator was fitted, cannot "
                "be loaded; if it has moved, say where to when a saved file is loaded: "
                "RAEEClassifier.load(path, encoder='name or folder')."
            ) from error

    def _check_fingerprint(self, loaded: LoadedEncoder) -> None:
        if self._fingerprint is None:
            self._fingerprint = loaded.fingerprint
        if self._fingerprint != loaded.fingerprint:
            raise BackboneChangedError(
                f"the weights of encoder {self._name!r} are not those that the "
                "estimator was fitted with; restore them (give the revision), or fit "
                "again."
            )
        expected = self._saved and self._saved["tokenizer_hash"]
        if expected and expected != loaded.identity["tokenizer_hash"]:
            raise BackboneChangedError(
                f"the tokenizer of encoder {self._name!r} is not the one that the "
                "estimator was fitted with; restore it, or fit again."
            )

    def __reduce__(self) -> tuple[Any, ...]:
        if self._model is not None:
            self._check_that_name_leads_here()
        state = (self._name, self._revision, str(self._device), self._fingerprint)
        return _restore, (*state, self._saved)

    def _check_that_name_leads_here(self) -> None:
        try:
            twin = Encoder(self._name, self._revision) if self._name else None
            same = twin is not None and twin.fingerprint() == self.fingerprint()
        except (OSError, ValueError, ImportError):
            same = False
        if twin is None or not same:
            raise pickle.PicklingError(
                f"the encoder {type(self._model).__name__} names no folder that leads "
                "to its weights, so it can be neither pickled nor saved; save it and "
                "pass the folder (encoder='path/of/folder')."
            )
        self._name = twin.name

    def __repr__(self) -> str:
        if self._model is not None:
            return f"Encoder({type(self._model).__name__}(...))"
        revision = f", revision={self._revision!r}" if self._revision else ""
        return f"Encoder({self._name!r}{revision})"


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder in memory.

    Attributes
    ----------
    encode : callable
        List of texts -> array (n, d).
    fingerprint : str
        Hash of its weights; of a foreign object, what tells it from others in this
        process.
    model : object
        What encodes. Kept, too, so that no other object gets its id.
    """

    encode: Encode
    fingerprint: str
    model: Any = None

    @classmethod
    def of(cls, model: Any) -> LoadedEncoder:
        """Take an object with an ``encode`` method."""
        encode = model.encode
        if _is_sentence_transformer(model):
            encode = partial(model.encode, show_progress_bar=False)
        if isinstance(model, torch.nn.Module):
            return cls(encode, fingerprint_of(model), model)
        return cls(encode, f"{type(model).__qualname__} {id(model)}", model)

    @cached_property
    def identity(self) -> dict[str, str | None]:
        """Hashes of weights, tokenizer and configuration, and dtype, where known."""
        network = getattr(self.model, "transformers_model", None)
        tokenizer = getattr(self.model, "tokenizer", None)
        found = dict.fromkeys(("tokenizer_hash", "config_hash", "dtype"))
        if hasattr(tokenizer, "backend_tokenizer"):
            found["tokenizer_hash"] = TextTokenizer.from_hf(tokenizer).fingerprint
        if network is not None:
            found["config_hash"] = config_hash_of(network)
            found["dtype"] = name_of(network.dtype)
        return {"fingerprint": self.fingerprint, **found}


class _MeanPooled:
    """A plain checkpoint, averaged over all its tokens.

    Its parts have the names that sentence-transformers gives them.
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        from transformers import AutoModel, AutoTokenizer

        with quiet_loading():
            self.transformers_model, report = AutoModel.from_pretrained(
                folder,
                output_loading_info=True,
                dtype=torch.float32,
                use_safetensors=prefers_safetensors(folder),
                weights_only=True,
                trust_remote_code=False,
                local_files_only=True,
            )
            self.tokenizer = AutoTokenizer.from_pretrained(
                folder, trust_remote_code=False, local_files_only=True
            )
        self._drop_random_weights(folder, report["missing_keys"])
        self.transformers_model.eval().to(device)
        config = self.transformers_model.config
        positions = getattr(config, "max_position_embeddings", 512)
        self._limit = min(positions, self.tokenizer.model_max_length, 512)
        self._tokenizing = threading.Lock()  # its truncation is shared by threads

    def _drop_random_weights(self, folder: Path, missing: Iterable[str]) -> None:
        """Drop a pooler that the folder lacks: it is random, and would be no use."""
        others = [name for name in missing if not name.startswith("pooler.")]
        if others:
            raise ValueError(
                f"the checkpoint of encoder {str(folder)!r} lacks weights, among them "
                f"{others[0]!r}; save the whole model with save_pretrained."
            )
        if missing:
            self.transformers_model.pooler = None

    def encode(self, texts: list[str]) -> npt.NDArray[np.float32]:
        with self._tokenizing:
            encoded = self.tokenizer(texts, truncation=True, max_length=self._limit)
        ids: list[list[int]] = encoded["input_ids"]
        width = self.transformers_model.config.hidden_size
        vectors = np.zeros((len(texts), width), np.float32)

        def run(rows: npt.NDArray[np.int64]) -> None:
            vectors[rows] = self._mean([ids[i] for i in rows]).cpu().numpy()

        budget = check_batch_tokens("auto", self.transformers_model.device)
        run_batches([len(row) for row in ids], budget, run)
        return vectors

    @torch.no_grad()
    def _mean(self, ids: list[list[int]]) -> torch.Tensor:
        device = self.transformers_model.device
        width = max(len(row) for row in ids)
        lengths = torch.tensor([len(row) for row in ids], device=device)
        mask = torch.arange(width, device=device) < lengths[:, None]
        padded = [row + row[-1:] * (width - len(row)) for row in ids]
        states = self.transformers_model(
            input_ids=torch.tensor(padded, device=device), attention_mask=mask.long()
        ).last_hidden_state
        return torch.einsum("bt,bth->bh", mask / lengths[:, None], states)


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


def clear_encoders() -> None:
    """Forget all loaded encoders."""
    with _loading:
        _loaded.clear()


def _sentence_transformer(folder: Path, device: torch.device) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise ImportError(
            f"{str(folder)!r} is a sentence-transformers model; install the library "
            "that runs it with: pip install 'skraee[encoder]'"
        ) from error
    with quiet_loading():
        return SentenceTransformer(
            str(folder),
            device=str(device),
            trust_remote_code=False,
            local_files_only=True,
        )


def _is_sentence_transformer(model: Any) -> bool:
    modules = {parent.__module__ for parent in type(model).__mro__}
    return any(name.startswith("sentence_transformers") for name in modules)


def _name_of(model: Any) -> str:
    for owner in (model, getattr(model, "transformers_model", None)):
        if isinstance(name := getattr(owner, "name_or_path", None), str) and name:
            return name
    return ""


def _restore(
    name: str,
    revision: str | None,
    device: str,
    fingerprint: str | None,
    saved: dict[str, Any] | None = None,
) -> Encoder:
    encoder = Encoder(name, revision, device=device)
    encoder._fingerprint, encoder._saved = fingerprint, saved
    return encoder
