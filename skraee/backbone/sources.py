"""Where a backbone's model, tokenizer and family come from, and its pooling."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from skraee.backbone import gguf, hub, loading, tiny
from skraee.backbone.adapter import base_of, is_adapter, require_peft
from skraee.backbone.discovery import family_in
from skraee.backbone.families import Family
from skraee.backbone.inside import refuse_links_outside
from skraee.backbone.kinds import kind_of
from skraee.backbone.output_flags import without_output_flags
from skraee.backbone.precision import refuse_overflow
from skraee.backbone.sentence_folder import (
    SentenceSettings,
    sentence_settings,
    transformer_folder,
)
from skraee.backbone.task_head import (
    has_task_head,
    warn_of_head,
    warn_of_task_head,
)
from skraee.text.tokenizer import TextTokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    Parts = tuple[PreTrainedModel, TextTokenizer, Family, SentenceSettings | None]


def read_named(
    name: str,
    revision: str | None,
    dtype: torch.dtype,
    device: torch.device,
    *,
    local_files_only: bool,
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
    device : torch.device
        Where it will run. Only quantised weights are read to it.
    local_files_only : bool
        Do not ask the hub, use what its cache has.

    Warns
    -----
    UserWarning
        If it was saved with a head for a task, which is left aside.
    """
    if tiny.is_tiny(name):
        model, tokenizer, family = tiny.read(name, dtype)
        return model, TextTokenizer.from_hf(tokenizer), family, None
    path = base = _folder_of(name, revision, local_files_only)
    adapter = None
    if is_adapter(folder := transformer_folder(path)):
        require_peft(folder)
        adapter, base = folder, _folder_of(*base_of(folder), local_files_only)
    sentence = sentence_settings(path) or sentence_settings(base)
    model, tokenizer, family = loading.read_folder(
        transformer_folder(base),
        dtype,
        lower_case=sentence is not None and sentence.lower_case,
        adapter=adapter,
        device=device,
    )
    warn_of_task_head(base, model)
    return model, tokenizer, family, sentence


def _folder_of(name: str, revision: str | None, local_files_only: bool) -> Path:
    path = Path(name)
    if path.is_file() and path.suffix.lower() == ".gguf":
        return gguf.unpacked(path)
    if path.is_dir():
        refuse_links_outside(path)
        return path
    return hub.snapshot(name, revision, local_files_only=local_files_only)


def named_prompts(
    name: str, revision: str | None, *, local_files_only: bool
) -> dict[str, str]:
    """Read the prompts that a folder or a model on the hub names, and no weights.

    Parameters
    ----------
    name, revision, local_files_only
        As in `read_named`.

    Returns
    -------
    dict of str to str
        Name -> words before the text, that which stands before every text first; empty
        of all but sentence-transformers folders.
    """
    path = Path(name)
    if tiny.is_tiny(name) or path.is_file():
        return {}
    if path.is_dir():
        refuse_links_outside(path)
    else:
        path = hub.prompt_files(name, revision, local_files_only=local_files_only)
    if (sentence := sentence_settings(path)) is None:
        return {}
    by_default = sentence.default_prompt
    first = sorted(sentence.prompts, key=lambda name: name != by_default)
    return {name: sentence.prompts[name] for name in first}


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

    Warns
    -----
    UserWarning
        If it has a head for a task, which is left aside.
    """
    kind = kind_of(model)
    refuse_overflow(model.config.model_type, dtype)
    if has_task_head(model):
        warn_of_head(f"the {type(model).__name__}", type(model).__name__)
        model = model.base_model
    model = without_output_flags(model)
    # What was read from a folder is used as the folder says.
    name = getattr(model, "name_or_path", "")
    sentence = sentence_settings(Path(name)) if name else None
    words = TextTokenizer.from_hf(tokenizer)
    return model, words, family_in(model, kind), sentence
