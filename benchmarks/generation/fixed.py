"""One depth for all texts, the full one among them: below the public names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from benchmarks.generation.encoder_depth import with_encoder_cut
from skraee import Backbone, Template
from skraee.engine.decoding.decoder import Decoder, Way
from skraee.engine.decoding.ending import Ending, end_ids_of
from skraee.engine.decoding.loop import Generated
from skraee.generation.opening import open_to_generate
from skraee.sweep.settings import SweepSettings
from skraee.sweep.sweeper import Sweeper, open_sweeper
from skraee.text.prompt import Prompt


@dataclass(frozen=True)
class Writer:
    """A backbone in memory with the prompts that the generator would give it.

    Attributes
    ----------
    sweeper : Sweeper
    ending : Ending
    batch_tokens : int or "auto"
    encoder_depth : int or None
        Where an encoder before the decoder ends; None: behind its last layer.
    """

    sweeper: Sweeper
    ending: Ending
    batch_tokens: Any
    encoder_depth: int | None = None

    @classmethod
    def of(cls, folder: str, settings: dict[str, Any]) -> Self:
        """Open a backbone as `RAEEGenerator` of these parameters does."""
        device, batch_tokens = settings["device"], settings["batch_tokens"]

        def opened(how: SweepSettings) -> Sweeper:
            return open_sweeper(how, device, batch_tokens)

        how = SweepSettings(
            Backbone(folder),
            Template(settings["template"]),
            settings["max_length"],
            settings["dtype"],
            by_keys=False,
        )
        n_new = settings["max_new_tokens"]
        sweeper = open_to_generate(how, n_new, opened)
        backbone = sweeper.backbone
        ends = end_ids_of(backbone)
        ending = Ending(n_new, ends, (settings["stop"],), backbone.tokenizer.text)
        return cls(sweeper, ending, batch_tokens)

    @property
    def backbone(self) -> Any:
        whole = self.sweeper.backbone
        if self.encoder_depth is None:
            return whole
        return with_encoder_cut(whole, self.encoder_depth)

    @property
    def n_layers(self) -> int:
        return Decoder(self.sweeper.backbone).n_layers

    def prompts(self, texts: list[str]) -> list[Prompt]:
        return self.sweeper.prompts.encode([(text,) for text in texts], warn=False)

    def write(self, texts: list[str], depth: int) -> list[Generated]:
        """Generate all texts at a depth."""
        decoder = Decoder(self.backbone, self.batch_tokens)
        depths = np.full(len(texts), depth)
        return decoder.generate(self.prompts(texts), depths, Way(self.ending))

    def text(self, tokens: list[int]) -> str:
        text = self.sweeper.backbone.tokenizer.text(tokens)
        return text.partition(self.ending.stops[0])[0].strip()
