"""The rows: what writes the summaries of the test texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data import backbone_folder
from benchmarks.generation.calm import Confident
from benchmarks.generation.fixed import Writer
from benchmarks.generation.scitldr import Summaries, lead
from benchmarks.timing import timed
from skraee import RAEEGenerator


@dataclass
class Written:
    """Summaries, and how they came about.

    Attributes
    ----------
    texts : list of str
    seconds : tuple of float
        Of writing them, key and search included: those of the clock, and those that
        the processor worked for it, which other processes on the machine leave alone.
    n_tokens : int
        Of all of them together; 0 where nothing was generated.
    facts : dict
        What else there is to say.
    """

    texts: list[str]
    seconds: tuple[float, float] = (0.0, 0.0)
    n_tokens: int = 0
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class Case:
    """A backbone, the texts that are fitted and those that are summed up."""

    backbone: str
    encoder: str
    fit: Summaries
    test: Summaries
    settings: dict[str, Any]
    store: Path | None
    seed: int = 0

    @property
    def folder(self) -> str:
        return str(backbone_folder(self.backbone))

    @cached_property
    def writer(self) -> Writer:
        return Writer.of(self.folder, self.settings)

    def generator(self, **settings: Any) -> RAEEGenerator:
        return RAEEGenerator(
            self.folder,
            encoder=str(backbone_folder(self.encoder)),
            memory=None if self.store is None else self.store / self.backbone,
            random_state=self.seed,
            **{**self.settings, **settings},
        )


Method = Callable[[Case], Written]


def leading(n_sentences: int) -> Method:
    """Return the first sentences of each text; no model runs."""
    return lambda case: Written([lead(text, n_sentences) for text in case.test[0]])


def at_depth(depth: int | None) -> Method:
    """Write every text at one depth, or at the last."""

    def write(case: Case) -> Written:
        writer = case.writer
        chosen = writer.n_layers if depth is None else depth
        made, seconds = timed(lambda: writer.write(case.test[0], chosen))
        texts = [writer.text(one.tokens) for one in made]
        n_tokens = sum(len(one.tokens) for one in made)
        return Written(texts, seconds, n_tokens, {"mean_depth": float(chosen)})

    return write


def at_encoder_depth(depth: int) -> Method:
    """Write every text with all layers of the decoder and so many of the encoder."""

    def write(case: Case) -> Written:
        cut = replace(case.writer, encoder_depth=depth)
        texts = case.test[0]
        made, seconds = timed(lambda: cut.write(texts, cut.n_layers))
        n_tokens = sum(len(one.tokens) for one in made)
        facts = {"mean_depth": float(cut.n_layers), "encoder_depth": depth}
        return Written([cut.text(one.tokens) for one in made], seconds, n_tokens, facts)

    return write


def confident(threshold: float) -> Method:
    """Let each token leave where it is sure: CALM."""

    def write(case: Case) -> Written:
        writer = case.writer
        model = Confident(writer, threshold)
        prompts = writer.prompts(case.test[0])
        made, seconds = timed(lambda: [model.write(prompt.ids) for prompt in prompts])
        texts = [writer.text(tokens) for tokens, _ in made]
        depths = np.concatenate([depths for _, depths in made])
        return Written(
            texts, seconds, len(depths), {"mean_depth": float(depths.mean())}
        )

    return write


def retrieved(**settings: Any) -> Method:
    """Write at the depths that neighbours choose: RAEE."""

    def write(case: Case) -> Written:
        gen = case.generator(**settings).fit(*case.fit)
        gen.generate(case.test[0][:1])  # what is made once for all texts
        made, seconds = timed(lambda: gen.generate(case.test[0]))
        facts = {"mean_depth": float(made.exit_layers.mean())}
        if settings.get("speculative"):
            if made.n_drafted.any():  # else all texts run the full depth
                facts["accepted_share"] = round(made.accepted_share, 3)
            facts["passes_per_token"] = float(made.n_passes.sum() / made.n_tokens.sum())
        return Written(made.texts.tolist(), seconds, int(made.n_tokens.sum()), facts)

    return write


#: Rows that do not hang on the texts of fit, but "depth", of which there are many.
FIXED: dict[str, Method] = {
    "lead-1": leading(1),
    "lead-2": leading(2),
    "full": at_depth(None),
    **{f"calm-{value}": confident(value) for value in (0.3, 0.6, 0.9)},
}
#: Rows that do.
FITTED: dict[str, Method] = {
    "raee": retrieved(),
    "raee-tau": retrieved(tau=0.3),
    "raee-wide": retrieved(margin=0.2),
    "raee-budget": retrieved(budget=0.7),
    "raee-speculative": retrieved(budget=0.5, speculative=True),
}
TITLES = {
    "lead-1": "first sentence",
    "lead-2": "first two sentences",
    "full": "full depth",
    "raee": "RAEE, margin 0.05",
    "raee-tau": "RAEE, margin 0.05, tau 0.3",
    "raee-wide": "RAEE, margin 0.2",
    "raee-budget": "RAEE, budget 0.7",
    "raee-speculative": "RAEE drafts (budget 0.5), full depth verifies",
}


def title_of(method: str) -> str:
    """Return what the table calls a row."""
    name, _, value = method.rpartition("-")
    kinds = {
        "calm": "CALM by token, threshold",
        "depth": "depth",
        "encoder": "full depth, encoder to depth",
    }
    if called := kinds.get(name):
        return f"{called} {value}"
    return TITLES[method]
