"""Sentence encoders by name: texts to vectors, loaded once per process."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from skraee.backbone import loading
from skraee.backbone.batching import check_batch_tokens, run_batches
from skraee.backbone.checkpoint import prefers_safetensors
from skraee.backbone.fingerprint import fingerprint_of
from skraee.backbone.naming import parse_name
from skraee.backbone.precision import Device, resolve_device
from skraee.exceptions import BackboneChangedError

_loaded: dict[tuple[Any, ...], Any] = {}
_loading = threading.RLock()


class Encoder:
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
        Branch, tag or commit on the hub.
    device : str or torch.device, default="auto"
        Where a named encoder runs.

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
        if isinstance(name_or_model, (str, os.PathLike)):
            self._name, self._revision = parse_name(name_or_model, revision)
        elif hasattr(name_or_model, "encode"):
            self._model = name_or_model
            self._name, self._revision = _name_of(name_or_model), revision
        else:
            raise TypeError(
                "an encoder is a name, a path or an object with an encode method, got "
                f"{type(name_or_model).__name__}."
            )

    @property
    def name(self) -> str:
        """Hub name or absolute path."""
        return self._name

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return one vector for every text.

        Parameters
        ----------
        texts : sequence of n str

        Returns
        -------
        vectors : ndarray of shape (n, d), float32
        """
        texts = list(texts)
        model = self._load()
        if isinstance(model, _MeanPooled):
            return model.encode(texts)
        options = {"show_progress_bar": False} if _is_sentence_model(model) else {}
        return np.asarray(model.encode(texts, **options), dtype=np.float32)

    def fingerprint(self) -> str:
        """Return a name for what `encode` computes: the hash of the weights.

        Returns
        -------
        str
        """
        model = self._load()
        inner = model.model if isinstance(model, _MeanPooled) else model
        if not isinstance(inner, torch.nn.Module):
            return f"{type(inner).__qualname__}-{id(inner)}"
        if self._fingerprint is None:
            self._fingerprint = fingerprint_of(inner)
        return self._fingerprint

    def _load(self) -> Any:
        if self._model is not None:
            return self._model
        device = resolve_device(self._device)
        key = (self._name, self._revision, device)
        with _loading:
            if key not in _loaded:
                _loaded[key] = self._read(device)
            loaded = _loaded[key]
        self._check_fingerprint(loaded)
        return loaded

    def _read(self, device: torch.device) -> Any:
        folder = Path(self._name)
        if not folder.is_dir():
            folder = loading.snapshot(
                self._name, self._revision, local_files_only=False
            )
        if (folder / "modules.json").is_file():
            return _sentence_transformer(folder, device)
        return _MeanPooled(folder, device)

    def _check_fingerprint(self, loaded: Any) -> None:
        inner = loaded.model if isinstance(loaded, _MeanPooled) else loaded
        if self._fingerprint is None or not isinstance(inner, torch.nn.Module):
            return
        if getattr(inner, "_skraee_fingerprint", None) is None:
            object.__setattr__(inner, "_skraee_fingerprint", fingerprint_of(inner))
        if inner._skraee_fingerprint != self._fingerprint:
            raise BackboneChangedError(
                f"the weights of encoder {self._name!r} are not those that the "
                "estimator was fitted with; restore them (give the revision), or fit "
                "again."
            )

    def __sklearn_clone__(self) -> Self:
        return self

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        fingerprint = self._fingerprint
        if self._model is not None:
            fingerprint = self._check_that_name_leads_here()
        return _restore, (self._name, self._revision, str(self._device), fingerprint)

    def _check_that_name_leads_here(self) -> str:
        mine = self.fingerprint()
        try:
            same = bool(self._name) and Encoder(self._name).fingerprint() == mine
        except (OSError, ValueError, ImportError):
            same = False
        if not same:
            raise pickle.PicklingError(
                f"the encoder {type(self._model).__name__} names no folder with its "
                "weights, so it cannot be pickled; save it and pass the folder: "
                "encoder='path/of/folder'."
            )
        return mine

    def __repr__(self) -> str:
        if self._model is not None:
            return f"Encoder({type(self._model).__name__}(...))"
        revision = f", revision={self._revision!r}" if self._revision else ""
        return f"Encoder({self._name!r}{revision})"


class _MeanPooled:
    """A plain checkpoint, averaged over its tokens."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        from transformers import AutoModel, AutoTokenizer

        self.model = (
            AutoModel.from_pretrained(
                folder,
                dtype=torch.float32,
                use_safetensors=prefers_safetensors(folder),
                weights_only=True,
                trust_remote_code=False,
                local_files_only=True,
            )
            .eval()
            .to(device)
        )
        self._tokenizer = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
        positions = getattr(self.model.config, "max_position_embeddings", 512)
        self._limit = min(positions, self._tokenizer.model_max_length, 512)
        self._lock = threading.Lock()

    @torch.no_grad()
    def encode(self, texts: list[str]) -> np.ndarray:
        with self._lock:  # a tokenizer's truncation setting is shared by its threads
            ids = self._tokenizer(texts, truncation=True, max_length=self._limit)
        rows = ids["input_ids"]
        vectors = np.zeros((len(texts), self.model.config.hidden_size), np.float32)
        device = self.model.device

        def run(batch: np.ndarray) -> None:
            width = max(len(rows[i]) for i in batch)
            filled = [rows[i] + rows[i][-1:] * (width - len(rows[i])) for i in batch]
            lengths = torch.tensor([len(rows[i]) for i in batch])
            mask = (torch.arange(width) < lengths[:, None]).long().to(device)
            states = self.model(
                input_ids=torch.tensor(filled, device=device), attention_mask=mask
            ).last_hidden_state
            share = mask / mask.sum(1, keepdim=True)
            vectors[batch] = torch.einsum("bt,bth->bh", share, states).cpu().numpy()

        run_batches(
            [len(row) for row in rows], check_batch_tokens("auto", device), run
        )
        return vectors


def as_encoder(encoder: Any) -> Any:
    """Wrap names and objects with an ``encode`` method; leave the rest as it is.

    Parameters
    ----------
    encoder : None, int, str, Path, Encoder, transformer or callable

    Returns
    -------
    object
    """
    if isinstance(encoder, Encoder):
        return encoder
    if isinstance(encoder, (str, os.PathLike)):
        return Encoder(encoder)
    if hasattr(encoder, "encode") and not hasattr(encoder, "fit"):
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
    return SentenceTransformer(
        str(folder),
        device=str(device),
        trust_remote_code=False,
        local_files_only=True,
    )


def _is_sentence_model(model: Any) -> bool:
    return any(
        parent.__module__.startswith("sentence_transformers")
        for parent in type(model).__mro__
    )


def _name_of(model: Any) -> str:
    for owner in (model, getattr(model, "transformers_model", None)):
        if isinstance(name := getattr(owner, "name_or_path", None), str):
            return name
    return ""


def _restore(
    name: str, revision: str | None, device: str, fingerprint: str | None
) -> Encoder:
    encoder = Encoder(name, revision, device=device)
    encoder._fingerprint = fingerprint
    return encoder
