"""Texts that are too long for one prompt: what is kept, and in how many prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from skraee.text.truncation import levelled

#: What is done with a text that is too long; no other is touched.
LongTexts = Literal["cut", "head_tail", "mean"]

#: Tokens of each field of a template.
Row = tuple[list[int], ...]

#: Windows of a text at the most, which are in memory together.
MOST_WINDOWS = 16

# Of what is kept of a text a quarter is its head, as Sun et al. (2019, "How to
# Fine-Tune BERT for Text Classification?", arXiv 1905.05583) keep 128 of 510.
_HEAD = 4


def fitted_rows(
    row: Row, room: int | None, long_texts: LongTexts
) -> tuple[list[Row], bool]:
    """Make the fields of a text fit their prompts.

    Parameters
    ----------
    row : tuple of list of int
        The tokens of each field.
    room : int or None
        Tokens that a prompt has for all fields; None for any number.
    long_texts : {"cut", "head_tail", "mean"}
        What gives way: the ends of the longest fields, their middle, or nothing but
        what is beyond `MOST_WINDOWS`. Windows are consecutive, as few as will do and
        all of one length, for which two neighbours may share a token. Of several fields
        the longest comes in windows, and the others are cut as "cut" does.

    Returns
    -------
    rows : list of tuple of list of int
        One for each prompt: several only for "mean".
    is_cut : bool
        Whether tokens were left out.
    """
    lengths = [len(ids) for ids in row]
    if room is None or sum(lengths) <= room:
        return [row], False
    kept = levelled(lengths, room)
    if long_texts == "mean":
        return _windows(row, kept)
    cut = _head_and_tail if long_texts == "head_tail" else _head
    return [tuple(map(cut, row, kept))], True


def _head(ids: list[int], n: int) -> list[int]:
    return ids[:n]


def _head_and_tail(ids: list[int], n: int) -> list[int]:
    if n >= len(ids):
        return ids
    head = n // _HEAD
    return ids[:head] + ids[len(ids) - (n - head) :]


def _windows(row: Row, kept: Sequence[int]) -> tuple[list[Row], bool]:
    """Cut the longest field that has any room into windows, the others at their end."""
    at = max(range(len(row)), key=lambda i: (kept[i] > 0, len(row[i])))
    others = [ids[:n] for ids, n in zip(row, kept, strict=True)]
    whole = row[at][: MOST_WINDOWS * kept[at]]
    rows = [
        (*others[:at], window, *others[at + 1 :])
        for window in _of_one_length(whole, kept[at])
    ]
    read = [whole if i == at else ids for i, ids in enumerate(others)]
    return rows, any(len(a) < len(b) for a, b in zip(read, row, strict=True))


def _of_one_length(ids: list[int], most: int) -> list[list[int]]:
    """Return as few parts as hold all tokens with at most so many in each."""
    n = -(-len(ids) // most)
    length = -(-len(ids) // n)
    starts = [i * (len(ids) - length) // max(n - 1, 1) for i in range(n)]
    return [ids[start : start + length] for start in starts]
