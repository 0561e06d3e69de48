"""A prompt's states pooled to one, as sentence encoders pool their last ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skraee.backbone.sentence_folder import Pooling


def pooled(how: Pooling, hidden: Tensor, lengths: Tensor, norm: nn.Module) -> Tensor:
    """Apply a final norm to states and pool them over all tokens of their prompts.

    Parameters
    ----------
    how : {"cls", "mean", "max", "last"}
        Take the first token's, the mean, the largest of each feature, or the last
        token's.
    hidden : Tensor of shape (n, T, H)
    lengths : Tensor of shape (n,)
        Tokens of each prompt; what is behind them is filled up.
    norm : nn.Module
        In float32; it works on tokens one by one.

    Returns
    -------
    Tensor of shape (n, H'), float32
        With the width that the norm gives.
    """
    if how == "cls":
        return _normed(hidden[:, 0], norm)
    if how == "last":
        at = torch.arange(len(hidden), device=hidden.device)
        return _normed(hidden[at, lengths - 1], norm)
    states = _normed(hidden, norm)
    is_real = torch.arange(hidden.shape[1], device=hidden.device) < lengths[:, None]
    if how == "max":
        return states.masked_fill(~is_real[:, :, None], -torch.inf).amax(dim=1)
    share = is_real.float() / lengths[:, None]
    return torch.bmm(share[:, None], states)[:, 0]


def _normed(states: Tensor, norm: nn.Module) -> Tensor:
    normed: Tensor = norm(states.float())
    return normed
