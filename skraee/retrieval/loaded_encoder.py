"""A sentence encoder in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from skraee.retrieval.encoder_identity import EncoderIdentity
from skraee.retrieval.mean_pooled import MeanPooled
from skraee.retrieval.sentence_transformer import is_of_library, is_sentence_transformer

Encode = Callable[[list[str]], Any]


@dataclass(frozen=True)
class LoadedEncoder:
    """A sentence encoder in memory; shared, never changed.

    Attributes
    ----------
    encode : callable
        List of texts -> array (n, d).
    identity : EncoderIdentity
        What it is, as far as that can be told.
    """

    encode: Encode
    identity: EncoderIdentity

    @classmethod
    def of(cls, model: Any) -> Self:
        """Take an object with an ``encode`` method."""
        encode = model.encode
        if is_sentence_transformer(model):
            encode = partial(encode, show_progress_bar=False)
        is_known = isinstance(model, MeanPooled) or is_of_library(model)
        return cls(encode, EncoderIdentity.of(model, is_known=is_known))
