"""One position in the last layer: where a row ends, only what is read is computed.

In the last layer that a row runs, keys and values are needed for all its tokens, but
only the read position goes on to the head. The feed-forward part, about two thirds of a
layer, gets the read position alone, and so do the maps before and after the attention
where they are modules of their own. All these work on tokens one by one: the model's
own modules run on the packed tokens, and nothing is rewritten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from skraee.backbone.families import Family
from skraee.engine.views import view_of


class Needed(Protocol):
    """Which tokens of a batch a layer has to compute."""

    def pack(self, states: Tensor) -> Tensor:
        """Return the needed tokens of states (n, T, H) as rows (N, H)."""

    def unpack(self, tokens: Tensor, width: int) -> Tensor:
        """Return rows (N, H) to their places (n, T, H); the rest is 0."""


@dataclass(frozen=True)
class Ending:
    """Which tokens of a batch a layer's feed-forward part has to compute.

    Attributes
    ----------
    n_going_on : int
        The first rows go on and need all their tokens.
    read_at : Tensor of shape (n_ending,)
        Read positions of the other rows, which end here.
    """

    n_going_on: int
    read_at: Tensor

    def pack(self, states: Tensor) -> Tensor:
        """Return the needed tokens of states (n, T, H) as rows (N, H)."""
        whole = states[: self.n_going_on].flatten(0, 1)
        ending = states[self.n_going_on :]
        return torch.cat([whole, ending[self._ends(states.device)]])

    def unpack(self, tokens: Tensor, width: int) -> Tensor:
        """Return rows (N, H) to their places (n, T, H); the rest is 0."""
        n_whole = self.n_going_on * width
        n_rows = self.n_going_on + len(self.read_at)
        states = tokens.new_zeros(n_rows, width, tokens.shape[-1])
        whole = tokens[:n_whole].view(self.n_going_on, width, tokens.shape[-1])
        states[: self.n_going_on] = whole
        states[self.n_going_on :][self._ends(tokens.device)] = tokens[n_whole:]
        return states

    def _ends(self, device: torch.device) -> tuple[Tensor, Tensor]:
        rows = torch.arange(len(self.read_at), device=device)
        return rows, self.read_at.to(device)  # the layer may live elsewhere


def trimmed(layer: nn.Module, family: Family, needed: Needed, width: int) -> nn.Module:
    """Return a view of a layer that computes what some tokens need.

    At all other tokens the view's output means nothing.

    Parameters
    ----------
    layer : nn.Module
        Left as it is.
    family : Family
        Its row.
    needed : Needed
        The read positions of rows that end, say.
    width : int
        Tokens T of the batch.

    Returns
    -------
    nn.Module
    """
    replaced: dict[str, nn.Module | None] = {
        path: _Packed(layer.get_submodule(path), needed, width)
        for path in family.attention
    }
    first, last = family.feed_forward[0], family.feed_forward[-1]
    if first == last:
        replaced[first] = _Packed(layer.get_submodule(first), needed, width)
    else:
        replaced[first] = _Entry(layer.get_submodule(first), needed)
        replaced[last] = _Exit(layer.get_submodule(last), needed, width)
    return view_of(layer, replaced)


class _Packed(nn.Module):
    def __init__(self, module: nn.Module, needed: Needed, width: int) -> None:
        super().__init__()
        self.module = module
        self.needed = needed
        self.width = width

    def forward(self, *states: Tensor) -> Tensor:
        packed = [self.needed.pack(one) for one in states]
        return self.needed.unpack(self.module(*packed), self.width)


class _Entry(nn.Module):
    def __init__(self, module: nn.Module, needed: Needed) -> None:
        super().__init__()
        self.module = module
        self.needed = needed

    def forward(self, states: Tensor) -> Tensor:
        out: Tensor = self.module(self.needed.pack(states))
        return out


class _Exit(nn.Module):
    def __init__(self, module: nn.Module, needed: Needed, width: int) -> None:
        super().__init__()
        self.module = module
        self.needed = needed
        self.width = width

    def forward(self, tokens: Tensor, *residuals: Tensor) -> Tensor:
        packed = [self.needed.pack(residual) for residual in residuals]
        return self.needed.unpack(self.module(tokens, *packed), self.width)
