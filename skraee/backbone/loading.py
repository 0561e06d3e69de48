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
from skraee.backbone.checkpoint import (
    holds,
    prefers_safetensors,
    read_weights,
    refusing_what_is_no_weight,
)
from skraee.backbone.discovery import family_in
from skraee.backbone.families import Family
from skraee.backbone.gaps import (
    drop_random_pooler,
    lacks_just_its_head,
    refuse_gaps,
)
from skraee.backbone.heap import give_back_free_memory
from skraee.backbone.kinds import ModelClass, model_class_of
from skraee.backbone.output_flags import reset_output_flags
from skraee.backbone.precision import refuse_overflow
from skraee.backbone.quantized import refuse_unreadable
from skraee.backbone.quiet import quiet_loading
from skraee.backbone.settings_files import damaged, read_mapping
from skraee.backbone.weights import CPU, read_model
from skraee.text.tokenizer import TextTokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

_VOCABULARIES = ("tokenizer.json", "vocab.*", "*.model")


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
    settings = _read_settings(folder)
    config = _read_config(folder, settings)
    reads = model_class_of(config)
    refuse_overflow(config.model_type, dtype)
    refuse_unreadable(folder, settings, device, adapter)
    reset_output_flags(config)
    words = adapter if adapter and _has_tokenizer(adapter) else folder
    tokenizer = _text_tokenizer(words, config, lower_case=lower_case)
    give_back_free_memory()
    with quiet_loading(), refusing_what_is_no_weight(folder):
        if settings["model_type"] == "elasticbert":
            model = _read_elasticbert(folder, config, dtype)
        else:
            model = _read_model(folder, reads, config, dtype, device)
    model = model.eval()
    if adapter:
        model = merge(model, adapter)
    return model, tokenizer, family_in(model, reads.kind)


def _read_settings(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise OSError(
            f"backbone folder {str(folder)!r} has no config.json; give a folder made "
            "with save_pretrained, a .gguf file or a hub name."
        )
    settings = read_mapping(path)
    if not settings.get("model_type"):
        raise damaged(path, "it names no model_type")
    return settings


def _read_config(folder: Path, settings: dict[str, Any]) -> Any:
    import transformers

    model_type = settings["model_type"]
    if model_type not in {*transformers.CONFIG_MAPPING, "elasticbert"}:
        raise ValueError(
            f"backbones of type {model_type!r} are not supported: the installed "
            f"transformers library ({transformers.__version__}) does not know them, "
            "and code that comes with a model is not run; choose a model of one of "
            "the types in docs/model-types.md, or install a newer transformers."
        )
    try:
        if model_type == "elasticbert":
            return transformers.BertConfig.from_dict({**settings, "model_type": "bert"})
        return transformers.AutoConfig.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
    except Exception as error:  # of whatever entry it is that the library refuses
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"config.json in {str(folder)!r} cannot be read ({type(error).__name__}: "
            f"{reason}); fetch it again, or take the entry out that it speaks of."
        ) from error


def _text_tokenizer(folder: Path, config: Any, *, lower_case: bool) -> TextTokenizer:
    """Read a tokenizer; what the library made is dropped before weights are read.

    For Gemma that holds 180 MB, and what is kept 85.
    """
    tokenizer = _read_tokenizer(folder, config)
    if lower_case:
        lower_letters(tokenizer)
    return TextTokenizer.from_hf(tokenizer)


def _has_tokenizer(folder: Path) -> bool:
    return any(any(folder.glob(pattern)) for pattern in _VOCABULARIES)


def _read_tokenizer(folder: Path, config: Any) -> PreTrainedTokenizerFast:
    from transformers import AutoTokenizer

    # The library makes an empty tokenizer where it finds no file.
    if not _has_tokenizer(folder):
        raise OSError(
            f"backbone folder {str(folder)!r} has no tokenizer; save it there with "
            "tokenizer.save_pretrained."
        )
    try:
        return AutoTokenizer.from_pretrained(
            folder, config=config, trust_remote_code=False, local_files_only=True
        )
    except Exception as error:
        raise OSError(
            f"the tokenizer in {str(folder)!r} cannot be read "
            f"({type(error).__name__}); give a folder with a tokenizer.json, as "
            "tokenizer.save_pretrained writes it."
        ) from error


def _read_model(
    folder: Path,
    reads: ModelClass,
    config: Any,
    dtype: torch.dtype,
    device: torch.device,
) -> PreTrainedModel:
    import transformers

    if config.model_type == "deberta-v2":
        config.legacy = not holds(folder, "lm_predictions.lm_head")
    with torch.random.fork_rng(devices=[]):  # a head that is lacking is drawn first
        auto = getattr(transformers, reads.auto)
        model, report = read_model(auto, folder, config, dtype, device)
    if not reads.has_head:
        drop_random_pooler(model, report)
    elif lacks_just_its_head(model, report):
        model = model.base_model
        report["missing_keys"] = set()
    refuse_gaps(folder, report)
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
    model.config.model_type = "elasticbert"
    return model


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
