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

# A batch of like lengths may be this many times smaller: on a CPU batches of 1,000
# tokens cost less than filling up and a mask (1,000 texts of SST-2 in bfloat16, exit by
# confidence: 10 % less time on mpnet than 16 times smaller ones, which took kernels for
# more shapes; on Gemma 3 270M 20 % less than batches of any lengths).
_ENOUGH = 4


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
            f"got {batch_tokens!r}; leave it at 'auto', which fits the device."
        )
    return int(batch_tokens)


def run_batches(
    cutter: Cutter,
    batch_tokens: int,
    run: Callable[[np.ndarray], None],
    on_progress: OnProgress | None = None,
    *,
    on_out_of_memory: Callable[[], None] | None = None,
) -> None:
    """Run all texts, those of like length together, longest first.

    Where memory runs out, the budget is halved and the work goes on from the texts
    that are finished.

    Parameters
    ----------
    cutter : Cutter
    batch_tokens : int
        Padded tokens per batch; a longer text makes a batch of its own.
    run : callable
        ``run(texts)`` runs the texts of one batch (their numbers, ndarray of int) and
        keeps what it finds. After a lack of memory it sees these texts again.
    on_progress : callable, optional
        Told how many texts each finished batch had.
    on_out_of_memory : callable, optional
        Called whenever the budget is halved.

    Raises
    ------
    MemoryError
        If a single text does not fit.
    """
    start = 0
    while start < len(cutter.order):
        texts = cutter.first_batch(cutter.order[start:], batch_tokens)
        longest, n_rows = cutter.size(texts)
        if _fits(texts, run):
            start += len(texts)
            if on_progress is not None:
                on_progress(len(texts))
        elif len(texts) > 1:
            batch_tokens = n_rows * longest // 2
            if on_out_of_memory is not None:
                on_out_of_memory()
        else:
            raise _too_large(longest, n_rows)


class Progress:
    """Tells of each text once, where some may be run again.

    Parameters
    ----------
    on_progress : callable or None
        Told how many more texts are done.
    """

    def __init__(self, on_progress: OnProgress | None) -> None:
        self._on_progress = on_progress
        self._n_kept = 0  # texts that will not run again
        self._n_done = 0
        self._n_told = 0

    def tell(self, n_texts: int) -> None:
        """Hear that so many more texts are done."""
        self._n_done += n_texts
        if self._on_progress is not None and self._n_done > self._n_told:
            self._on_progress(self._n_done - self._n_told)
            self._n_told = self._n_done

    def keep(self) -> None:
        """Hear that what is done will not run again."""
        self._n_kept = self._n_done

    def drop(self) -> None:
        """Hear that what was done since then will."""
        self._n_done = self._n_kept


class Cutter:
    """Cuts texts into batches, longest first.

    Parameters
    ----------
    lengths : sequence of n int
        Tokens of each text, or of one of its windows.
    alike : float, default=0.0
        Share of the tokens of a batch's longest text that the others have at least,
        where a smaller batch of these is enough to run: 1 where what is filled up needs
        a mask.
    sides : sequence of n hashable values, optional
        Of each text; only texts of equal sides share a batch. Such texts lie together
        when they are sorted by length.
    n_windows : sequence of n int, optional
        Rows of each text, which are never divided; 1 by default.

    Attributes
    ----------
    order : ndarray of shape (n,), int
        All texts, longest first.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        *,
        alike: float = 0.0,
        sides: Sequence[Hashable] | None = None,
        n_windows: Sequence[int] | None = None,
    ) -> None:
        self._widths = np.asarray(lengths, dtype=np.int64)
        ones = np.ones_like(self._widths)
        self._n_rows = ones if n_windows is None else np.asarray(n_windows)
        self._alike = alike
        self._sides = sides
        self.order = np.argsort(-self._widths, kind="stable")

    def sorted(self, texts: np.ndarray) -> np.ndarray:
        """Return texts, longest first."""
        return texts[np.argsort(-self._widths[texts], kind="stable")]

    def size(self, texts: np.ndarray) -> tuple[int, int]:
        """Return the tokens of the first of the texts, and the rows of all."""
        longest = max(1, int(self._widths[texts[0]]))
        return longest, int(self._n_rows[texts].sum())

    def first_batch(self, texts: np.ndarray, batch_tokens: int) -> np.ndarray:
        """Return the texts of the first batch.

        Parameters
        ----------
        texts : ndarray of int
            Longest first.
        batch_tokens : int
            Padded tokens per batch.
        """
        longest, _ = self.size(texts)
        texts = _within(batch_tokens // longest, texts, self._n_rows)
        if self._sides is not None:
            texts = _of_one_side(texts, self._sides)
        if self._alike:
            least = self._alike * self._widths[texts[0]]
            enough = batch_tokens // _ENOUGH
            texts = _of_like_length(texts, self._widths, self._n_rows, least, enough)
        return texts


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


def _of_like_length(
    texts: np.ndarray,
    lengths: np.ndarray,
    n_rows: np.ndarray,
    least: float,
    enough: int,
) -> np.ndarray:
    """Cut texts, longest first, where they get shorter and there is enough to run."""
    own, n_before = lengths[texts], n_rows[texts].cumsum()
    for last in np.flatnonzero(np.diff(own)):
        if own[last + 1] < least and n_before[last] * own[0] >= enough:
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
        if not is_out_of_memory(error):
            raise
    else:
        return True
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return False


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out."""
    return isinstance(error, torch.OutOfMemoryError) or (
        "DefaultCPUAllocator" in str(error)
    )
