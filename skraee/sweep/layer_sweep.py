"""The layer sweep: what one pass of the frozen backbone tells of texts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from skraee.sweep.sweep_file import reading_sweep, write_sweep
from skraee.text.token_bags import TokenBags

Float32Array = npt.NDArray[np.float32]

# Sizes of what is not a number or None: n texts, D depths, W words, P parts of H each.
_SIZES = {"keys": "nd", "logits": "nDW", "states": "nDPH"}


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
    states : ndarray of shape (n, m + 1, P, H), optional
        What the closed-form readout reads of every depth, in the backbone's number
        format (the bits of bfloat16 as uint16): the read position, the text, the words
        around it.
    bags : TokenBags, optional
        Which tokens the texts are made of, which the same readout reads first. Sweeps
        of older releases have none.

    Raises
    ------
    ValueError
        If the parts are not of the same texts, depths and words, or a token is named
        twice.

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
    bags: TokenBags | None = None

    def __post_init__(self) -> None:
        _check_shapes(self)
        if len(set(self.token_ids)) < len(self.token_ids):
            raise ValueError(
                f"a sweep has one column of logits for each token, got {self.token_ids}"
                " for token_ids; name each token once."
            )

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def n_layers(self) -> int:
        """Number of layers m."""
        return int(self.logits.shape[1]) - 1

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
        return softmax(self.logits_of(token_ids))

    def logits_of(self, token_ids: Sequence[int]) -> Float32Array:
        """Return the logits of some of the words.

        Parameters
        ----------
        token_ids : sequence of C int
            The classes' tokens, in the order of the classes.

        Returns
        -------
        logits : ndarray of shape (n, m + 1, C), float32

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
        return self.logits[:, :, [column[t] for t in token_ids]]

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
            bags=joined_bags([part.bags for part in parts]),
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the arrays to an ``.npz`` file.

        Parameters
        ----------
        path : str or Path
            A file that is there is replaced as a whole, or not at all.

        Raises
        ------
        OSError
            If a folder, pipe, socket or device is in the place, or no file can be
            written.
        """
        write_sweep(path, vars(self))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote; nothing is unpickled.

        Parameters
        ----------
        path : str or Path
            A file that `save` wrote.

        Returns
        -------
        LayerSweep

        Raises
        ------
        OSError
            If there is no such file.
        FileFormatError
            If it is none that `save` writes, or damaged. No room is made for more than
            the file has.
        """
        with reading_sweep(path) as parts:
            return cls(**parts)


def _check_shapes(sweep: LayerSweep) -> None:
    """Refuse parts that are not of the same texts, depths and words."""
    sizes = {"W": len(sweep.token_ids)}
    for name, letters in _SIZES.items():
        part = getattr(sweep, name)
        if part is None:
            continue
        shape = np.shape(part)
        of_texts = dict(zip(letters, shape, strict=False))
        known = {letter: sizes.get(letter, size) for letter, size in of_texts.items()}
        if len(shape) != len(letters) or known != of_texts:
            raise ValueError(
                f"{name} of a sweep has the shape ({', '.join(letters)}), got {shape} "
                f"where {', '.join(f'{size} is {n}' for size, n in sizes.items())}; "
                "give the parts of one sweep."
            )
        sizes |= of_texts
    if sweep.bags is not None and len(sweep.bags) != sizes["n"]:
        raise ValueError(
            f"a sweep of {sizes['n']} texts has {len(sweep.bags)} bags; give one for "
            "each text."
        )


def joined_bags(parts: Sequence[TokenBags | None]) -> TokenBags | None:
    """Return the bags of all texts; None where those of some are not known.

    Parameters
    ----------
    parts : sequence of TokenBags or None
        In the order of their texts.
    """
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return TokenBags.joined([bag for part in known for bag in part.each()])


def softmax(logits: npt.NDArray[Any]) -> Float32Array:
    """Softmax over the last axis, in float64, returned as float32.

    Parameters
    ----------
    logits : ndarray of shape (..., C)
        Of any number of texts and depths.

    Returns
    -------
    proba : ndarray of shape (..., C), float32
    """
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=-1, keepdims=True)
    np.exp(shifted, out=shifted)
    shifted /= shifted.sum(axis=-1, keepdims=True)
    return shifted.astype(np.float32)
