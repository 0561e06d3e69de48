"""The encoder of an encoder-decoder cut at a depth of its own; what that would save.

`RAEEGenerator` runs the encoder whole: each depth of the decoder was made to read what
the last layer of the encoder says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.learnt_tokenizer import learnt_tokenizer
from benchmarks.lines import Line, Lines
from benchmarks.pages import table
from benchmarks.timing import timed
from skraee import Backbone, toy
from skraee.engine.decoding.cut_model import n_decoder_layers
from skraee.engine.decoding.decoder import Decoder, Way
from skraee.engine.decoding.ending import Ending
from skraee.engine.stacks import layers_of
from skraee.engine.views import view_of
from skraee.text.prompt import Prompt

NAMING = ("shape", "n_texts", "n_prompt", "n_new")

#: Name -> width, width within a layer, layers of either part and heads (Raffel et al.,
#: JMLR 2020).
SHAPES = {
    "T5-small": (512, 2048, 6, 8),
    "T5-base": (768, 3072, 12, 12),
}
N_ROUNDS = 3

# Tokens of an abstract of SciTLDR and of a summary, about.
N_PROMPT, N_NEW = 220, 32

HALVES = {
    "half_encoder": "half of the encoder's",
    "half_decoder": "half of the decoder's",
    "half_both": "half of both",
}

INTRODUCTION = """
### An encoder at a depth of its own

`python -m benchmarks.generation --encoder-times`

An encoder-decoder's exits are its decoder's; the encoder runs whole. What a depth of
its own would save at most, on random weights of two sizes of T5, float32, {thread}: the
time in which {n_new} tokens are written behind a prompt of {n_prompt} (the processor's,
all threads together), as a share of that with all layers. Whether a decoder can read an
encoder's earlier layers is a question of trained weights, which were not at hand:
`--backbone NAME` of a T5 adds a row for each depth of its encoder.
"""


def with_encoder_cut(backbone: Any, depth: int) -> Any:
    """Return a loaded encoder-decoder whose encoder ends at a depth.

    Its final norm follows, as it does behind the last layer.
    """
    family = backbone.family
    stack = family.stacks[0]
    layers = layers_of(backbone.model, family, stack)[:depth]
    cut = {f"{stack}.{family.layers}": nn.ModuleList(layers)}
    return replace(backbone, model=view_of(backbone.model, cut))


def n_encoder_layers(backbone: Any) -> int:
    """Return the layers of the encoder before a decoder; 0 where there is none."""
    family = backbone.family
    if family.kind != "seq2seq":
        return 0
    return len(layers_of(backbone.model, family, family.stacks[0]))


def measure_times(lines: Lines) -> None:
    """Measure each shape with one text, and with eight side by side."""
    for name in SHAPES:
        for n_texts in (1, 8):
            values = (name, n_texts, N_PROMPT, N_NEW)
            naming = dict(zip(NAMING, values, strict=True))
            lines.once(naming, partial(times_of, name, n_texts))


def times_of(name: str, n_texts: int) -> Line:
    """Return the processor's seconds with all layers, and shares of it with half."""
    backbone = shape_of(name)
    n_encoder, n_decoder = n_encoder_layers(backbone), n_decoder_layers(backbone)
    prompts = list(_prompts(n_texts))
    way = Way(Ending(N_NEW))

    def seconds(encoder: int, decoder: int) -> float:
        writer = Decoder(with_encoder_cut(backbone, encoder), 8192)
        depths = np.full(n_texts, decoder)
        return timed(lambda: writer.generate(prompts, depths, way))[1][1]

    ways = {
        "whole": (n_encoder, n_decoder),
        "half_encoder": (n_encoder // 2, n_decoder),
        "half_decoder": (n_encoder, n_decoder // 2),
        "half_both": (n_encoder // 2, n_decoder // 2),
    }
    seconds(*ways["whole"])  # what is made once
    rounds = [
        {name: seconds(*depths) for name, depths in ways.items()}
        for _ in range(N_ROUNDS)
    ]
    whole = median(one["whole"] for one in rounds)
    return {"seconds": round(whole, 3)} | {
        name: round(median(one[name] / one["whole"] for one in rounds), 3)
        for name in HALVES
    }


def shape_of(name: str) -> Any:
    """Return a loaded T5 of a shape, with random weights."""
    from transformers import T5Config, T5ForConditionalGeneration

    d_model, d_ff, n_layers, n_heads = SHAPES[name]
    config = T5Config(
        vocab_size=32128,
        d_model=d_model,
        d_ff=d_ff,
        num_layers=n_layers,
        num_heads=n_heads,
        decoder_start_token_id=0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = T5ForConditionalGeneration(config).eval()
    tokenizer = learnt_tokenizer(toy.reviews(200)[0])
    return Backbone(model, tokenizer).load("float32", "cpu")


def _prompts(n_texts: int) -> Iterator[Prompt]:
    draws = np.random.default_rng(0)
    for _ in range(n_texts):
        ids = tuple(draws.integers(10, 32_000, N_PROMPT).tolist())
        yield Prompt(ids, read=0, spans=((0, N_PROMPT),))


def section(lines: Iterable[Line]) -> str:
    """Return what the page says of it."""
    done = [line for line in lines if "failed" not in line]
    if not done:
        return ""
    rows = [
        [
            f"{line['shape']}, {line['n_texts']} text(s) at a time",
            f"{line['seconds']:.2f} s",
            *(f"{line[name]:.2f}" for name in HALVES),
        ]
        for line in done
    ]
    head = ["", "all layers", *HALVES.values()]
    threads = f"{done[0]['machine']['threads']} thread(s)"
    told = INTRODUCTION.format(thread=threads, n_new=N_NEW, n_prompt=N_PROMPT)
    return f"{told}\n{table(head, rows)}"
