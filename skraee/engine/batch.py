"""Batches: prompts of like length as tensors, and what is read at their tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from skraee.engine.last_layer import Ending
from skraee.engine.rows import EndingAt

if TYPE_CHECKING:
    from skraee.text.prompt import Prompt

IntArray = npt.NDArray[np.int64]


class Batch:
    """Prompts of like length as tensors on the model's device.

    Parameters
    ----------
    prompts : list of b Prompt
    numbers : ndarray of shape (b,)
        Their numbers among all prompts of the call.
    device : torch.device
        Where the model runs.
    sees_padding : bool
        Whether the model would look at filled-up positions without a mask.
    first_stack : int
        Layers of the first stack; deeper states are a decoder's, read at its first
        step.
    prefix : tuple of int, default=()
        Tokens before those of all prompts, which are run already.
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
        self.numbers = numbers
        self.prefix = prefix
        self._prompts = prompts
        self.first_stack = first_stack
        lengths = torch.tensor([len(prompt.ids) for prompt in prompts])
        self.lengths = lengths.to(device)
        width = int(lengths.max())
        # Filled up with the last token: a real id, so that no model takes it for a
        # mark of its own. Causal models never look to the right; others are told by
        # the mask.
        ids = [p.ids + p.ids[-1:] * (width - len(p.ids)) for p in prompts]
        self.ids = torch.tensor(ids, device=device)
        self.mask: Tensor | None = None
        if sees_padding and int(lengths.min()) < width:
            self.mask = (torch.arange(width) < lengths[:, None]).long().to(device)
        self.rows = torch.arange(len(prompts), device=device)
        self._read_at = torch.tensor([p.read for p in prompts], device=device)
        self._is_causal = not sees_padding
        self._shares: Tensor | None = None

    def in_decoder(self, depth: int) -> bool:
        """Whether a depth lies in the second of two stacks."""
        return depth > self.first_stack

    def read(self, depth: int, hidden: Tensor, rows: Tensor) -> Tensor:
        """Return the read-position states (n, H) of some rows."""
        if self.in_decoder(depth):
            return hidden[:, 0]
        at = torch.arange(len(rows), device=hidden.device)
        return hidden[at, self._read_at[rows]]

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

        Summed in float64, so that a text has the same key in whatever batch.
        """
        chosen = self._own_tokens(torch.float64)
        share = chosen / chosen.sum(1, keepdim=True).clamp(min=1)
        total = torch.einsum("bt,bth->bh", share.to(hidden.device), hidden.double())
        return total.float()

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
        weights = self._shares[rows] * scale[:, None]
        return torch.bmm(weights.to(hidden.dtype), hidden)

    def _share_of_each_token(self) -> Tensor:
        """Return what a token counts for in each of the two means: (b, 2, T)."""
        own = self._own_tokens(torch.float32)
        others = torch.zeros_like(own)
        for row, prompt in enumerate(self._prompts):
            others[row, prompt.n_prefix if self._is_causal else 0 : len(prompt.ids)] = 1
        both = torch.stack([own, others * (1 - own)], dim=1)
        return both / both.sum(2, keepdim=True).clamp(min=1)

    def _own_tokens(self, dtype: torch.dtype) -> Tensor:
        """Return 1 at the texts' own tokens, 0 elsewhere: (b, T)."""
        chosen = torch.zeros(self.ids.shape, dtype=dtype)
        for row, prompt in enumerate(self._prompts):
            for start, stop in prompt.spans:
                chosen[row, start:stop] = 1
        return chosen
