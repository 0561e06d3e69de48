"""Prompts that go down together as rows, and what is read at their tokens.

Any rows of a batch may run at once: their inputs are filled up to the longest of them.

A text that is read in windows has a row for each. These rows come together, and are
given the mean of what is read of them (`Batch.together`), so that they score alike,
stop together, and any of them answers for the text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from skraee.engine.few_shapes import makes_kernels
from skraee.engine.last_layer import Ending
from skraee.engine.rows import EndingAt
from skraee.engine.states import rounded

if TYPE_CHECKING:
    from skraee.text.prompt import Prompt

IntArray = npt.NDArray[np.int64]
AnyArray = npt.NDArray[Any]


class Batch:
    """Prompts as rows on the model's device, any of which may run at once.

    Parameters
    ----------
    prompts : list of Prompt
        Of the texts; those that are read in windows have a row for each of these.
    numbers : ndarray of int
        Their numbers among all texts of the call.
    device : torch.device
        Where the model runs.
    sees_padding : bool
        Whether the model would look at filled-up positions without a mask.
    first_stack : int
        Layers of the first stack; deeper states are a decoder's, read at its first
        step.
    prefix : tuple of int, default=()
        Tokens before those of all prompts, which are run already.

    Attributes
    ----------
    prompts : list of Prompt
        As they came, one for each text.
    numbers : ndarray of shape (b,), int
        Of each row the number of its text.
    texts : ndarray of shape (b,), int
        Of each row the place of its text among those of the batch.
    n_windows : ndarray, int
        Of each text the number of its rows.
    n_tokens : ndarray of shape (b,), int
        Tokens of each row.
    first_rows : ndarray of shape (b,), int, or None
        Of each row the first one of its text; None where each text has but one.
    """

    def __init__(
        self,
        prompts: list[Prompt],
        numbers: IntArray,
        *,
        device: torch.device,
        sees_padding: bool,
        first_stack: int,
        prefix: tuple[int, ...] = (),
    ) -> None:
        self.prompts = prompts
        self.n_windows: IntArray = np.array([len(p.windows) for p in prompts])
        prompts = [window for prompt in prompts for window in prompt.windows]
        self.numbers: IntArray = np.repeat(numbers, self.n_windows)
        self.texts: IntArray = np.repeat(np.arange(len(numbers)), self.n_windows)
        self.first_rows: IntArray | None = None
        if len(prompts) > len(numbers):
            self.first_rows = self._first_rows_of_texts()[self.texts]
        self.prefix = prefix
        self._prompts = prompts
        self._device = device
        self._sees_padding = sees_padding
        self.first_stack = first_stack
        self.n_tokens: IntArray = np.array([len(prompt.ids) for prompt in prompts])
        self.lengths = torch.from_numpy(self.n_tokens).to(device)
        self.rows = torch.arange(len(prompts), device=device)
        self._read_at = torch.tensor([p.read for p in prompts], device=device)
        self._texts: Tensor | None = None
        if self.first_rows is not None:
            self._texts = torch.from_numpy(self.first_rows).to(device)
        self._is_causal = not sees_padding
        self._shares: Tensor | None = None

    def inputs(self, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the token ids (n, T) of rows, and a mask where they need one.

        Parameters
        ----------
        rows : Tensor of shape (n,), int
        """
        chosen = rows.cpu().numpy()
        lengths = self.n_tokens[chosen]
        width = int(lengths.max())
        # Filled up with the last token: a real id, so that no model takes it for a
        # mark of its own. Causal models never look to the right; others are told by
        # the mask.
        texts = [self._prompts[row].ids for row in chosen]
        ids = [text + text[-1:] * (width - len(text)) for text in texts]
        mask: Tensor | None = None
        if self._sees_padding and lengths.min() < width:
            is_real = np.arange(width) < lengths[:, None]
            mask = torch.from_numpy(is_real).long().to(self._device)
        return torch.tensor(ids, device=self._device), mask

    def rows_of_texts(self, texts: IntArray) -> IntArray:
        """Return the rows of some texts, which are named by their place in the batch.

        Parameters
        ----------
        texts : ndarray of shape (n,), int
        """
        n_rows = self.n_windows[texts]
        before = n_rows.cumsum() - n_rows
        within = np.arange(n_rows.sum()) - np.repeat(before, n_rows)
        rows: IntArray = np.repeat(self._first_rows_of_texts()[texts], n_rows) + within
        return rows

    def _first_rows_of_texts(self) -> IntArray:
        first: IntArray = self.n_windows.cumsum() - self.n_windows
        return first

    def in_decoder(self, depth: int) -> bool:
        """Whether a depth lies in the second of two stacks."""
        return depth > self.first_stack

    def read(self, depth: int, hidden: Tensor, rows: Tensor) -> Tensor:
        """Return the read-position states (n, H) of some rows."""
        if self.in_decoder(depth):
            return hidden[:, 0]
        at = torch.arange(len(rows), device=hidden.device)
        return hidden[at, self._read_at[rows]]

    def together(self, read: Tensor, rows: Tensor) -> Tensor:
        """Give the windows of a text the mean of what was read of them.

        Parameters
        ----------
        read : Tensor of shape (n, ...)
        rows : Tensor of shape (n,)
            Of which rows: with one of a text's windows all of them.

        Returns
        -------
        Tensor of shape (n, ...)
            Equal for the windows of a text, as it was for a text of one.
        """
        if self._texts is None:
            return read
        of_text = self._texts[rows].to(read.device)
        n_windows = torch.bincount(of_text, minlength=len(self.numbers))[of_text]
        total = read.new_zeros(len(self.numbers), *read.shape[1:], dtype=torch.float64)
        total.index_add_(0, of_text, read.double())
        mean = total[of_text] / n_windows.view(-1, *[1] * (read.ndim - 1))
        return rounded(mean, read.dtype)

    def decided_together(self, decided: AnyArray, running: IntArray) -> AnyArray:
        """Give the windows of a text what was decided for the first of them.

        Where numbers are equal, what kernels make of them may differ by rounding.

        Parameters
        ----------
        decided : ndarray of shape (n, ...)
        running : ndarray of shape (n,), int
            For which rows: with one of a text's windows all of them.
        """
        if self.first_rows is None:
            return decided
        place = np.zeros(len(self.numbers), dtype=np.int64)
        place[running] = np.arange(len(running))
        return decided[place[self.first_rows[running]]]

    def ending(self, rows: Tensor, n_going_on: int) -> Ending | None:
        """Say that of these rows the first go on and the others are only read."""
        if n_going_on == len(rows):
            return None
        return Ending(n_going_on, self._read_at[rows[n_going_on:]])

    def all_ending_at(self, last: int) -> EndingAt:
        """Say that all rows end at one depth of the first stack."""

        def ending_at(depth: int, rows: Tensor) -> Ending | None:
            is_last = depth == last and not self.in_decoder(depth)
            return self.ending(rows, 0) if is_last else None

        return ending_at

    def text_mean(self, hidden: Tensor) -> Tensor:
        """Average all rows' states over the text's own tokens: (b, H), float32.

        The windows of a text are given the mean of theirs. Summed in float64, so that a
        text has the same key in whatever batch.
        """
        chosen = self._own_tokens(torch.float64)
        share = chosen / chosen.sum(1, keepdim=True).clamp(min=1)
        total = torch.einsum("bt,bth->bh", share.to(hidden.device), hidden.double())
        return self.together(total.float(), self.rows)

    def means(self, hidden: Tensor, rows: Tensor) -> Tensor:
        """Average some rows' states over the text and over the words around it.

        Every state is scaled to a root mean square of 1 first: a few tokens may be a
        hundred times as long as the others. Words that a causal model reads before
        the text know nothing of it and are left out.

        Returns
        -------
        means : Tensor of shape (n, 2, H), in the dtype of `hidden`
            Of the text's own tokens and of the others; zero where there are none.
        """
        if self._shares is None:
            self._shares = self._share_of_each_token().to(hidden.device)
        length = torch.linalg.vector_norm(hidden, dim=-1, dtype=torch.float32)
        scale = hidden.shape[-1] ** 0.5 / length.clamp(min=1e-6)
        weights = self._shares[:, :, : hidden.shape[1]][rows] * scale[:, None]
        states = hidden.float() if makes_kernels(hidden) else hidden
        means = torch.bmm(weights.to(states.dtype), states)
        return rounded(means, hidden.dtype)

    def _share_of_each_token(self) -> Tensor:
        """Return what a token counts for in each of the two means: (b, 2, T)."""
        own = self._own_tokens(torch.float32)
        starts = np.array([prompt.n_prefix for prompt in self._prompts])
        first = starts if self._is_causal else np.zeros_like(starts)
        others = _between(first, self.n_tokens, own.shape[1])
        both = torch.stack([own, torch.from_numpy(others) * (1 - own)], dim=1)
        return both / both.sum(2, keepdim=True).clamp(min=1)

    def _own_tokens(self, dtype: torch.dtype) -> Tensor:
        """Return 1 at the texts' own tokens, 0 elsewhere: (b, T)."""
        n_spans = [len(prompt.spans) for prompt in self._prompts]
        spans = [span for prompt in self._prompts for span in prompt.spans]
        starts, stops = np.array(spans, dtype=np.int64).reshape(-1, 2).T
        chosen = np.zeros((len(n_spans), self.n_tokens.max()), dtype=bool)
        rows = np.repeat(np.arange(len(n_spans)), n_spans)
        np.logical_or.at(chosen, rows, _between(starts, stops, chosen.shape[1]))
        return torch.from_numpy(chosen).to(dtype)


def _between(starts: IntArray, stops: IntArray, width: int) -> npt.NDArray[np.bool_]:
    """Say which of `width` places are from a start on and before a stop: (n, width)."""
    places = np.arange(width)
    found: npt.NDArray[np.bool_] = (places >= starts[:, None]) & (
        places < stops[:, None]
    )
    return found
