"""Where a backbone's model, tokenizer and family come from."""

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

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    Parts = tuple[PreTrainedModel, PreTrainedTokenizerFast, Family]


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
        return tiny.read(name, dtype)
    path = Path(name)
    if path.is_file() and path.suffix.lower() == ".gguf":
        path = gguf.unpacked(path)
    elif not path.is_dir():
        path = hub.snapshot(name, revision, local_files_only=local_files_only)
    return loading.read_folder(path, dtype)


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
    return model, tokenizer, family_in(model, kind)
