"""Keys: the vectors by which texts are retrieved."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from sklearn.base import clone

from skraee.backbone.ambient import own_torch_state
from skraee.retrieval.vectors import Float32Array

# Sparse keys are made dense for the index; past this many bytes that is no good idea.
_LARGEST_DENSE = 2**30


def check_encoder(encoder: Any, n_layers: int | None = None) -> None:
    """Refuse what cannot make keys.

    Parameters
    ----------
    encoder : None, int, str, Path, object with ``encode``, transformer, or callable
        What `RAEEClassifier` was given.
    n_layers : int, optional
        Number of layers m of the backbone, where it is known.

    Raises
    ------
    ValueError
        If it is a depth outside 1..m.
    TypeError
        If it is none of these.
    """
    if isinstance(encoder, (int, np.integer)) and not isinstance(encoder, bool):
        if encoder < 1 or (n_layers is not None and encoder > n_layers):
            last = "the number of layers" if n_layers is None else n_layers
            raise ValueError(
                f"encoder={encoder} names no depth of this backbone; choose a depth "
                f"from 1 to {last}, or encoder=None for the mean of the text's "
                "depth-0 states."
            )
        return
    if encoder is None or isinstance(encoder, str | os.PathLike):
        return
    if _is_transformer(encoder) or hasattr(encoder, "encode"):
        return
    if isinstance(encoder, bool) or not callable(encoder):
        raise TypeError(
            "encoder must be None, a depth, the name or path of a sentence encoder, a "
            "skraee.Encoder, a scikit-learn transformer or a callable, got "
            f"{type(encoder).__name__}; leave it at None for keys of the backbone."
        )


def is_depth(encoder: Any) -> bool:
    """Whether an accepted encoder stands for the backbone's own states at a depth."""
    return isinstance(encoder, (int, np.integer))


def is_foreign(encoder: Any) -> bool:
    """Whether keys come from something other than the backbone."""
    return encoder is not None and not is_depth(encoder)


@own_torch_state()
def fit_encoder(encoder: Any, texts: Sequence[str]) -> Any:
    """Return the encoder ready for use: a transformer is cloned and fitted.

    Parameters
    ----------
    encoder : object
        Accepted by `check_encoder`.
    texts : sequence of str
        The training texts.

    Returns
    -------
    object
    """
    if not _is_transformer(encoder):
        return encoder
    return clone(encoder).fit(list(texts))


def learns_from_texts(encoder: Any) -> bool:
    """Whether its keys depend on the training texts of a fit."""
    from sklearn.frozen import FrozenEstimator

    return _is_transformer(encoder) and not isinstance(encoder, FrozenEstimator)


@own_torch_state()
def encode_texts(encoder: Any, texts: Sequence[str]) -> Float32Array:
    """Turn texts into keys.

    Parameters
    ----------
    encoder : object
        A fitted transformer, an object with ``encode``, or a callable.
    texts : sequence of n str

    Returns
    -------
    keys : ndarray of shape (n, d), float32

    Raises
    ------
    ValueError
        If it does not return one row of numbers for every text.
    """
    if _is_transformer(encoder):
        keys = encoder.transform(list(texts))
    elif hasattr(encoder, "encode"):
        keys = encoder.encode(list(texts))
    else:
        keys = encoder(list(texts))
    dense = np.asarray(_dense(keys), dtype=np.float32)
    if dense.ndim != 2 or len(dense) != len(texts):
        raise ValueError(
            f"the encoder must return an array of shape ({len(texts)}, d) for "
            f"{len(texts)} texts, got shape {dense.shape}; return a row for each text."
        )
    return np.ascontiguousarray(dense)


#: Encoders of a template's fields get them joined by this.
FIELD_SEPARATOR = " "


def joined(samples: Iterable[tuple[str, ...]]) -> list[str]:
    """Join the fields of every sample for an encoder of plain texts."""
    return [FIELD_SEPARATOR.join(fields) for fields in samples]


def _is_transformer(encoder: Any) -> bool:
    return hasattr(encoder, "transform") and hasattr(encoder, "fit")


def _dense(keys: Any) -> Any:
    to_dense: Callable[[], Any] | None = getattr(keys, "toarray", None)
    if to_dense is None:
        return keys
    size = 4 * keys.shape[0] * keys.shape[1]
    if size > _LARGEST_DENSE:
        raise ValueError(
            f"the encoder's sparse keys of shape {keys.shape} would take "
            f"{size / 2**30:.1f} GiB when made dense; reduce them, for example with "
            "make_pipeline(TfidfVectorizer(), TruncatedSVD(256))."
        )
    return to_dense()
