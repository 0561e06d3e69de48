"""When a text ends: at an end token, at a stop string, or at its longest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skraee.backbone.loaded import LoadedBackbone


@dataclass(frozen=True)
class Ending:
    """What ends a generated text.

    Attributes
    ----------
    max_new_tokens : int
        The most tokens of a text, its end token included.
    end_ids : frozenset of int
        Tokens that end it.
    stops : tuple of str
        Strings that end it where they appear.
    text_of : callable or None
        Tokens -> text, where there are stops.
    """

    max_new_tokens: int
    end_ids: frozenset[int] = frozenset()
    stops: tuple[str, ...] = ()
    text_of: Callable[[Sequence[int]], str] | None = None

    def has_come(self, tokens: Sequence[int]) -> bool:
        """Whether these are all tokens of a text."""
        if len(tokens) >= self.max_new_tokens or tokens[-1] in self.end_ids:
            return True
        if not self.stops or self.text_of is None:
            return False
        text = self.text_of(tokens)
        return any(stop in text for stop in self.stops)


def end_ids_of(backbone: LoadedBackbone) -> frozenset[int]:
    """Return the tokens with which a backbone ends a text.

    Parameters
    ----------
    backbone : LoadedBackbone
        What its configuration of generation says counts, as in the library, and the
        model's own only without.
    """
    model = backbone.model
    for config in (getattr(model, "generation_config", None), model.config):
        found: Any = getattr(config, "eos_token_id", None)
        if found is not None:
            ids = found if isinstance(found, list | tuple) else [found]
            return frozenset(int(token) for token in ids)
    return frozenset()
