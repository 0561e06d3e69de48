"""Prompts to generated tokens, each at its depth: texts of like depth and length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from skraee.backbone.ambient import own_torch_state
from skraee.engine.batching import (
    BatchTokens,
    Cutter,
    OnProgress,
    check_batch_tokens,
    run_batches,
)
from skraee.engine.decoding.agreement import believed_to_decode
from skraee.engine.decoding.choice import Sampling
from skraee.engine.decoding.cut_model import CutModel, begin_rows, n_decoder_layers
from skraee.engine.decoding.drafting import decode_verified
from skraee.engine.decoding.ending import Ending
from skraee.engine.decoding.loop import Generated, decode
from skraee.engine.repair import refuse_rows
from skraee.engine.rotation import rotations_of, sides_of
from skraee.text.prompt import Prompt

if TYPE_CHECKING:
    from skraee.backbone.loaded import LoadedBackbone

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Way:
    """How texts are generated.

    Attributes
    ----------
    ending : Ending
    sampling : Sampling
        Greedy by default.
    n_draft : int
        Tokens that a text's depth drafts and the full depth verifies; 0 stops at the
        depth.
    """

    ending: Ending
    sampling: Sampling = field(default_factory=Sampling)
    n_draft: int = 0


class Decoder:
    """A loaded backbone that generates.

    Where numbers do not fit the backbone's dtype, a text is generated again in float32.

    Parameters
    ----------
    backbone : LoadedBackbone
        Shared; never changed.
    batch_tokens : int or "auto", default="auto"
        Padded tokens per batch, those that may come included.

    Raises
    ------
    ValueError
        If it is no model that generates text.
    BackboneMismatchError
        If it does not go on as it would without a cache.
    """

    def __init__(
        self, backbone: LoadedBackbone, batch_tokens: BatchTokens = "auto"
    ) -> None:
        self.backbone = believed_to_decode(backbone)
        self._batch_tokens = check_batch_tokens(batch_tokens, backbone.device)

    @property
    def n_layers(self) -> int:
        """Number of layers m that generate; depths are 0..m."""
        return n_decoder_layers(self.backbone)

    def generate(
        self,
        prompts: Sequence[Prompt],
        depths: IntArray,
        way: Way,
        seeds: Sequence[int] | None = None,
        on_progress: OnProgress | None = None,
    ) -> list[Generated]:
        """Generate behind each prompt.

        Parameters
        ----------
        prompts : sequence of n Prompt
            In any order; those of like depth and length run together.
        depths : ndarray of shape (n,), int
            Where each stops, or drafts.
        way : Way
        seeds : sequence of n int, optional
            Of what is drawn for each; 0 by default.
        on_progress : callable, optional
            Told how many more texts are done.

        Returns
        -------
        list of Generated
        """
        seeds = [0] * len(prompts) if seeds is None else list(seeds)
        found = [Generated() for _ in prompts]

        def run(backbone: LoadedBackbone, numbers: IntArray) -> None:
            told = on_progress if backbone is self.backbone else None
            for depth in np.unique(depths[numbers]).tolist():
                of_depth = numbers[depths[numbers] == depth]
                batches = _OfOneDepth(backbone, prompts, depth, way, seeds, found)
                batches.run(of_depth, self._batch_tokens, told)

        run(self.backbone, np.arange(len(prompts)))
        bad = np.array([i for i, one in enumerate(found) if not one.is_finite], int)
        if len(bad) and self.backbone.dtype != torch.float32:
            run(self.backbone.in_float32, bad)
            bad = np.array([i for i in bad if not found[i].is_finite], int)
        refuse_rows(bad)
        return found


@dataclass(frozen=True)
class _OfOneDepth:
    """Texts that stop, or draft, at one depth."""

    backbone: LoadedBackbone
    prompts: Sequence[Prompt]
    depth: int
    way: Way
    seeds: Sequence[int]
    found: list[Generated]

    def run(
        self, numbers: IntArray, batch_tokens: int, on_progress: OnProgress | None
    ) -> None:
        """Generate the texts of these numbers, and keep what that finds."""

        @own_torch_state()
        def run_texts(texts: IntArray) -> None:
            chosen = numbers[texts]
            generated = self._batch(chosen)
            for number, one in zip(chosen.tolist(), generated, strict=True):
                self.found[number] = one

        whole = [
            len(self.prompts[number].ids) + self.way.ending.max_new_tokens
            for number in numbers
        ]
        rotations = rotations_of(self.backbone.model, self.backbone.family)
        # Beside others an encoder-decoder's drafts would need positions of their own.
        is_alone = self.way.n_draft and self.backbone.family.kind == "seq2seq"
        sides = list(range(len(whole))) if is_alone else sides_of(rotations, whole)
        run_batches(Cutter(whole, sides=sides), batch_tokens, run_texts, on_progress)

    def _batch(self, numbers: IntArray) -> list[Generated]:
        ids = [self.prompts[number].ids for number in numbers]
        model, n_draft = CutModel(self.backbone, self.depth), self.way.n_draft
        last = n_decoder_layers(self.backbone)
        if n_draft and self.depth < last:
            whole = CutModel(self.backbone, last)
            rows = begin_rows(self.backbone, ids, last)
            return decode_verified(model, whole, rows, n_draft, self.way.ending)
        seeds = [self.seeds[number] for number in numbers]
        choice = self.way.sampling.begin(seeds, self.backbone.device)
        rows = begin_rows(self.backbone, ids, self.depth)
        return decode(model, rows, choice, self.way.ending)
