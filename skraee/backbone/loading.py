"""From a folder to a model, with its head where it has one, safely.

Whatever a model's name, it is read from a folder with a configuration, weights and a
tokenizer. Nothing but safetensors and ``torch.load(weights_only=True)`` reads
weights, no remote code runs, and a checkpoint with missing weights is an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from skraee.backbone.adapter import merge
from skraee.backbone.checkpoint import prefers_safetensors, read_weights
from skraee.backbone.claims import (
    refuse_more_layers,
    refuse_not_finite,
    refusing_no_model,
)
from skraee.backbone.configuration import read_configuration
from skraee.backbone.discovery import family_in
from skraee.backbone.embeddings import refuse_tokens_without_embedding
from skraee.backbone.families import Family
from skraee.backbone.gaps import (
    drop_random_pooler,
    lacks_just_its_head,
    refuse_gaps,
)
from skraee.backbone.heap import give_back_free_memory
from skraee.backbone.held import Held
from skraee.backbone.kinds import ModelClass, model_class_of
from skraee.backbone.output_flags import reset_output_flags
from skraee.backbone.quantized import refuse_unreadable
from skraee.backbone.quiet import quiet_loading
from skraee.backbone.tokenizer_files import (
    has_tokenizer,
    lower_letters,
    read_tokenizer,
    vocabulary_files,
)
from skraee.backbone.weights import CPU, read_model
from skraee.text.tokenizer import TextTokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def read_folder(
    folder: Path,
    dtype: torch.dtype,
    *,
    lower_case: bool = False,
    adapter: Path | None = None,
    device: torch.device = CPU,
) -> tuple[PreTrainedModel, TextTokenizer, Family]:
    """Load the model with its language-model head, and the tokenizer.

    Parameters
    ----------
    folder : Path
        As `save_pretrained` writes it, or a hub snapshot.
    dtype : torch.dtype
        What the weights become.
    lower_case : bool, default=False
        Whether the tokenizer is made to lower all letters of a text.
    adapter : Path, optional
        Folder of an adapter to merge into it; its tokenizer counts where it has one.
    device : torch.device, optional
        Where it will run. Only quantised weights are read to it.

    Returns
    -------
    model : PreTrainedModel
        In evaluation mode, on the CPU; without a head where the checkpoint has none,
        as those of sentence encoders and of ElasticBERT.
    tokenizer : TextTokenizer
    family : Family

    Raises
    ------
    OSError
        If the folder lacks a configuration, weights or a tokenizer.
    ValueError
        If the type of model is not supported, weights are missing or no weights, or
        the model overflows in this dtype.
    """
    settings, config, held = read_configuration(folder, dtype)
    reads = model_class_of(config)
    refuse_unreadable(folder, settings, device, adapter)
    reset_output_flags(config)
    words = adapter if adapter and has_tokenizer(adapter) else folder
    tokenizer = _text_tokenizer(words, config, lower_case=lower_case)
    give_back_free_memory()
    with quiet_loading():
        if settings["model_type"] == "elasticbert":
            model = _read_elasticbert(folder, config, dtype)
        else:
            model = _read_model(folder, reads, config, dtype, held, device)
    refuse_not_finite(repr(str(folder)), model, held)
    model = model.eval()
    if adapter:
        model = merge(model, adapter)
    of_files = f" in {str(words)!r} ({vocabulary_files(words)})"
    refuse_tokens_without_embedding(model, tokenizer, of_files)
    return model, tokenizer, family_in(model, reads.kind)


def _text_tokenizer(folder: Path, config: Any, *, lower_case: bool) -> TextTokenizer:
    """Read a tokenizer; what the library made is dropped before weights are read.

    For Gemma that holds 180 MB, and what is kept 85.
    """
    tokenizer = read_tokenizer(folder, config)
    if lower_case:
        lower_letters(tokenizer)
    return TextTokenizer.from_hf(tokenizer)


def _read_model(
    folder: Path,
    reads: ModelClass,
    config: Any,
    dtype: torch.dtype,
    held: Held,
    device: torch.device,
) -> PreTrainedModel:
    import transformers

    if config.model_type == "deberta-v2":
        head = "lm_predictions.lm_head"
        config.legacy = not any(name.startswith(head) for name in held)
    with torch.random.fork_rng(devices=[]):  # a head that is lacking is drawn first
        auto = getattr(transformers, reads.auto)
        model, report = read_model(auto, folder, config, dtype, held, device)
    if not reads.has_head:
        drop_random_pooler(model, report)
    elif lacks_just_its_head(model, report):
        model = model.base_model
        report["missing_keys"] = set()
    refuse_gaps(folder, report)
    refuse_more_layers(folder, model, report["unexpected_keys"])
    return model


def _read_elasticbert(folder: Path, config: Any, dtype: torch.dtype) -> PreTrainedModel:
    """Load ElasticBERT into BERT; its poolers, one per layer, are left aside."""
    from transformers import BertModel

    prefers_safetensors(folder)
    weights = {}
    for name, tensor in read_weights(folder).items():
        name = name.removeprefix("elasticbert.").removeprefix("bert.")
        if name.startswith(("embeddings.", "encoder.layer.")):
            weights[name] = tensor
    with refusing_no_model(folder / "config.json"):
        model, report = BertModel.from_pretrained(
            None,
            config=config,
            state_dict=weights,
            dtype=dtype,
            add_pooling_layer=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    refuse_gaps(folder, report)
    refuse_more_layers(folder, model, report["unexpected_keys"])
    model.config.model_type = "elasticbert"
    return model
