"""Sentence encoders by name: texts to vectors, loaded once per process."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from skraee.backbone import hub
from skraee.backbone.ambient import own_torch_state
from skraee.backbone.checkpoint import prefers_safetensors
from skraee.backbone.embeddings import n_positions, refuse_tokens_without_embedding
from skraee.backbone.naming import Uncopied, parse_name
from skraee.backbone.output_flags import reset_output_flags
from skraee.backbone.precision import Device, resolve_device
from skraee.backbone.quiet import quiet_loading
from skraee.backbone.source_state import state_of_files
from skraee.engine.batching import check_batch_tokens, run_batches
from skraee.engine.rotation import (
    changing_rotations_anywhere,
    sides_of,
    unused,
)
from skraee.engine.views import view_of
from skraee.exceptions import BackboneChangedError, BackboneMissingError
from skraee.retrieval.encoder_identity import (
    EncoderIdentity,
    change_between,
    identity_of,
    is_of_library,
    is_sentence_transformer,
    state_of,
    whole_hash_of,
)
from skraee.text.inputs import check_texts
from skraee.text.tokenizer import TextTokenizer

Encode = Callable[[list[str]], Any]

# What a description tells besides hashes.
_WHERE = ("name", "revision", "device")

# Tokens that an encoder takes, where nothing says.
_USUAL_LIMIT = 512

# By their vectors the twin of an object is known: cases, marks, and a text that is cut.
_PROBES = ["A lovely film!", "the waiter was cold, and so was the meal", "so it " * 600]

_loaded: dict[tuple[Any, ...], LoadedEncoder] = {}
_loading = threading.RLock()


class Encoder(Uncopied):
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

    def __init__(
        self,
        name_or_model: str | os.PathLike[str] | Any,
        revision: str | None = None,
        *,
        device: Device = "auto",
    ) -> None:
        self._model: Any = None
        self._device = device
        self._seen: EncoderIdentity | None = None  # what was loaded last
        self._pin: EncoderIdentity | None = None  # what it has to be
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

    def fingerprint(self) -> str | None:
        """Return a hash of all that decides vectors.

        That is weights, modules, pooling, prompts, tokenizer, length and dtype.

        Returns
        -------
        str or None
            None for an object whose code may do anything.
        """
        return whole_hash_of(self._load().identity)

    def pinned(self) -> Self:
        """Return a handle on this encoder that refuses it once it has changed."""
        twin = type(self)(self._place, self._revision, device=self._device)
        twin._pin = self._pin or self._load().identity
        return twin

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
        identity = self._pin or self._load().identity
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
        encoder = type(self)(self._place, self._revision, device=self._device)
        encoder._pin = {k: v for k, v in description.items() if k not in _WHERE}
        return encoder

    @property
    def _place(self) -> Any:
        return self._name if self._model is None else self._model

    @own_torch_state()
    def _load(self) -> LoadedEncoder:
        device = resolve_device(self._device)
        key = (self._name, self._revision, id(self._model), device)
        state = self._state()
        with _loading:
            if key not in _loaded or state not in (None, _loaded[key].state):
                _loaded.pop(key, None)
                _loaded[key] = LoadedEncoder.of(self._read(device), state)
            loaded = _loaded[key]
        self._check_pin(loaded)
        return loaded

    def _state(self) -> Any:
        """Return what the source holds now; None where that cannot be told."""
        if self._model is not None:
            return state_of(self._model)
        return state_of_files(Path(self._name))

    def _read(self, device: torch.device) -> Any:
        if self._model is not None:
            _refuse_long_texts(self._model)
            return self._model
        folder = self._folder()
        if (folder / "modules.json").is_file():
            return _sentence_transformer(folder, device)
        return _MeanPooled(folder, device)

    def _folder(self) -> Path:
        if (folder := Path(self._name)).is_dir():
            return folder
        try:
            return hub.snapshot(self._name, self._revision, local_files_only=False)
        except OSError as error:
            if self._pin is None:
                raise
            raise BackboneMissingError(
                f"encoder {self._name!r}, with which the estimator was fitted, cannot "
                "be loaded; if it has moved, say where to when a saved file is loaded: "
                "RAEEClassifier.load(path, encoder='name or folder')."
            ) from error

    def _check_pin(self, loaded: LoadedEncoder) -> None:
        self._seen = loaded.identity
        change = self._pin and change_between(self._pin, loaded.identity)
        if change:
            raise BackboneChangedError(
                f"the {change} of encoder {self._name or self!r} are not what the "
                "estimator was fitted with; restore them (give the revision), or fit "
                "again."
            )

    def __reduce__(self) -> tuple[Any, ...]:
        if self._model is not None:
            self._check_that_name_leads_here()
        pin = self._pin or self._seen
        return _restore, (self._name, self._revision, str(self._device), None, pin)

    def _check_that_name_leads_here(self) -> None:
        try:
            twin = Encoder(self._name, self._revision) if self._name else None
            same = twin is not None and self._answers_as(twin)
        except (OSError, ValueError, ImportError):
            same = False
        if twin is None or not same:
            raise pickle.PicklingError(
                f"the encoder {type(self._model).__name__} names no folder that leads "
                "to its weights and vectors, so it can be neither pickled nor saved; "
                "save it and pass the folder (encoder='path/of/folder')."
            )
        self._name = twin.name

    def _answers_as(self, twin: Encoder) -> bool:
        """Whether an encoder has this one's weights, and does the same with them."""
        mine, other = self._load().identity, twin._load().identity
        if mine["fingerprint"] is None or mine["fingerprint"] != other["fingerprint"]:
            return False
        vectors = self.encode(_PROBES), twin.encode(_PROBES)
        shapes = {found.shape for found in vectors}
        return len(shapes) == 1 and np.allclose(*vectors, rtol=1e-3, atol=1e-4)

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
    identity : dict
        What it is, as far as that can be told.
    model : object
        What encodes. Kept, too, so that no other object gets its id.
    state : object
        What its source held.
    """

    encode: Encode
    identity: EncoderIdentity
    model: Any
    state: Any = None

    @classmethod
    def of(cls, model: Any, state: Any = None) -> LoadedEncoder:
        """Take an object with an ``encode`` method."""
        encode = model.encode
        if is_sentence_transformer(model):
            encode = partial(encode, show_progress_bar=False)
        is_known = isinstance(model, _MeanPooled) or is_of_library(model)
        return cls(encode, identity_of(model, is_known=is_known), model, state)


class _MeanPooled:
    """A plain checkpoint, averaged over all its tokens.

    Its parts have the names that sentence-transformers gives them.
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        from transformers import AutoConfig, AutoModel, AutoTokenizer

        config = AutoConfig.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
        reset_output_flags(config)
        with quiet_loading():
            self.transformers_model, report = AutoModel.from_pretrained(
                folder,
                config=config,
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
        tokenizer = TextTokenizer.from_hf(self.tokenizer)
        refuse_tokens_without_embedding(self.transformers_model, tokenizer)
        self.limit = self._find_limit()
        self._tokenizing = threading.Lock()  # its truncation is shared by threads

    def _find_limit(self) -> int:
        """Return how many tokens of a text are read."""
        said = getattr(self.transformers_model.config, "max_position_embeddings", None)
        limits = (said, n_positions(self.transformers_model), _USUAL_LIMIT)
        known = [int(limit) for limit in limits if limit is not None]
        return min(*known, int(self.tokenizer.model_max_length))

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
            encoded = self.tokenizer(texts, truncation=True, max_length=self.limit)
        ids: list[list[int]] = encoded["input_ids"]
        width = self.transformers_model.config.hidden_size
        vectors = np.zeros((len(texts), width), np.float32)

        def run(rows: npt.NDArray[np.int64]) -> None:
            vectors[rows] = self._mean([ids[i] for i in rows]).cpu().numpy()

        budget = check_batch_tokens("auto", self.transformers_model.device)
        lengths = [len(row) for row in ids]
        rotations = changing_rotations_anywhere(self.transformers_model)
        sides = sides_of(rotations.values(), lengths)
        run_batches(lengths, budget, run, sides=sides)
        return vectors

    def _view(self) -> torch.nn.Module:
        """Return the network with rotary embeddings that have seen no text."""
        rotations = changing_rotations_anywhere(self.transformers_model)
        fresh = {path: unused(rotation) for path, rotation in rotations.items()}
        return view_of(self.transformers_model, fresh)

    @torch.no_grad()
    def _mean(self, ids: list[list[int]]) -> torch.Tensor:
        device = self.transformers_model.device
        width = max(len(row) for row in ids)
        lengths = torch.tensor([len(row) for row in ids], device=device)
        mask = torch.arange(width, device=device) < lengths[:, None]
        padded = [row + row[-1:] * (width - len(row)) for row in ids]
        states = self._view()(
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
        model = SentenceTransformer(
            str(folder),
            device=str(device),
            trust_remote_code=False,
            local_files_only=True,
        )
    if (limit := _too_long(model)) is not None:
        model.max_seq_length = limit
    return model


def _too_long(model: Any) -> int | None:
    """Return the positions that an encoder has, if it takes texts of more tokens."""
    network = getattr(model, "transformers_model", None)
    positions = n_positions(network) if isinstance(network, torch.nn.Module) else None
    taken = getattr(model, "max_seq_length", None)
    is_too_long = positions is not None and (taken is None or taken > positions)
    return positions if is_too_long else None


def _refuse_long_texts(model: Any) -> None:
    if is_sentence_transformer(model) and (limit := _too_long(model)) is not None:
        raise ValueError(
            f"the encoder takes texts of {model.max_seq_length} tokens and has "
            f"positions for {limit}; set its max_seq_length to at most {limit}."
        )


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
    pin: EncoderIdentity | None = None,
) -> Encoder:
    encoder = Encoder(name, revision, device=device)
    if pin is None and fingerprint is not None:  # once the weights' hash alone
        pin = {"fingerprint": fingerprint}
    encoder._pin = pin
    return encoder
