"""Batches: texts of like length together, a bounded number of padded tokens each."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Literal

import numpy as np
import torch

BatchTokens = int | Literal["auto"]

#: Told how many more texts are done.
OnProgress = Callable[[int], None]

# Padded tokens per batch. On a CPU more than this gains nothing (Gemma 3 270M,
# float32 and bfloat16); a GPU wants enough work for its cores.
_AUTO_TOKENS = {"cpu": 4096, "cuda": 65536}

# A batch of one length may be this many times smaller: on a CPU batches of some hundred
# tokens still cost less than filling up and a mask (RoBERTa-large's shape, bfloat16:
# 5 % less time for 256 texts of 32 lengths).
_ENOUGH = 16


def check_batch_tokens(batch_tokens: BatchTokens, device: torch.device) -> int:
    """Return the number of padded tokens per batch.

    Parameters
    ----------
    batch_tokens : int or "auto"
        As the user gave it.
    device : torch.device
        Where the model runs.

    Raises
    ------
    ValueError
        If it is neither "auto" nor a positive whole number.
    """
    if isinstance(batch_tokens, str) and batch_tokens == "auto":
        return _AUTO_TOKENS.get(device.type, _AUTO_TOKENS["cpu"])
    is_whole = isinstance(batch_tokens, (int, np.integer))
    if not is_whole or isinstance(batch_tokens, bool) or batch_tokens < 1:
        raise ValueError(
            "batch_tokens must be 'auto' or a whole number of at least 1, "
            f"got {batch_tokens!r}."
        )
    return int(batch_tokens)


def run_batches(
    lengths: Sequence[int],
    batch_tokens: int,
    run: Callable[[np.ndarray], None],
    on_progress: Callable[[int], None] | None = None,
    *,
    same_length: bool = False,
    sides: Sequence[Hashable] | None = None,
    n_windows: Sequence[int] | None = None,
) -> None:
    """Run all texts, those of like length together, longest first.

    Where memory runs out, the budget is halved and the work goes on from the texts
    that are finished.

    Parameters
    ----------
    lengths : sequence of n int
        Tokens of each text, or of one of its windows.
    batch_tokens : int
        Padded tokens per batch; a longer text makes a batch of its own.
    run : callable
        ``run(texts)`` runs the texts of one batch (their numbers, ndarray of int) and
        keeps what it finds. After a lack of memory it sees these texts again.
    on_progress : callable, optional
        Told how many texts each finished batch had.
    same_length : bool, default=False
        Whether batches of one length are worth smaller batches: they need no mask
        and no filling up.
    sides : sequence of n hashable values, optional
        Of each text; only texts of equal sides share a batch. Such texts lie together
        when they are sorted by length.
    n_windows : sequence of n int, optional
        Rows of each text, which are never divided; 1 by default.

    Raises
    ------
    MemoryError
        If a single text does not fit.
    """
    widths = np.asarray(lengths, dtype=np.int64)
    n_rows = np.ones_like(widths) if n_windows is None else np.asarray(n_windows)
    order = np.argsort(-widths, kind="stable")
    start = 0
    while start < len(order):
        longest = max(1, int(widths[order[start]]))
        texts = _within(batch_tokens // longest, order[start:], n_rows)
        if sides is not None:
            texts = _of_one_side(texts, sides)
        if same_length:
            enough = batch_tokens // _ENOUGH
            texts = _of_one_length(texts, widths, n_rows, enough)
        if _fits(texts, run):
            start += len(texts)
            if on_progress is not None:
                on_progress(len(texts))
        elif len(texts) > 1:
            batch_tokens = int(n_rows[texts].sum()) * longest // 2
        else:
            raise _too_large(longest, int(n_rows[texts[0]]))


def _within(most: int, texts: np.ndarray, n_rows: np.ndarray) -> np.ndarray:
    """Return the first texts that have together so many rows, and one at least."""
    first = texts[: max(1, most)]
    n_texts = np.searchsorted(n_rows[first].cumsum(), most, side="right")
    return first[: max(1, n_texts)]


def _of_one_side(texts: np.ndarray, sides: Sequence[Hashable]) -> np.ndarray:
    """Cut texts, longest first, where the side changes."""
    first = sides[texts[0]]
    own = [text for text in texts if sides[text] == first]
    return texts[: len(own)]


def _of_one_length(
    texts: np.ndarray, lengths: np.ndarray, n_rows: np.ndarray, enough: int
) -> np.ndarray:
    """Cut texts, longest first, where the length changes and there is enough to run."""
    own, n_before = lengths[texts], n_rows[texts].cumsum()
    for last in np.flatnonzero(np.diff(own)):
        if n_before[last] * own[0] >= enough:
            return texts[: last + 1]
    return texts


def _too_large(length: int, n_windows: int) -> MemoryError:
    what = f"one text of {length} tokens"
    if n_windows > 1:
        what = f"one text of {n_windows} windows of {length} tokens"
    return MemoryError(
        f"{what} alone does not fit into memory; lower max_length, use a smaller "
        "backbone, or choose dtype='bfloat16'."
    )


def _fits(texts: np.ndarray, run: Callable[[np.ndarray], None]) -> bool:
    # Answers instead of handling the error in its except block, which would keep the
    # failed pass's tensors alive.
    try:
        run(texts)
    except RuntimeError as error:
        if not _out_of_memory(error):
            raise
    else:
        return True
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return False


def _out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or (
        "DefaultCPUAllocator" in str(error)
    )
