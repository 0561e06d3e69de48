"""The rows of a batch that is being decoded: what they keep of the tokens they ran."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class CachedRows:
    """Rows that end in the same column, with keys and values of what they have run.

    Parameters
    ----------
    cache : Cache or EncoderDecoderCache
        Of the library, with a plain layer for each of the decoder.
    mask : Tensor of shape (n, T), bool
        Which columns are tokens of a row; the others stand before it and are nobody's.
    entering : Tensor of shape (n, T)
        The tokens that are to run first.
    encoded : Tensor of shape (n, S, H), optional
        What an encoder made of the prompts.
    encoded_mask : Tensor of shape (n, S), optional
        Which of these are tokens.
    """

    def __init__(
        self,
        cache: Any,
        mask: Tensor,
        entering: Tensor,
        encoded: Tensor | None = None,
        encoded_mask: Tensor | None = None,
    ) -> None:
        self.cache = cache
        self.mask = mask
        self.entering = entering
        self.encoded = encoded
        self.encoded_mask = encoded_mask

    def __len__(self) -> int:
        return len(self.mask)

    @property
    def positions(self) -> Tensor:
        """Place of each token in its row, from 0: (n, T)."""
        return (self.mask.long().cumsum(1) - 1).clamp(min=0)

    def append(self, n_tokens: int) -> None:
        """Hear that every row is about to run so many more tokens."""
        more = self.mask.new_ones(len(self), n_tokens)
        self.mask = torch.cat([self.mask, more], dim=1)

    def take_back(self, n_tokens: int, n_layers: int) -> None:
        """Forget the last tokens, which only the first layers have run.

        Parameters
        ----------
        n_tokens : int
        n_layers : int
            So many have keys and values of them.
        """
        if n_tokens == 0:
            return
        self.mask = self.mask[:, :-n_tokens]
        for layer in _layers(self._own_cache())[:n_layers]:
            layer.keys = layer.keys[:, :, :-n_tokens]
            layer.values = layer.values[:, :, :-n_tokens]

    def keep(self, rows: Tensor) -> None:
        """Let the other rows leave, and columns that no row has any more.

        Parameters
        ----------
        rows : Tensor of shape (n',), int
            Numbers among the rows that are here, ascending.
        """
        self.mask = self.mask[rows]
        first = int(self.mask.any(dim=0).int().argmax())
        self.mask = self.mask[:, first:]
        for layer in _layers(self._own_cache()):
            layer.keys = layer.keys[rows, :, first:]
            layer.values = layer.values[rows, :, first:]
        if self.encoded is None or self.encoded_mask is None:
            return
        self.encoded = self.encoded[rows]
        self.encoded_mask = self.encoded_mask[rows]
        for layer in _layers(self.cache.cross_attention_cache):
            layer.keys, layer.values = layer.keys[rows], layer.values[rows]

    def drop_last(self, n_dropped: Tensor) -> None:
        """Forget a number of last tokens of each row; all end in one column again.

        Parameters
        ----------
        n_dropped : Tensor of shape (n,), int
        """
        width = self.mask.shape[1]
        columns = torch.arange(width, device=self.mask.device)
        source = columns - n_dropped[:, None]  # what comes to each column
        inside = source >= 0
        source = source.clamp(min=0)
        moved = self.mask.gather(1, source) & inside
        first = int(moved.any(dim=0).int().argmax())
        self.mask, source = moved[:, first:], source[:, first:]
        for layer in _layers(self._own_cache()):
            layer.keys = _moved(layer.keys, source)
            layer.values = _moved(layer.values, source)

    def _own_cache(self) -> Any:
        """Return the cache of the decoder's own tokens."""
        return self.cache if self.encoded is None else self.cache.self_attention_cache


def _layers(cache: Any) -> list[Any]:
    """Return the layers that have run something."""
    return [layer for layer in cache.layers if layer.is_initialized]


def _moved(states: Tensor, source: Tensor) -> Tensor:
    """Take for each row the columns (n, T') of states (n, heads, T, d)."""
    n, heads, _, width = states.shape
    index = source[:, None, :, None].expand(n, heads, source.shape[1], width)
    return states.gather(2, index)
