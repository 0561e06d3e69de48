"""Where a backbone's model, tokenizer and family come from, and its pooling."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from skraee.backbone import gguf, hub, loading, tiny
from skraee.backbone.discovery import family_in
from skraee.backbone.families import Family
from skraee.backbone.kinds import kind_of
from skraee.backbone.output_flags import without_output_flags
from skraee.backbone.precision import refuse_overflow
from skraee.backbone.sentence_folder import (
    SentenceSettings,
    sentence_settings,
    transformer_folder,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    Parts = tuple[
        PreTrainedModel, PreTrainedTokenizerFast, Family, SentenceSettings | None
    ]


def read_named(
    name: str, revision: str | None, dtype: torch.dtype, *, local_files_only: bool
) -> Parts:
    """Read what a name leads to: a toy, a ``.gguf`` file, a folder, or the hub.

    Parameters
    ----------
    name : str
        A path is absolute.
    revision : str or None
        On the hub.
    dtype : torch.dtype
        What the weights become.
    local_files_only : bool
        Do not ask the hub, use what its cache has.
    """
    if tiny.is_tiny(name):
        return (*tiny.read(name, dtype), None)
    path = Path(name)
    if path.is_file() and path.suffix.lower() == ".gguf":
        path = gguf.unpacked(path)
    elif not path.is_dir():
        path = hub.snapshot(name, revision, local_files_only=local_files_only)
    sentence = sentence_settings(path)
    model, tokenizer, family = loading.read_folder(transformer_folder(path), dtype)
    if sentence is not None and sentence.lower_case:
        lower_letters(tokenizer)
    return model, tokenizer, family, sentence


def lower_letters(tokenizer: PreTrainedTokenizerFast) -> None:
    """Make a tokenizer lower all letters of a text before anything else.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
        Changed in place. Special tokens are found before it, as they are written.
    """
    from tokenizers import normalizers

    rust = tokenizer.backend_tokenizer
    steps = [normalizers.Lowercase(), *([rust.normalizer] if rust.normalizer else [])]
    rust.normalizer = normalizers.Sequence(steps)


def take_objects(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, dtype: torch.dtype
) -> Parts:
    """Take a user's model as it is, but for what its configuration says of outputs.

    Parameters
    ----------
    model : PreTrainedModel
    tokenizer : PreTrainedTokenizerFast
    dtype : torch.dtype
        What the weights of a copy will become.
    """
    kind = kind_of(model)
    refuse_overflow(model.config.model_type, dtype)
    model = without_output_flags(model)
    # What was read from a folder is used as the folder says.
    name = getattr(model, "name_or_path", "")
    sentence = sentence_settings(Path(name)) if name else None
    return model, tokenizer, family_in(model, kind), sentence
