"""Each token to its own depth: a pass in which tokens stop, not rows.

A token that has run its layers keeps its last state. In the layers behind, it forms no
query and goes through no feed-forward part, but the tokens that still run attend to it:
keys and values are made of all tokens. As where a row ends
(:mod:`skraee.engine.last_layer`), the model's own modules run on the packed tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from skraee.backbone.families import FAMILIES
from skraee.backbone.loaded import LoadedBackbone
from skraee.engine.batch import Batch
from skraee.engine.batching import BatchTokens
from skraee.engine.clock import Clock
from skraee.engine.engine import Engine
from skraee.engine.last_layer import Needed
from skraee.engine.rows import EndingAt, RunningRows, Visit
from skraee.engine.stacks import modules_between

IntArray = npt.NDArray[np.int64]


class TokenEngine(Engine):
    """An engine for one call's prompts, whose tokens run different numbers of layers.

    Nothing is reused of the prompts' common first tokens: they too have their depths.

    Parameters
    ----------
    backbone : LoadedBackbone
        Shared; never changed.
    layers : sequence of n ndarray of int
        For each prompt of the call the layers of the first stack that its tokens run.
    batch_tokens : int or "auto", default="auto"
        Padded tokens per batch.
    clock : Clock, optional
        Told where time goes.

    Raises
    ------
    ValueError
        If the backbone's layers cannot leave tokens out.
    """

    packs_again = False  # what a token last was stays with its batch

    def __init__(
        self,
        backbone: LoadedBackbone,
        layers: Sequence[IntArray],
        batch_tokens: BatchTokens = "auto",
        clock: Clock | None = None,
    ) -> None:
        super().__init__(backbone, batch_tokens, clock, reuse_prefix=False)
        check_leaves_tokens_out(backbone)
        self._layers = layers

    def rows_of(
        self, batch: Batch, visit: Visit, ending_at: EndingAt | None
    ) -> TokenFlight:
        """Return the rows of a batch, each token with its own layers."""
        width = int(batch.n_tokens.max())
        layers = torch.zeros(len(batch.numbers), width, dtype=torch.int64)
        for row, number in enumerate(batch.numbers):
            own = torch.from_numpy(self._layers[number])
            layers[row, : len(own)] = own  # what fills a row up runs none
        return TokenFlight(visit, batch.rows, ending_at, layers.to(batch.rows.device))


def check_leaves_tokens_out(backbone: LoadedBackbone) -> None:
    """Refuse a backbone whose layers have to work on all tokens.

    Parameters
    ----------
    backbone : LoadedBackbone

    Raises
    ------
    ValueError
        If its row in :mod:`skraee.backbone.families` sets no feed-forward part apart,
        if something mixes tokens between two layers, or if its configuration cuts the
        feed-forward part into chunks.
    """
    model, family = backbone.model, backbone.family
    if not family.feed_forward:
        reason = "its layers do not keep their feed-forward part apart"
    elif modules_between(model, family, family.stacks[0]):
        reason = "a convolution between its layers changes tokens that have stopped"
    elif getattr(model.config, "chunk_size_feed_forward", 0):
        reason = "its configuration sets chunk_size_feed_forward"
    else:
        return
    able = sorted(name for name, row in FAMILIES.items() if row.feed_forward)
    raise ValueError(
        f"tokens of this {model.config.model_type} backbone cannot stop one by one: "
        f"{reason}; choose another backbone (types that can: {', '.join(able)})."
    )


class TokenFlight(RunningRows):
    """One batch on its way, of which a token runs no more than its own layers.

    Parameters
    ----------
    visit : callable
    rows : Tensor of shape (n_rows,)
    ending_at : callable or None
        As in :class:`~skraee.engine.rows.RunningRows`.
    layers : Tensor of shape (n_rows, T), int
        Layers that each token runs.
    """

    def __init__(
        self, visit: Visit, rows: Tensor, ending_at: EndingAt | None, layers: Tensor
    ) -> None:
        super().__init__(visit, rows, self._needed)
        self._rows_ending_at = ending_at
        self._layers = layers
        self._before: Tensor | None = None

    def arrive(self, depth: int, hidden: Tensor) -> Tensor:
        """Give tokens that did not run their last state back; visit the depth."""
        if self._before is not None:
            runs = self._layers[self.rows] >= depth
            hidden = torch.where(runs[..., None], hidden, self._before)
        self._before = super().arrive(depth, hidden)
        return self._before

    def _needed(self, depth: int, rows: Tensor) -> Needed | None:
        """Say which tokens the layer before a depth has to compute."""
        if self._rows_ending_at is not None:
            ending = self._rows_ending_at(depth, rows)
            if ending is not None:
                return ending
        runs = self._layers[rows] >= depth
        at = runs.flatten().nonzero()[:, 0]
        return None if len(at) == runs.numel() else RunningTokens(at, len(rows))


@dataclass(frozen=True, eq=False)
class RunningTokens:
    """Tokens of a batch that have layers left.

    Attributes
    ----------
    at : Tensor of shape (N,)
        Their places in the batch, counted through its rows.
    n_rows : int
        Rows of the batch.
    """

    at: Tensor
    n_rows: int

    def pack(self, states: Tensor) -> Tensor:
        """Return the running tokens of states (n, T, H) as rows (N, H)."""
        return states.flatten(0, 1)[self.at.to(states.device)]

    def unpack(self, tokens: Tensor, width: int) -> Tensor:
        """Return rows (N, H) to their places (n, T, H); the rest is 0."""
        states = tokens.new_zeros(self.n_rows * width, tokens.shape[-1])
        states[self.at.to(tokens.device)] = tokens
        return states.view(self.n_rows, width, -1)
