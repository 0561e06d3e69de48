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
) -> None:
    """Run all rows, those of like length together, longest first.

    Where memory runs out, the budget is halved and the work goes on from the rows
    that are finished.

    Parameters
    ----------
    lengths : sequence of n int
        Tokens of each row.
    batch_tokens : int
        Padded tokens per batch; a longer row makes a batch of its own.
    run : callable
        ``run(rows)`` runs the rows of one batch (their numbers, ndarray of int) and
        keeps what it finds. After a lack of memory it sees these rows again.
    on_progress : callable, optional
        Told how many rows each finished batch had.
    same_length : bool, default=False
        Whether batches of one length are worth smaller batches: they need no mask
        and no filling up.
    sides : sequence of n hashable values, optional
        Of each row; only rows of equal sides share a batch. Such rows lie together when
        they are sorted by length.

    Raises
    ------
    MemoryError
        If a single row does not fit.
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    start = 0
    while start < len(order):
        longest = lengths[order[start]]
        rows = order[start : start + max(1, batch_tokens // max(1, longest))]
        if sides is not None:
            rows = _of_one_side(rows, sides)
        if same_length:
            rows = _of_one_length(rows, lengths, batch_tokens // _ENOUGH)
        if _fits(rows, run):
            start += len(rows)
            if on_progress is not None:
                on_progress(len(rows))
        elif len(rows) > 1:
            batch_tokens = len(rows) * longest // 2
        else:
            raise MemoryError(
                f"one text of {longest} tokens alone does not fit into memory; lower "
                "max_length, use a smaller backbone, or choose dtype='bfloat16'."
            )


def _of_one_side(rows: np.ndarray, sides: Sequence[Hashable]) -> np.ndarray:
    """Cut rows, longest first, where the side changes."""
    first = sides[rows[0]]
    own = [row for row in rows if sides[row] == first]
    return rows[: len(own)]


def _of_one_length(rows: np.ndarray, lengths: Sequence[int], enough: int) -> np.ndarray:
    """Cut rows, longest first, where the length changes and there are enough tokens."""
    own = np.array([lengths[row] for row in rows])
    for cut in np.flatnonzero(np.diff(own)) + 1:
        if cut * own[0] >= enough:
            return rows[:cut]
    return rows


def _fits(rows: np.ndarray, run: Callable[[np.ndarray], None]) -> bool:
    # Answers instead of handling the error in its except block, which would keep the
    # failed pass's tensors alive.
    try:
        run(rows)
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
