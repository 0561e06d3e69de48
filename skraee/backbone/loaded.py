"""A model in memory, and what others derive from it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

import torch

from skraee.backbone.ambient import own_torch_state
from skraee.backbone.embeddings import (
    n_positions,
    n_token_ids,
    refuse_tokens_without_embedding,
)
from skraee.backbone.families import Family
from skraee.backbone.fingerprint import config_hash_of, fingerprint_of
from skraee.backbone.identity import Identity, settings_with_pooling
from skraee.backbone.precision import name_of
from skraee.backbone.quantized import is_quantized
from skraee.backbone.sentence_folder import Pooling, SentenceSettings
from skraee.backbone.sight import as_it_sees
from skraee.text.tokenizer import TextTokenizer
from skraee.threads.kept_property import kept_property

if TYPE_CHECKING:
    from transformers import PreTrainedModel

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class LoadedBackbone:
    """A model in memory, ready to run; shared, never changed.

    Attributes
    ----------
    model : PreTrainedModel
        With its language-model head where it has one, in evaluation mode.
    tokenizer : TextTokenizer
    family : Family
    dtype : torch.dtype
    device : torch.device
    fingerprint : str
        Of the weights as loaded, so it depends on dtype.
    settings_hash : str
        Of configuration, modules and buffers, with the pooling.
    sentence : SentenceSettings or None
        How a sentence-transformers folder uses the model; None of any other.
    """

    model: PreTrainedModel
    tokenizer: TextTokenizer
    family: Family
    dtype: torch.dtype
    device: torch.device
    fingerprint: str
    settings_hash: str = ""
    sentence: SentenceSettings | None = None
    _derived: dict[Hashable, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        model: PreTrainedModel,
        tokenizer: TextTokenizer,
        family: Family,
        sentence: SentenceSettings | None = None,
    ) -> Self:
        """Take a model that has its dtype and its device, and its tokenizer.

        Raises
        ------
        ValueError
            If the tokenizer makes ids that the model has no embedding for.
        """
        refuse_tokens_without_embedding(model, tokenizer)
        return cls(
            model=model,
            tokenizer=tokenizer,
            family=as_it_sees(model, family, tokenizer),
            dtype=model.dtype,
            device=model.device,
            fingerprint=fingerprint_of(model),
            settings_hash=settings_with_pooling(model, sentence),
            sentence=sentence,
        )

    def derived(self, name: Hashable, make: Callable[[], T]) -> T:
        """Return what was made of this backbone under a name; make it the first time.

        Parameters
        ----------
        name : hashable
        make : callable
            Of two threads that make it at once the last one wins; both are right.
        """
        if name not in self._derived:
            self._derived[name] = make()
        made: T = self._derived[name]
        return made

    @kept_property
    @own_torch_state()
    def in_float32(self) -> LoadedBackbone:
        """The same model in float32, for the rare text that overflows its dtype.

        Raises
        ------
        ValueError
            If its weights are quantised.
        """
        if is_quantized(self.model):
            raise ValueError(
                f"a text overflows {name_of(self.dtype)}, and a quantised model cannot "
                "be run in float32 instead; give the checkpoint as it was before."
            )
        model = in_dtype(deepcopy(self.model), torch.float32)
        return replace(self, model=model, dtype=torch.float32, _derived={})

    @property
    def identity(self) -> Identity:
        """What tells it from any other."""
        return Identity(
            self.fingerprint, self.tokenizer.fingerprint, self.settings_hash
        )

    @kept_property
    def config_hash(self) -> str:
        """SHA-256 of the configuration, in hexadecimal."""
        return config_hash_of(self.model)

    @property
    def n_token_ids(self) -> int:
        """Number of token ids that the model has an embedding for."""
        return n_token_ids(self.model)

    @kept_property
    def position_limit(self) -> int | None:
        """Number of tokens that the model has positions for."""
        limits = [self.family.positions(self.model.config), n_positions(self.model)]
        return min((limit for limit in limits if limit is not None), default=None)

    @property
    def usual_length(self) -> int | None:
        """Number of tokens that a sentence encoder was trained to read; None of others.

        It has positions for more in many cases, which a `max_length` may use.
        """
        trained = None if self.sentence is None else self.sentence.max_seq_length
        if trained is None or self.position_limit is None:
            return trained
        return min(trained, self.position_limit)

    @property
    def pooling(self) -> tuple[Pooling, ...]:
        """What a sentence encoder's embedding is pooled of; empty of others."""
        return () if self.sentence is None else self.sentence.pooling

    @property
    def has_head(self) -> bool:
        """Whether the checkpoint has a language-model head."""
        return self.model.get_output_embeddings() is not None


def in_dtype(model: PreTrainedModel, dtype: torch.dtype) -> PreTrainedModel:
    """Bring a model's weights to a dtype, where they are.

    Parameters
    ----------
    model : PreTrainedModel
        Changed in place.
    dtype : torch.dtype
    """
    # Not .to(dtype), which would round the rotary frequencies, float32 in any model.
    for weight in model.parameters():
        # What a quantised weight computes in was decided when it was read.
        is_plain = not hasattr(weight, "__tensor_flatten__")
        if is_plain and weight.is_floating_point():
            weight.data = weight.data.to(dtype)
    return model
