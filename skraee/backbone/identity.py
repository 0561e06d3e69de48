"""What a backbone is, told in hashes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from skraee.backbone.fingerprint import fingerprint_of
from skraee.backbone.sentence_folder import SentenceSettings
from skraee.backbone.settings_hash import settings_hash_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from skraee.text.tokenizer import TextTokenizer


@dataclass(frozen=True)
class Identity:
    """What a backbone is.

    Attributes
    ----------
    weights : str
        Hash of them as loaded, so it depends on dtype.
    tokenizer : str
        Hash of it.
    settings : str or None
        Hash of configuration, modules and buffers, and how the states are pooled. It
        changes with the versions of the libraries; None where none can be compared
        with.
    """

    weights: str
    tokenizer: str
    settings: str | None = None

    @classmethod
    def of(
        cls,
        model: PreTrainedModel,
        tokenizer: TextTokenizer,
        sentence: SentenceSettings | None = None,
    ) -> Self:
        """Return what a model, its tokenizer and the use that a folder makes are."""
        return cls(
            fingerprint_of(model),
            tokenizer.fingerprint,
            settings_with_pooling(model, sentence),
        )

    def change_to(self, now: Identity) -> str | None:
        """Return what is another there; None where nothing that is known is."""
        if self.weights != now.weights:
            return "weights"
        if self.tokenizer != now.tokenizer:
            return "tokenizer's tokens and settings"
        if self.settings not in (None, now.settings):
            return "configuration and modules"
        return None

    def lasting(self) -> Self:
        """Return what other versions of the libraries, too, can be held to."""
        return replace(self, settings=None)


def settings_with_pooling(
    model: PreTrainedModel, sentence: SentenceSettings | None
) -> str:
    """Return the hash of a model's settings, and the pooling that a folder names."""
    pooling = () if sentence is None else sentence.pooling
    return " ".join([settings_hash_of(model), *pooling])
