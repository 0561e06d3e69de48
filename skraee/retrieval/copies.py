"""The distinct keys among many, and the copies of each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from skraee.retrieval.distances import batches
from skraee.retrieval.vectors import Float64Array, IntArray, KeyArray

# Numbers that are looked at in one go: 16 MiB in the 64 bits of a hash.
_AT_ONCE = 2**21


class Copies:
    """The distinct keys, numbered as they first appear, and the rows that hold them.

    Many copies of one key cut a graph to pieces, and whichever of them a search met
    would be its neighbours; so only distinct keys are searched.

    Parameters
    ----------
    keys : ndarray of float32 or float16 of shape (n, d)

    Attributes
    ----------
    first : ndarray of shape (m,)
        The first row of each distinct key, ascending.
    rows : ndarray of shape (n,)
        The rows of all keys, those of the first key in front.
    counts, starts : ndarray of shape (m,)
        How many of these each key has, and where they begin.
    """

    def __init__(self, keys: KeyArray) -> None:
        first, group = _grouped(keys)
        number = first.argsort().argsort()[group]
        self.first = np.sort(first)
        self.rows = np.argsort(number, kind="stable")
        self.counts = np.bincount(number)
        self.starts = np.cumsum(self.counts) - self.counts

    def expand(
        self, rows: IntArray, numbers: IntArray, distances: Float64Array, k: int
    ) -> tuple[IntArray, Float64Array, IntArray]:
        """Turn each distinct key into the first k of its copies."""
        counts = np.minimum(self.counts[numbers], k)
        nth_copy = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
        keys = self.rows[np.repeat(self.starts[numbers], counts) + nth_copy]
        return np.repeat(rows, counts), np.repeat(distances, counts), keys


def _grouped(keys: KeyArray) -> tuple[IntArray, IntArray]:
    """Return the first row of each distinct key, in any order, and each row's group.

    Sorting the keys themselves would take several copies of them all; 64 bits of each
    say which may be equal, and only those that have a copy are compared. Where these
    bits lie, others are taken.
    """
    seed = 0
    while True:
        _, first, group = np.unique(
            _hashes(keys, seed), return_index=True, return_inverse=True
        )
        if _are_copies(keys, first[group]):
            return first, group
        seed += 1


def _hashes(keys: KeyArray, seed: int) -> npt.NDArray[np.uint64]:
    """Return a sum of each row's bits times random numbers, modulo 2**64."""
    width = keys.shape[1]
    random = np.random.default_rng(seed)
    factors = random.integers(2**64, size=width, dtype=np.uint64)
    sums = np.empty(len(keys), dtype=np.uint64)
    for rows in batches(len(keys), max(1, _AT_ONCE // width)):
        bits = _bits(keys[rows]).astype(np.uint64)
        np.einsum("ij,j->i", bits, factors, out=sums[rows])
    return sums


def _are_copies(keys: KeyArray, originals: IntArray) -> bool:
    """Whether every row is equal, bit by bit, to the one that it is taken for."""
    copies = np.flatnonzero(originals != np.arange(len(keys)))
    for part in batches(len(copies), max(1, _AT_ONCE // keys.shape[1])):
        rows = copies[part]
        if not np.array_equal(_bits(keys[rows]), _bits(keys[originals[rows]])):
            return False
    return True


def _bits(keys: KeyArray) -> npt.NDArray[np.unsignedinteger]:
    # As bits -0.0 is not 0.0; the sum makes it so.
    return (keys + keys.dtype.type(0)).view(f"u{keys.dtype.itemsize}")
