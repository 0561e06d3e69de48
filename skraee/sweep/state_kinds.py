"""Which states of a text a readout may know: what its prompts and its backbone have."""

from __future__ import annotations

from collections.abc import Sequence

from skraee.backbone.loaded import LoadedBackbone
from skraee.engine.depth_states import POOLINGS, StateKind
from skraee.text.prompt_encoder import PromptEncoder


def kinds_of_states(
    prompts: PromptEncoder, backbone: LoadedBackbone
) -> tuple[StateKind, ...]:
    """Return what there is to know, the folder's own pooling last.

    Parameters
    ----------
    prompts : PromptEncoder
    backbone : LoadedBackbone
    """
    has = {"read": prompts.reads_a_position, "text": True}
    has["around"] = prompts.has_words_around
    kinds: tuple[StateKind, ...] = ("read", "text", "around")
    # A causal model's last token is the read position.
    own = [p for p in backbone.pooling if (p, prompts.kind) != ("last", "causal")]
    return (*(kind for kind in kinds if has[kind]), *own)


def n_on_trial(kinds: Sequence[StateKind]) -> int:
    """Return how many of the last kinds a readout leaves out unless they gain.

    That is a folder's own pooling: much of what it says the others say, too.

    Parameters
    ----------
    kinds : sequence of StateKind
    """
    return sum(kind in POOLINGS for kind in kinds)
