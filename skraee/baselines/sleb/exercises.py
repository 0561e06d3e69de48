"""Calibration texts as exercises: what a model reads, and what it should say where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skraee.backbone.kinds import decoder_start
from skraee.backbone.loaded import LoadedBackbone
from skraee.text.prompt import Prompt
from skraee.text.prompt_encoder import PromptEncoder
from skraee.text.template import Template

# Share of a text's tokens that are hidden from a model that fills gaps in, and how many
# in a row of one that writes them out; as such models are trained.
_HIDDEN = 0.15
_SPAN = 3


@dataclass(frozen=True)
class Exercise:
    """One text and what the model should say.

    Attributes
    ----------
    prompt : Prompt
        What the model reads; of a T5 what its encoder reads.
    positions : tuple of n int
        Where tokens are predicted; of a T5 at its decoder's positions.
    targets : tuple of n int
        Which tokens are right there.
    decoder_ids : tuple of int, default=()
        What a T5's decoder reads.
    """

    prompt: Prompt
    positions: tuple[int, ...]
    targets: tuple[int, ...]
    decoder_ids: tuple[int, ...] = ()


def exercises_for(
    backbone: LoadedBackbone,
    texts: Sequence[str],
    random: np.random.RandomState,
    max_length: int | None = None,
) -> list[Exercise]:
    """Make exercises of plain texts; those that are too short are left out.

    A causal model predicts each next token. A masked model predicts 15 % of the tokens,
    which are masked: a pseudo-likelihood. A T5 writes out spans of tokens, 15 % of the
    whole and 3 on average, in whose places the text has the model's sentinels, or its
    unknown token where it has none.

    Parameters
    ----------
    backbone : LoadedBackbone
    texts : sequence of str
    random : RandomState
        Chooses what is hidden.
    max_length : int or None, default=None
        Longest text in tokens.

    Returns
    -------
    list of Exercise

    Raises
    ------
    ValueError
        If no text is long enough.
    """
    kind, tokenizer = backbone.family.kind, backbone.tokenizer
    encoder = PromptEncoder(
        Template("{text}"),
        tokenizer,
        kind=kind,
        max_length=max_length,
        position_limit=backbone.position_limit,
        needs_mask=False,
    )
    filled = [(text,) for text in texts if text.strip()]
    prompts = encoder.encode(filled, warn=False)
    exercises: list[Exercise] = []
    for prompt in prompts:
        if kind == "causal":
            exercises += _next_tokens(prompt)
        elif kind == "masked":
            exercises += _masked_tokens(prompt, random, tokenizer.mask_id)
        else:
            exercises += _missing_spans(prompt, random, backbone)
    if not exercises:
        raise ValueError(
            f"none of {len(texts)} calibration texts is long enough to measure the "
            "language-model loss on; give longer ones as calibration_texts, or a "
            "removal_order."
        )
    return exercises


def _next_tokens(prompt: Prompt) -> list[Exercise]:
    n = len(prompt.ids) - 1
    return [Exercise(prompt, tuple(range(n)), prompt.ids[1:])] if n else []


def _masked_tokens(
    prompt: Prompt, random: np.random.RandomState, mask_id: int | None
) -> list[Exercise]:
    if mask_id is None:
        raise ValueError(
            "the loss of a masked model needs a tokenizer with a mask token, and this "
            "one has none; give a removal_order."
        )
    ((start, stop),) = prompt.spans
    if start == stop:
        return []
    n_hidden = _n_hidden(stop - start)
    hidden = start + np.sort(random.permutation(stop - start)[:n_hidden])
    ids = np.array(prompt.ids)
    targets = ids[hidden]
    ids[hidden] = mask_id
    return [
        Exercise(
            _with_ids(prompt, ids.tolist()),
            tuple(hidden.tolist()),
            tuple(targets.tolist()),
        )
    ]


def _missing_spans(
    prompt: Prompt, random: np.random.RandomState, backbone: LoadedBackbone
) -> list[Exercise]:
    ((start, stop),) = prompt.spans
    if start == stop:
        return []
    n_hidden = _n_hidden(stop - start)
    n_shown = stop - start - n_hidden
    n_spans = max(1, min(round(n_hidden / _SPAN), n_shown))
    hidden = _cut(random, n_hidden, n_spans)
    # A token at least between two spans, any number at the ends.
    shown = _cut(random, n_shown + 2, n_spans + 1)
    shown[0] -= 1
    shown[-1] -= 1
    read, at = list(prompt.ids[:start]), start
    written: list[int] = []
    for span in range(n_spans):
        mark = _sentinel(backbone, span)
        read += [*prompt.ids[at : at + shown[span]], mark]
        at += shown[span]
        written += [mark, *prompt.ids[at : at + hidden[span]]]
        at += hidden[span]
    read += prompt.ids[at:]
    written += prompt.ids[stop:]  # what closes a text closes the answer
    first = decoder_start(backbone.model)
    return [
        Exercise(
            _with_ids(prompt, read),
            tuple(range(len(written))),
            tuple(written),
            (first, *written[:-1]),
        )
    ]


def _n_hidden(n_tokens: int) -> int:
    return max(1, round(_HIDDEN * n_tokens))


def _cut(random: np.random.RandomState, n: int, n_parts: int) -> list[int]:
    """Cut n things into parts of at least one."""
    ends = np.sort(random.permutation(n - 1)[: n_parts - 1]) + 1
    lengths: list[int] = np.diff(np.concatenate([[0], ends, [n]])).tolist()
    return lengths


def _sentinel(backbone: LoadedBackbone, number: int) -> int:
    """Return what stands for a span that was left out."""
    tokenizer = backbone.tokenizer
    ids = tokenizer.literal(f"<extra_id_{number}>", first=True)
    if len(ids) == 1:
        return ids[0]
    if tokenizer.unk_id is None:
        raise ValueError(
            "the loss of a T5 needs a tokenizer with sentinels (<extra_id_0>) or an "
            "unknown token, and this one has neither; give a removal_order."
        )
    return tokenizer.unk_id


def _with_ids(prompt: Prompt, ids: Sequence[int]) -> Prompt:
    return Prompt(tuple(ids), min(prompt.read, len(ids) - 1), ())
