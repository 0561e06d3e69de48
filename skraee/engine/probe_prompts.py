"""Prompts to look at a backbone with, of ordinary tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from skraee.engine.rotation import rotations_of, sides_of
from skraee.text.prompt import Prompt

if TYPE_CHECKING:
    from skraee.backbone.loaded import LoadedBackbone

# Tokens of the prompts: several lengths, so that there is padding.
_LENGTHS = (40, 10, 7, 5, 3)
# So many of them are the same in all, as the words before a template's text.
_N_SHARED = 2


def probes_for(backbone: LoadedBackbone) -> list[Prompt]:
    """Return prompts of ordinary tokens, without the tokenizer's marks."""
    marks = backbone.tokenizer.control_ids | {
        getattr(backbone.model.config, "pad_token_id", None)
    }
    apart = [mark for mark in marks if mark is not None]
    plain = np.setdiff1d(np.arange(backbone.n_token_ids), apart)
    rng = np.random.default_rng(0)
    ids = [rng.choice(plain, size=length) for length in _lengths(backbone)]
    return [_probe((*ids[0][:_N_SHARED], *own[_N_SHARED:])) for own in ids]


def _lengths(backbone: LoadedBackbone) -> list[int]:
    """Return the probes' lengths: such that they may share a batch."""
    longest = min(backbone.position_limit or max(_LENGTHS), max(_LENGTHS))
    lengths = [min(length, longest) for length in _LENGTHS]
    sides = sides_of(rotations_of(backbone.model, backbone.family), lengths)
    if sides is None:
        return lengths
    pairs = zip(lengths, sides, strict=True)
    return [length for length, side in pairs if side == sides[-1]]


def _probe(ids: Sequence[np.int64]) -> Prompt:
    n_prefix = min(_N_SHARED, len(ids) - 1)
    spans = ((n_prefix, len(ids)),)
    return Prompt(tuple(map(int, ids)), len(ids) - 1, spans, n_prefix=n_prefix)
