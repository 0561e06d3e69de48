"""How an estimator reads texts: what its pickle needs to read them so again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from skraee.backbone.handle import Backbone
from skraee.backbone.loaded import LoadedBackbone
from skraee.backbone.precision import Device, name_of
from skraee.engine import agreement
from skraee.engine.depth_states import StateKind
from skraee.retrieval.encoder import Encoder
from skraee.retrieval.keys import is_depth
from skraee.sweep.provenance import Provenance
from skraee.text.long_texts import LongTexts
from skraee.text.prompt_encoder import PromptEncoder
from skraee.text.template import Template


@dataclass(frozen=True)
class SweepSettings:
    """How an estimator reads texts.

    Attributes
    ----------
    backbone : Backbone
    template : Template
    max_length : int or None
        Once the backbone has been loaded that of its folder, where none was given.
    dtype : str
        "auto" until the backbone has been loaded once.
    encoder : object
        None for depth-0 keys, an int for those of a depth, or an encoder.
    provenance : Provenance or None
        Of an estimator that comes from a file: what the backbone must be.
    by_states : bool
        Whether classes are read from the states of every depth; else from the label
        words' logits.
    by_keys : bool
        Whether texts have keys.
    state_kinds : tuple of {"read", "text", "around"}, or None
        Which states are read of a depth; None for all that the prompts have.
    long_texts : {"cut", "head_tail", "mean"}
        What is done with texts beyond max_length and the model's positions.
    """

    backbone: Backbone
    template: Template
    max_length: int | None = None
    dtype: str = "auto"
    encoder: Any = None
    provenance: Provenance | None = None
    by_states: bool = False
    by_keys: bool = True
    state_kinds: tuple[StateKind, ...] | None = None
    long_texts: LongTexts = "cut"

    @property
    def key_depth(self) -> int | None:
        """The depth of the backbone that makes the keys, if one does."""
        if self.by_keys and is_depth(self.encoder):
            return int(self.encoder)
        return None

    def load(self, device: Device) -> LoadedBackbone:
        """Load the backbone, once per process, and hold it to its provenance."""
        if self.provenance is None:
            return agreement.believed(self.backbone.load(self.dtype, device))
        return agreement.believed(
            self.provenance.load(self.backbone, self.dtype, device)
        )

    def prompt_encoder(self, backbone: LoadedBackbone) -> PromptEncoder:
        """Return what makes prompts for a backbone that the template fits."""
        return PromptEncoder(
            self.template,
            backbone.tokenizer,
            kind=backbone.family.kind,
            max_length=self._longest_prompt(backbone),
            position_limit=backbone.position_limit,
            needs_mask=not self.by_states,
            reads_end=self.by_states and "last" in backbone.pooling,
            long_texts=self.long_texts,
        )

    def pinned(self, backbone: LoadedBackbone, encoder: Any) -> SweepSettings:
        """Return the settings of just this backbone, in its dtype, and this encoder."""
        if self.by_keys and isinstance(encoder, Encoder):
            encoder = encoder.pinned()
        return replace(
            self,
            backbone=self.backbone.pinned_to(backbone),
            dtype=name_of(backbone.dtype),
            max_length=self._longest_prompt(backbone),
            encoder=encoder,
        )

    def _longest_prompt(self, backbone: LoadedBackbone) -> int | None:
        """Return the user's limit, else what a sentence encoder's folder says."""
        if self.max_length is not None:
            return self.max_length
        return backbone.usual_length
