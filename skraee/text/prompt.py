"""A prompt: token ids, the position that is read, and where its fields are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class Prompt:
    """A filled template, as a model reads it.

    Parameters
    ----------
    ids : tuple of int
        Token ids with all special tokens.
    read : int
        Index in `ids` of the position whose state is decoded.
    spans : tuple of (int, int)
        For every field the half-open range of its own tokens in `ids`.
    is_cut : bool, default=False
        Whether the text was too long and lost its end.
    n_prefix : int, default=0
        How many of its first tokens stand before all fields: those that every
        prompt of the template begins with.
    further : tuple of Prompt, default=()
        The other windows of a text that is read in several, this being its first.
    """

    ids: tuple[int, ...]
    read: int
    spans: tuple[tuple[int, int], ...]
    is_cut: bool = False
    n_prefix: int = 0
    further: tuple[Prompt, ...] = ()

    @property
    def windows(self) -> tuple[Prompt, ...]:
        """All prompts of the text, as long as this one and read like it."""
        return (self, *self.further)

    def without_first(self, n: int) -> Self:
        """Return what is left of the prompt behind its first tokens.

        Parameters
        ----------
        n : int
            At most `n_prefix`, and at most `read`.
        """
        return replace(
            self,
            ids=self.ids[n:],
            read=self.read - n,
            spans=tuple((start - n, stop - n) for start, stop in self.spans),
            n_prefix=self.n_prefix - n,
            further=tuple(window.without_first(n) for window in self.further),
        )


def common_prefix(prompts: Sequence[Prompt]) -> tuple[int, ...]:
    """Return the tokens that all prompts begin with because their template does.

    No prompt is read there: where a text is empty and ends its prompt, the last of
    these tokens are left out.

    Parameters
    ----------
    prompts : sequence of n Prompt

    Returns
    -------
    tuple of int
        Empty where the prompts are of several templates.
    """
    n = min((min(prompt.n_prefix, prompt.read) for prompt in prompts), default=0)
    if n == 0:
        return ()
    prefix = prompts[0].ids[:n]
    return prefix if all(prompt.ids[:n] == prefix for prompt in prompts) else ()
