"""Batches and their visitors: what is read at which depth, and which rows go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from skraee.backbone.gates import EndingAt, Keep
from skraee.backbone.last_layer import Ending
from skraee.states import packed

if TYPE_CHECKING:
    from skraee.text.prompt import Prompt

IntArray = npt.NDArray[np.int64]
#: Read-position states (b, H) of a batch -> exits (b,), and which are undecided (b,).
Decide = Callable[[npt.NDArray[np.float32]], tuple[IntArray, npt.NDArray[np.bool_]]]
#: The exit of a row whose state is not finite, so that nothing can decide about it.
NO_EXIT = -1


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
        self._first_stack = first_stack
        lengths = torch.tensor([len(prompt.ids) for prompt in prompts])
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
        return depth > self._first_stack

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


class Landing:
    """Visitor that lets each row run to its own depth, deepest rows first.

    Attributes
    ----------
    readings : list of (depth, rows of the batch, states)
    """

    def __init__(self, batch: Batch, exits: IntArray) -> None:
        self.batch = batch
        self.exits = exits
        self.readings: list[tuple[int, IntArray, Tensor]] = []
        self._running = np.arange(len(exits))

    def visit(self, depth: int, hidden: Tensor, rows: Tensor) -> Keep:
        """Read the rows whose depth this is; the first rows go on."""
        stay = int(np.count_nonzero(self.exits[self._running] > depth))
        if stay == len(self._running):
            return None
        states = self.batch.read(depth, hidden[stay:], rows[stay:])
        self.readings.append((depth, self._running[stay:], states))
        self._running = self._running[:stay]
        return stay

    def ending_at(self, depth: int, rows: Tensor) -> Ending | None:
        """Say which of the rows that run go no further than this depth."""
        going_on = int(np.count_nonzero(self.exits[self._running] > depth))
        return self.batch.ending(rows, going_on)


class DecidedLanding(Landing):
    """Visitor that chooses the exits at some depth, then lets rows run to them."""

    def __init__(self, batch: Batch, decide_at: int, decide: Decide) -> None:
        super().__init__(batch, np.zeros(len(batch.numbers), dtype=np.int64))
        self.undecided = np.zeros(len(batch.numbers), dtype=bool)
        self._decide_at = decide_at
        self._decide = decide
        self._passed: list[Tensor] = []

    def ending_at(self, depth: int, rows: Tensor) -> Ending | None:
        """Say which rows go no further, once that is decided."""
        if depth <= self._decide_at:
            return None
        return super().ending_at(depth, rows)

    def visit(self, depth: int, hidden: Tensor, rows: Tensor) -> Keep:
        """Remember states on the way to the decision; land rows after it."""
        if depth > self._decide_at:
            return super().visit(depth, hidden, rows)
        self._passed.append(self.batch.read(depth, hidden, rows))
        if depth < self._decide_at:
            return None
        keys = self._passed[-1].float().cpu().numpy()
        self.exits, self.undecided = decided(keys, self._decide)
        for passed, states in enumerate(self._passed):
            at = np.flatnonzero(self.exits == passed)
            if len(at):
                self.readings.append((passed, at, states[torch.from_numpy(at)]))
        deeper = np.argsort(-self.exits, kind="stable")
        self._running = deeper[self.exits[deeper] > depth]
        return torch.from_numpy(self._running).to(hidden.device)


def decided(
    keys: npt.NDArray[np.float32], decide: Decide
) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """Choose the exits of rows with these states; `NO_EXIT` where one is not finite.

    Parameters
    ----------
    keys : ndarray of shape (b, H)
    decide : callable

    Returns
    -------
    exits : ndarray of shape (b,), int
    undecided : ndarray of shape (b,), bool
    """
    exits = np.full(len(keys), NO_EXIT, dtype=np.int64)
    undecided = np.zeros(len(keys), dtype=bool)
    finite = np.isfinite(keys).all(axis=1)
    if finite.any():
        exits[finite], undecided[finite] = decide(keys[finite])
    return exits, undecided


class Collector:
    """An array whose rows arrive in any order, batch by batch."""

    def __init__(self, n_rows: int) -> None:
        self._n_rows = n_rows
        self._rows: npt.NDArray[Any] | None = None

    def put(self, numbers: IntArray, values: Tensor) -> None:
        """Store the rows with these numbers."""
        array = packed(values)
        if self._rows is None:
            self._rows = np.zeros((self._n_rows, *array.shape[1:]), dtype=array.dtype)
        self._rows[numbers] = array

    def found_or_none(self) -> npt.NDArray[Any] | None:
        """Return the array, or None where nothing arrived."""
        return self._rows

    def found(self) -> npt.NDArray[Any]:
        """Return the array."""
        if self._rows is None:
            raise ValueError("no rows were run.")
        return self._rows
