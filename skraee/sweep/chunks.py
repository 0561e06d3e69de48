"""Texts in chunks of bounded length, each distinct text once."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from skraee.text.token_bags import TokenBags

#: A text: what stands in each field of the template.
Sample = tuple[str, ...]
IntArray = npt.NDArray[np.int64]

# Texts that are worked on at a time, so that memory does not grow with X.
CHUNK_SIZE = 1024

T = TypeVar("T")
Item = TypeVar("Item", bound=Hashable)


@dataclass
class Chunk:
    """Some texts, each distinct one once.

    Attributes
    ----------
    samples : list of tuple of str
        The distinct texts.
    inverse : ndarray of int
        For every text, copies included, the number of its equal in `samples`.
    is_cut : ndarray of bool
        Which distinct texts were too long, as far as that has been seen.
    """

    samples: list[Sample]
    inverse: IntArray
    is_cut: npt.NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        self.is_cut = np.zeros(len(self.samples), dtype=bool)

    @property
    def n_cut(self) -> int:
        """Number of texts that were too long."""
        return int(self.is_cut[self.inverse].sum())

    def note_cuts(self, rows: Any, cuts: Sequence[bool]) -> None:
        """Note which of some distinct texts were cut."""
        self.is_cut[list(rows)] = cuts


@dataclass(frozen=True)
class Recalled:
    """Texts of a chunk that need no pass.

    Attributes
    ----------
    rows : ndarray of n int
        Which of the distinct texts.
    keys : list of n ndarray of shape (d,)
    depths : list of n ndarray
        Of each depth the states (P, H) or the logits (n_words,).
    bags : TokenBags or None
        Theirs, where states are read.
    """

    rows: IntArray
    keys: list[npt.NDArray[np.float32]]
    depths: list[npt.NDArray[Any]]
    bags: TokenBags | None


def chunks_of(samples: Iterable[Sample]) -> Iterator[Chunk]:
    """Cut texts into chunks."""
    for some in pieces(samples):
        yield Chunk(*distinct(some))


def pieces(items: Iterable[T]) -> Iterator[list[T]]:
    """Cut a stream into lists of `CHUNK_SIZE`; the last one may be shorter."""
    stream = iter(items)
    while some := list(islice(stream, CHUNK_SIZE)):
        yield some


def distinct(items: Sequence[Item]) -> tuple[list[Item], IntArray]:
    """Return the distinct items and, for every item, the number of its equal there.

    Parameters
    ----------
    items : sequence of n hashable values

    Returns
    -------
    unique : list
        In the order of first appearance.
    inverse : ndarray of shape (n,)
        With ``unique[inverse[i]] == items[i]``.
    """
    number: dict[Item, int] = {}
    inverse = np.fromiter(
        (number.setdefault(item, len(number)) for item in items),
        dtype=np.int64,
        count=len(items),
    )
    return list(number), inverse
