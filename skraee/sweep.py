"""Texts to layer sweeps and keys: everything that a fit asks of the backbone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from skraee.backbone.batching import BatchTokens, distinct
from skraee.backbone.engine import Engine
from skraee.backbone.handle import Backbone, LoadedBackbone
from skraee.backbone.precision import Device, name_of
from skraee.retrieval.keys import encode_texts, joined
from skraee.text.label_words import LabelWords, label_token_ids, label_words_for
from skraee.text.prompt import Prompt, PromptEncoder
from skraee.text.template import Template

Advance = Callable[[int], None]
Sample = tuple[str, ...]
Float32Array = npt.NDArray[np.float32]

# Texts that are worked on at a time, so that memory does not grow with X.
_PART = 4096


@dataclass(frozen=True, eq=False)
class LayerSweep:
    """What one pass of the frozen backbone tells of n texts.

    Labels, k and tau are no part of it: one sweep serves every choice of them.

    Parameters
    ----------
    keys : ndarray of shape (n, d), float32
        The vectors by which the texts are retrieved, as the encoder gives them.
    logits : ndarray of shape (n, m + 1, n_words), float32
        Label-word logits at the depths 0..m.
    token_ids : tuple of int
        Tokens of the label words, in the order of the columns of `logits`.
    states : ndarray of shape (n, m + 1, H), optional
        Read-position states, where a readout needs them.

    Examples
    --------
    >>> import numpy as np
    >>> part = LayerSweep(np.zeros((2, 3)), np.zeros((2, 5, 2)), (7, 9))
    >>> len(LayerSweep.concatenate([part, part]))
    4
    """

    keys: Float32Array
    logits: Float32Array
    token_ids: tuple[int, ...]
    states: npt.NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.logits)

    @property
    def n_layers(self) -> int:
        """Number of layers m."""
        return self.logits.shape[1] - 1

    def proba(self, token_ids: Sequence[int]) -> Float32Array:
        """Softmax over the logits of some of the words.

        Parameters
        ----------
        token_ids : sequence of C int
            The classes' tokens, in the order of the classes.

        Returns
        -------
        proba : ndarray of shape (n, m + 1, C), float32

        Raises
        ------
        ValueError
            If the sweep was made without one of the words.
        """
        column = {token: i for i, token in enumerate(self.token_ids)}
        missing = [token for token in token_ids if token not in column]
        if missing:
            raise ValueError(
                f"the sweep holds no logits for the label-word tokens {missing}; "
                "sweep again with label words for all classes of y."
            )
        return softmax(self.logits[:, :, [column[t] for t in token_ids]])

    @classmethod
    def concatenate(cls, parts: Sequence[LayerSweep]) -> Self:
        """Join sweeps of the same words, for example those of several machines.

        Parameters
        ----------
        parts : sequence of LayerSweep
            In the order of their texts.

        Returns
        -------
        LayerSweep

        Raises
        ------
        ValueError
            If there is none, or they were made with different words or models.
        """
        if not parts:
            raise ValueError("there is no sweep to concatenate; give at least one.")
        shapes = {
            (p.token_ids, p.logits.shape[1:], p.keys.shape[1:], p.states is None)
            for p in parts
        }
        if len(shapes) > 1:
            raise ValueError(
                "the sweeps differ in label words, depths, key size or states; make "
                "all of them with the same parameters."
            )
        return cls(
            keys=np.concatenate([p.keys for p in parts]),
            logits=np.concatenate([p.logits for p in parts]),
            token_ids=parts[0].token_ids,
            states=None
            if parts[0].states is None
            else np.concatenate([p.states for p in parts if p.states is not None]),
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the arrays to an ``.npz`` file.

        Parameters
        ----------
        path : str or Path
            A file that is there is replaced.
        """
        arrays = {
            "keys": self.keys,
            "logits": self.logits,
            "token_ids": np.asarray(self.token_ids, dtype=np.int64),
        }
        if self.states is not None:
            arrays["states"] = self.states
        with open(path, "wb") as file:
            np.savez(file, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote; nothing is unpickled.

        Parameters
        ----------
        path : str or Path

        Returns
        -------
        LayerSweep
        """
        with np.load(path, allow_pickle=False) as arrays:
            return cls(
                keys=arrays["keys"],
                logits=arrays["logits"],
                token_ids=tuple(int(t) for t in arrays["token_ids"]),
                states=arrays["states"] if "states" in arrays else None,
            )


@dataclass(frozen=True)
class Recipe:
    """How an estimator reads texts; what a pickle needs to read them so again.

    Attributes
    ----------
    backbone : Backbone
    template : Template
    max_length : int or None
    dtype : str
        "auto" until the backbone has been loaded once.
    encoder : object
        None for depth-0 keys, an int for those of a depth, or an encoder.
    """

    backbone: Backbone
    template: Template
    max_length: int | None = None
    dtype: str = "auto"
    encoder: Any = None

    def open(self, device: Device, batch_tokens: BatchTokens) -> Reader:
        """Load the backbone (once per process) and check that the template fits it.

        Parameters
        ----------
        device : str or torch.device
        batch_tokens : int or "auto"

        Returns
        -------
        Reader
        """
        loaded = self.backbone.load(self.dtype, device)
        prompts = PromptEncoder(
            self.template,
            loaded.tokenizer,
            kind=loaded.family.kind,
            max_length=self.max_length,
            position_limit=loaded.position_limit,
        )
        return Reader(self, loaded, prompts, Engine(loaded, batch_tokens))


@dataclass(frozen=True)
class Reader:
    """A recipe with its backbone in memory.

    Attributes
    ----------
    recipe : Recipe
    backbone : LoadedBackbone
    prompts : PromptEncoder
    engine : Engine
    """

    recipe: Recipe
    backbone: LoadedBackbone
    prompts: PromptEncoder
    engine: Engine

    @property
    def n_layers(self) -> int:
        """Number of layers m."""
        return self.engine.n_layers

    @property
    def encoder(self) -> Any:
        """What makes the keys."""
        return self.recipe.encoder

    def with_encoder(self, encoder: Any) -> Reader:
        """Return a reader with the encoder as fitted, and "auto" resolved."""
        dtype = name_of(self.backbone.dtype)
        return replace(self, recipe=replace(self.recipe, dtype=dtype, encoder=encoder))

    def label_tokens(
        self, label_words: LabelWords, classes: Sequence[Any] | None = None
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the tokens of all words that are named, and those of the classes.

        Parameters
        ----------
        label_words : dict, list or None
            As `RAEEClassifier` was given it.
        classes : sequence, optional
            Sorted; None where they are not known yet.

        Returns
        -------
        all_ids : tuple of int
            Tokens to sweep; a dict may name more classes than there are.
        class_ids : tuple of int
            Tokens of `classes`, in their order; empty where they are not known.
        """
        if classes is None and label_words is None:
            raise ValueError(
                "without labels the class names are not known; give label_words to "
                "sweep texts on their own."
            )
        words = {} if classes is None else label_words_for(classes, label_words)
        named = dict(words)
        if isinstance(label_words, Mapping):
            named = {**label_words, **words}
        elif classes is None:
            named = dict(enumerate(label_words or ()))
        tokens = label_token_ids(
            named, self.backbone.tokenizer, kind=self.backbone.family.kind
        )
        return tuple(tokens.values()), tuple(tokens[name] for name in words)

    def parts(self, samples: Sequence[Sample]) -> Iterator[Part]:
        """Cut texts into parts of bounded length and make their prompts.

        Parameters
        ----------
        samples : sequence of n tuples of str

        Yields
        ------
        Part

        Warns
        -----
        TruncationWarning
            Once, after the last part, if texts had to be cut.
        """
        n_cut = 0
        for start in range(0, len(samples), _PART):
            unique, inverse = distinct(samples[start : start + _PART])
            prompts = self.prompts.encode(unique, warn=False)
            n_cut += sum(prompts[i].is_cut for i in inverse)
            yield Part(unique, prompts, inverse)
        self.prompts.warn_of_cuts(n_cut)

    def sweep(
        self,
        samples: Sequence[Sample],
        token_ids: Sequence[int],
        advance: Advance | None = None,
    ) -> LayerSweep:
        """Run every distinct text to depth m once, reading every depth.

        Parameters
        ----------
        samples : sequence of n tuples of str
            At least one.
        token_ids : sequence of int
            Tokens of the label words.
        advance : callable, optional
            Told how many more texts are done.

        Returns
        -------
        LayerSweep
        """
        swept = [
            self._sweep_part(part, token_ids, advance) for part in self.parts(samples)
        ]
        return LayerSweep.concatenate(swept)

    def keys(self, part: Part) -> Float32Array:
        """Return the keys of texts, running no more layers than they need.

        Parameters
        ----------
        part : Part
            Of n distinct texts.

        Returns
        -------
        keys : ndarray of shape (n, d), float32
        """
        if self.encoder is None:
            return self.engine.text_means(part.prompts)
        if is_depth(self.encoder):
            return self.engine.states_at(part.prompts, int(self.encoder))
        return encode_texts(self.encoder, joined(part.samples))

    def _sweep_part(
        self, part: Part, token_ids: Sequence[int], advance: Advance | None
    ) -> LayerSweep:
        swept = self.engine.sweep(
            part.prompts,
            self.backbone.head(token_ids),
            text_means=self.encoder is None,
            state_depth=self.encoder if is_depth(self.encoder) else None,
            advance=advance,
        )
        keys = swept.text_means if self.encoder is None else swept.states
        if keys is None:
            keys = encode_texts(self.encoder, joined(part.samples))
        part.tell_of_copies(advance)
        at = part.inverse
        return LayerSweep(keys[at], swept.logits[at], tuple(token_ids))


@dataclass(frozen=True)
class Part:
    """Some texts, each distinct one once, with their prompts.

    Attributes
    ----------
    samples : list of tuple of str
        The distinct texts.
    prompts : list of Prompt
        Theirs.
    inverse : ndarray of int
        For every text, copies included, the number of its equal in `samples`.
    """

    samples: list[Sample]
    prompts: list[Prompt]
    inverse: npt.NDArray[np.int64]

    def tell_of_copies(self, advance: Advance | None) -> None:
        """Count the copies of texts that are done as done."""
        if advance is not None:
            advance(len(self.inverse) - len(self.samples))


def is_depth(encoder: Any) -> bool:
    """Whether an encoder stands for the backbone's own states at a depth.

    Parameters
    ----------
    encoder : object
        Accepted by `skraee.retrieval.keys.check_encoder`.
    """
    return isinstance(encoder, (int, np.integer))


def softmax(logits: npt.NDArray[Any]) -> Float32Array:
    """Softmax over the last axis, in float64, returned as float32.

    Parameters
    ----------
    logits : ndarray of shape (..., C)

    Returns
    -------
    proba : ndarray of shape (..., C), float32
    """
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=-1, keepdims=True)
    np.exp(shifted, out=shifted)
    shifted /= shifted.sum(axis=-1, keepdims=True)
    return shifted.astype(np.float32)
