"""Which token comes next: the most probable one, or one that is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Choice(Protocol):
    """Chooses the next tokens of rows."""

    def __call__(self, logits: Tensor, seen: Sequence[Sequence[int]]) -> Tensor:
        """Return the next token (n,) of each row.

        Parameters
        ----------
        logits : Tensor of shape (n, V), float32
        seen : sequence of n sequences of int
            What each row has generated so far.
        """

    def leave(self, keep: Sequence[int]) -> None:
        """Hear which rows go on, by their places among those that were here."""


class Greedy:
    """The most probable token, the first of equals."""

    def __call__(self, logits: Tensor, seen: Sequence[Sequence[int]]) -> Tensor:
        """Return the most probable token of each row."""
        return logits.argmax(dim=-1)

    def leave(self, keep: Sequence[int]) -> None:
        """Need nothing of rows."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn; the library's own processors, in its order.

    Attributes
    ----------
    temperature : float
        Logits are divided by it; 0 takes the most probable token.
    top_k : int or None
        Only so many of the most probable tokens can be drawn.
    top_p : float or None
        Only the most probable tokens that have so much probability together can be.
    """

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None

    def begin(self, seeds: Sequence[int], device: torch.device) -> Choice:
        """Start rows, each with the stream of its own seed.

        Parameters
        ----------
        seeds : sequence of n int
        device : torch.device
            Where the logits are.
        """
        if self.temperature == 0:
            return Greedy()
        return _Drawn(self, seeds, device)


class _Drawn:
    """Draws each row from a stream of its own, which no batch changes."""

    def __init__(
        self, sampling: Sampling, seeds: Sequence[int], device: torch.device
    ) -> None:
        from transformers import (
            TemperatureLogitsWarper,
            TopKLogitsWarper,
            TopPLogitsWarper,
        )

        self._warpers = [TemperatureLogitsWarper(float(sampling.temperature))]
        if sampling.top_k is not None:
            self._warpers.append(TopKLogitsWarper(int(sampling.top_k)))
        if sampling.top_p is not None and sampling.top_p < 1:
            self._warpers.append(TopPLogitsWarper(float(sampling.top_p)))
        self._streams = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def __call__(self, logits: Tensor, seen: Sequence[Sequence[int]]) -> Tensor:
        scores = logits
        for warper in self._warpers:
            scores = warper(None, scores)  # of the tokens so far it needs nothing
        shares = torch.softmax(scores, dim=-1)
        drawn = [
            torch.multinomial(share, 1, generator=stream)
            for share, stream in zip(shares, self._streams, strict=True)
        ]
        return torch.cat(drawn)

    def leave(self, keep: Sequence[int]) -> None:
        self._streams = [self._streams[row] for row in keep]
