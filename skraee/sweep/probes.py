"""What a backbone answers to a few sentences, by which a change of it is noticed."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from skraee.backbone.loaded import LoadedBackbone
from skraee.engine.depth_states import StateKind
from skraee.engine.engine import Engine
from skraee.engine.head import label_head
from skraee.engine.states import States
from skraee.sweep.chunks import Sample
from skraee.sweep.layer_sweep import Float32Array, softmax
from skraee.text.prompt_encoder import PromptEncoder
from skraee.text.token_bags import TokenBags

# Any text will do, as long as each file keeps its own.
_SENTENCES = (
    "the film was good and the story is quite clever",
    "the waiter was cold, and so was the meal",
    "It opened on 3 May; nobody came.",
    "not so bad, but I would not read it again!",
)


class Probed(Protocol):
    """A backbone in memory and what it is asked with."""

    @property
    def backbone(self) -> LoadedBackbone:
        """The model."""

    @property
    def prompts(self) -> PromptEncoder:
        """The template, filled."""

    @property
    def state_kinds(self) -> tuple[StateKind, ...]:
        """What a readout knows of a text at each depth."""


class DepthReadout(Protocol):
    """What reads classes from the states of every depth."""

    def scores(
        self, states: States, bags: TokenBags | None = None
    ) -> npt.NDArray[np.float32]:
        """Return the scores (n, m + 1, C) of states (n, m + 1, P, H) and bags."""


def probe_samples(n_fields: int) -> tuple[Sample, ...]:
    """Return the probe sentences, other ones in each field of a template."""
    n = len(_SENTENCES)
    return tuple(
        tuple(_SENTENCES[(i + j) % n] for j in range(n_fields)) for i in range(n)
    )


def answers(
    probed: Probed,
    samples: tuple[Sample, ...],
    token_ids: tuple[int, ...],
    readout: DepthReadout | None,
) -> Float32Array:
    """Return the probabilities (n, m + 1, C) of samples, whatever is known of them.

    Parameters
    ----------
    probed : Probed
    samples : tuple of n tuples of str
    token_ids : tuple of C int
        Tokens of the label words.
    readout : DepthReadout or None
        What reads the classes in their place.
    """
    # An engine of its own: it is not the user's texts that take this time.
    engine = Engine(probed.backbone)
    prompts = probed.prompts.encode(samples, warn=False)
    if readout is None:
        head = label_head(probed.backbone, token_ids)
        return softmax(engine.sweep(prompts, head).logits)
    states = engine.sweep(prompts, None, states=probed.state_kinds).states
    assert states is not None
    return softmax(readout.scores(states, TokenBags.of(prompts)))
