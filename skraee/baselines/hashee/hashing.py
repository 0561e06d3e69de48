"""Hashes of token ids: which of a few buckets, shallow to deep, a token belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.special import rel_entr
from sklearn.cluster import KMeans
from torch import Tensor

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.floating]
Seed = int | np.random.RandomState

# Embeddings that are taken to float32 at a time; a large vocabulary has 262,144.
_PART = 8192


@dataclass(frozen=True, eq=False)
class Counts:
    """What training texts say of their tokens.

    Attributes
    ----------
    ids : ndarray of shape (K,), int
        The distinct tokens, in order.
    occurrences : ndarray of shape (K,), int
        How often each occurs.
    texts_with : ndarray of shape (K, C), int
        Texts of each class that hold it.
    texts : ndarray of shape (C,), int
        Texts of each class.
    """

    ids: IntArray
    occurrences: IntArray
    texts_with: IntArray
    texts: IntArray

    @classmethod
    def of(
        cls, texts: Sequence[Sequence[int]], codes: IntArray, n_classes: int
    ) -> Self:
        """Count the tokens of texts.

        Parameters
        ----------
        texts : sequence of n sequences of int
            The texts' own tokens, without template and special tokens.
        codes : ndarray of shape (n,), int
            Their classes.
        n_classes : int
        """
        lengths = [len(text) for text in texts]
        flat = np.array([token for text in texts for token in text], dtype=np.int64)
        ids, places, occurrences = np.unique(
            flat, return_inverse=True, return_counts=True
        )
        text_of = np.repeat(np.arange(len(texts)), lengths)
        held, holder = np.divmod(np.unique(places * len(texts) + text_of), len(texts))
        texts_with = np.zeros((len(ids), n_classes), dtype=np.int64)
        np.add.at(texts_with, (held, codes[holder]), 1)
        return cls(
            ids, occurrences, texts_with, np.bincount(codes, minlength=n_classes)
        )

    def information(self) -> FloatArray:
        """Return the mutual information (nats) of "the text holds it" and the class."""
        joint = np.stack([self.texts_with, self.texts - self.texts_with], axis=1)
        joint = joint / self.texts.sum()
        apart = joint.sum(axis=2, keepdims=True) * joint.sum(axis=1, keepdims=True)
        found: FloatArray = rel_entr(joint, apart).sum(axis=(1, 2))
        return found


def layers_of_buckets(n_buckets: int, n_layers: int) -> IntArray:
    """Spread buckets over the depth: bucket b runs b / B of the layers, rounded up.

    Parameters
    ----------
    n_buckets : int
    n_layers : int

    Returns
    -------
    layers : ndarray of shape (n_buckets,), int
        Rising, the last one `n_layers`.
    """
    return -(-np.arange(1, n_buckets + 1) * n_layers // n_buckets)


def by_rank(merit: FloatArray | IntArray, n_buckets: int) -> IntArray:
    """Cut tokens into buckets of equal size, those of the highest merit first.

    Parameters
    ----------
    merit : ndarray of shape (K,)
        Of tokens in the order of their ids, by which ties are broken.
    n_buckets : int

    Returns
    -------
    buckets : ndarray of shape (K,), int
        0 to ``n_buckets - 1``.
    """
    buckets = np.empty(len(merit), dtype=np.int64)
    # Rounded, so that sums of the same numbers in another order are ties.
    order = np.argsort(-np.round(merit, 12), kind="stable")
    buckets[order] = np.arange(len(merit)) * n_buckets // max(1, len(merit))
    return buckets


def by_cluster(
    embeddings: Tensor, ids: IntArray, n_buckets: int, seed: Seed
) -> IntArray:
    """Cluster the input embeddings by k-means; the least summed norm comes first.

    Parameters
    ----------
    embeddings : Tensor of shape (V, H)
        Of the whole vocabulary.
    ids : ndarray of shape (K,), int
        Tokens that make the clusters; each of the others falls to its nearest.
    n_buckets : int
        Clusters, as far as there are tokens.
    seed : int or RandomState

    Returns
    -------
    buckets : ndarray of shape (V,), int
    """
    known = _array(embeddings[ids.tolist()])
    k_means = KMeans(min(n_buckets, len(ids)), random_state=seed).fit(known)
    norms = np.linalg.norm(known, axis=1)
    summed = np.bincount(k_means.labels_, norms, minlength=k_means.n_clusters)
    bucket_of = summed.argsort(kind="stable").argsort()
    found = [
        k_means.predict(_array(embeddings[start : start + _PART]))
        for start in range(0, len(embeddings), _PART)
    ]
    buckets: IntArray = bucket_of[np.concatenate(found)]
    return buckets


def _array(embeddings: Tensor) -> npt.NDArray[np.float32]:
    return embeddings.detach().float().cpu().numpy()
