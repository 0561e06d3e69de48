"""Prompts of one template, and prompts that a tiny model is given without one."""

from __future__ import annotations

import numpy as np

from skraee.text.prompt import Prompt
from skraee.text.prompt_encoder import PromptEncoder
from skraee.text.template import Template
from tests.support.models import VOCAB

#: Tokens of three label words of the tiny models.
LABEL_IDS = [11, 7, 40]


def encoder(template, tokenizer, kind="masked", max_length=None, limit=None, **kwargs):
    return PromptEncoder(
        Template(template),
        tokenizer,
        kind=kind,
        max_length=max_length,
        position_limit=limit,
        **kwargs,
    )


def encode_one(template, tokenizer, *fields, **kwargs):
    [prompt] = encoder(template, tokenizer, **kwargs).encode([fields])
    return prompt


def prompts_for(kind: str, lengths: tuple[int, ...] = (9, 4, 14, 6, 9)) -> list[Prompt]:
    rng = np.random.default_rng(3)
    made = []
    for length in lengths:
        ids = tuple(int(i) for i in rng.integers(3, VOCAB, size=length))
        read = {"masked": length - 3, "causal": length - 1, "seq2seq": length - 2}
        made.append(Prompt(ids, read[kind], ((1, length - 2),)))
    return made
