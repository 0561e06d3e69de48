"""Which tokens, and which pairs of neighbouring tokens, texts are made of.

A bag holds no order and no counts: only which of `N_BUCKETS` buckets the tokens of a
text, and its pairs, fall into by a hash (feature hashing, Weinberger et al., ICML
2009). The model need not run for it, and no vocabulary has to be kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from skraee.text.prompt import Prompt

UInt16Array = npt.NDArray[np.uint16]
UInt64Array = npt.NDArray[np.uint64]
IntArray = npt.NDArray[np.int64]

_BITS = 15

#: Buckets. Twice as many as the tokens and pairs of some thousand short texts.
N_BUCKETS = 2**_BITS

#: All of them.
EVERY: UInt16Array = np.arange(N_BUCKETS, dtype=np.uint16)

# Odd numbers by which bits are spread (those of splitmix64, Steele et al., 2014).
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_ONE = np.uint64(1)


@dataclass(frozen=True, eq=False)
class TokenBags:
    """The buckets of n texts.

    Attributes
    ----------
    buckets : ndarray of shape (n_all,), uint16
        Of all texts, those of a text together, ascending and each once.
    ends : ndarray of shape (n,), int64
        Where those of each text end.

    Examples
    --------
    >>> from skraee.text.prompt import Prompt
    >>> from skraee.text.token_bags import TokenBags
    >>> again, once = Prompt((7, 7, 7), 0, ((0, 3),)), Prompt((7,), 0, ((0, 1),))
    >>> bags = TokenBags.of([again, once])
    >>> print(bags.ends)  # a token and a pair; a token
    [2 3]
    """

    buckets: UInt16Array
    ends: IntArray

    @classmethod
    def of(cls, prompts: Sequence[Prompt]) -> Self:
        """Return the bags of texts, of all windows of each.

        Parameters
        ----------
        prompts : sequence of n Prompt
            The words around a text and special tokens are left out; no pair goes from
            one field to another.
        """
        spans = [
            (text, window.ids[start:stop])
            for text, prompt in enumerate(prompts)
            for window in prompt.windows
            for start, stop in window.spans
        ]
        lengths = np.array([len(ids) for _, ids in spans], dtype=np.int64)
        tokens = np.array([i for _, ids in spans for i in ids], dtype=np.uint64)
        texts = np.array([text for text, _ in spans], dtype=np.int64).repeat(lengths)
        place = np.repeat(np.arange(len(spans)), lengths)
        pairs = np.flatnonzero(place[1:] == place[:-1])
        alone = _spread(tokens + _ONE)
        both = _spread(alone[pairs] * _SECOND + tokens[pairs + 1] + _ONE)
        found = np.concatenate([alone, both]) >> np.uint64(64 - _BITS)
        rows = np.concatenate([texts, texts[pairs]])
        distinct = np.unique(rows * N_BUCKETS + found.astype(np.int64))
        ends = np.searchsorted(distinct, N_BUCKETS * np.arange(1, len(prompts) + 1))
        return cls((distinct % N_BUCKETS).astype(np.uint16), ends.astype(np.int64))

    @classmethod
    def joined(cls, bags: Sequence[UInt16Array]) -> Self:
        """Return the bags of texts of which each is given by itself."""
        ends = np.cumsum([len(bag) for bag in bags], dtype=np.int64)
        return cls(np.concatenate([np.empty(0, np.uint16), *bags]), ends)

    def __len__(self) -> int:
        return len(self.ends)

    def each(self) -> list[UInt16Array]:
        """Return the buckets of each text."""
        return np.split(self.buckets, self.ends[:-1]) if len(self) else []

    def take(self, rows: npt.NDArray[np.integer]) -> TokenBags:
        """Return the bags of some of the texts."""
        each = self.each()
        return TokenBags.joined([each[row] for row in rows])

    def matrix(self, columns: UInt16Array = EVERY) -> Any:
        """Return the bags as rows of length 1, float32, in scipy's CSR format.

        Parameters
        ----------
        columns : ndarray of shape (B,), uint16, default=EVERY
            The buckets that are columns, ascending. Others count in the length alone.

        Returns
        -------
        csr_array of shape (n, B)
        """
        starts = np.append(0, self.ends)
        sizes = np.diff(starts)
        values = np.repeat((1.0 / np.sqrt(sizes.clip(min=1))).astype(np.float32), sizes)
        places = np.searchsorted(columns, self.buckets)
        if len(columns) < N_BUCKETS:
            known = np.append(columns, 0)[places] == self.buckets
            known &= places < len(columns)
            values, places = values[known], places[known]
            starts = np.append(0, known.cumsum())[starts]
        shape = len(self), len(columns)
        return sparse.csr_array((values, places.astype(np.int32), starts), shape)


def _spread(values: UInt64Array) -> UInt64Array:
    """Let every bit of a value change any bit of the result."""
    values = (values ^ (values >> np.uint64(30))) * _FIRST
    values = (values ^ (values >> np.uint64(27))) * _SECOND
    return values ^ (values >> np.uint64(31))
