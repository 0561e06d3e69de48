"""From a name to a model: hub snapshots and local folders, safely.

Whatever the name, the model is read from a folder with a configuration, weights and
a tokenizer. Nothing but safetensors and ``torch.load(weights_only=True)`` reads
weights, no remote code runs, and a checkpoint with missing weights is an error.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from skraee.backbone.checkpoint import (
    has_safetensors,
    holds,
    prefers_safetensors,
    read_weights,
    refusing_what_is_no_weight,
)
from skraee.backbone.families import Family, Kind, family_of
from skraee.backbone.output_flags import reset_output_flags
from skraee.backbone.precision import refuse_overflow
from skraee.backbone.quiet import quiet_loading

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

_SETTINGS = ("*.json", "*.txt", "*.model")
_SAFETENSORS = (
    "model.safetensors",
    "model-*-of-*.safetensors",
    "[0-9]_*/model.safetensors",
)
_PYTORCH = (
    "pytorch_model.bin",
    "pytorch_model-*-of-*.bin",
    "[0-9]_*/pytorch_model.bin",
)

# The patterns of the hub match across folders, and what lies in folders is the same
# model once more for other programs. Numbered ones are a sentence encoder's steps.
_FOLDERS = ("[!0-9]*/*",)

_VOCABULARIES = ("tokenizer.json", "vocab.*", "*.model")

HEADS: dict[Kind, str] = {
    "masked": "AutoModelForMaskedLM",
    "causal": "AutoModelForCausalLM",
    "seq2seq": "AutoModelForSeq2SeqLM",
}


def snapshot(name: str, revision: str | None, *, local_files_only: bool) -> Path:
    """Fetch a model from the hub, or find it in the hub's cache.

    Only the configuration, the tokenizer and one form of the weights are fetched.

    Parameters
    ----------
    name : str
        ``organisation/name``.
    revision : str or None
        Branch, tag or commit.
    local_files_only : bool
        Look in the cache only.

    Returns
    -------
    Path
        The folder of the snapshot.

    Raises
    ------
    OSError
        If it is neither reachable nor in the cache.
    """
    try:
        folder = _fetch(name, revision, local_files_only, _SETTINGS + _SAFETENSORS)
        if not has_safetensors(folder):
            folder = _fetch(name, revision, local_files_only, _SETTINGS + _PYTORCH)
    except Exception as error:
        raise OSError(
            f"backbone {name!r}{f' at revision {revision!r}' if revision else ''} is "
            "neither a local folder or .gguf file nor to be had from the hub or its "
            f"cache ({type(error).__name__}); check the name, the network, or give "
            "the path of a folder made with save_pretrained."
        ) from error
    return folder


def _fetch(
    name: str, revision: str | None, local_files_only: bool, patterns: tuple[str, ...]
) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder: str = snapshot_download(
            name,
            revision=revision,
            local_files_only=local_files_only,
            allow_patterns=list(patterns),
            ignore_patterns=list(_FOLDERS),
        )
    except LocalEntryNotFoundError as error:
        # No network, and not all of the hub's files: reading shows whether they do.
        if not hasattr(error, "snapshot_path"):
            raise
        folder = error.snapshot_path
    return Path(folder)


def read_folder(
    folder: Path, dtype: torch.dtype
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast, Family]:
    """Load the model with its language-model head, and the tokenizer.

    Parameters
    ----------
    folder : Path
        As `save_pretrained` writes it, or a hub snapshot.
    dtype : torch.dtype
        What the weights become.

    Returns
    -------
    model : PreTrainedModel
        In evaluation mode, on the CPU; without a head where the checkpoint has none,
        as those of sentence encoders and of ElasticBERT.
    tokenizer : PreTrainedTokenizerFast
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
    family = family_of(settings.get("model_type", ""))
    refuse_overflow(family.kind, dtype)
    config = _read_config(folder, settings)
    reset_output_flags(config)
    tokenizer = _read_tokenizer(folder, config)
    with quiet_loading(), refusing_what_is_no_weight(folder):
        if settings["model_type"] == "elasticbert":
            model = _read_elasticbert(folder, config, dtype)
        else:
            model = _read_with_head(folder, family, config, dtype)
    return model.eval(), tokenizer, family_as_in(model, family)


def family_as_in(model: PreTrainedModel, family: Family) -> Family:
    """Return the family's row with the paths as a model has them.

    Parameters
    ----------
    model : PreTrainedModel
        With its head, or the stack alone, which then is not a part of anything.
    family : Family
        Its row.
    """
    prefix = model.base_model_prefix
    if family.kind == "seq2seq" or hasattr(model, prefix):
        return family
    stacks = [stack.removeprefix(prefix).removeprefix(".") for stack in family.stacks]
    return replace(family, stacks=tuple(stacks))


def _read_settings(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise OSError(
            f"backbone folder {str(folder)!r} has no config.json; give a folder made "
            "with save_pretrained, a .gguf file or a hub name."
        )
    settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return settings


def _read_config(folder: Path, settings: dict[str, Any]) -> Any:
    import transformers

    try:
        if settings["model_type"] == "elasticbert":
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


def _read_tokenizer(folder: Path, config: Any) -> PreTrainedTokenizerFast:
    from transformers import AutoTokenizer

    # The library makes an empty tokenizer where it finds no file.
    if not any(any(folder.glob(pattern)) for pattern in _VOCABULARIES):
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


def _read_with_head(
    folder: Path, family: Family, config: Any, dtype: torch.dtype
) -> PreTrainedModel:
    import transformers

    if config.model_type == "deberta-v2":
        config.legacy = not holds(folder, "lm_predictions.lm_head")
    with torch.random.fork_rng(devices=[]):  # a head that is lacking is drawn first
        model, report = getattr(transformers, HEADS[family.kind]).from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            use_safetensors=prefers_safetensors(folder),
            weights_only=True,
            trust_remote_code=False,
            local_files_only=True,
            ignore_mismatched_sizes=True,  # refused here, with their names
            output_loading_info=True,
        )
    if _lacks_just_its_head(model, report):
        model = model.base_model
        report["missing_keys"] = set()
    refuse_gaps(folder, report)
    return model


def _lacks_just_its_head(model: PreTrainedModel, report: dict[str, Any]) -> bool:
    """Whether a checkpoint is of the stack alone, as a sentence encoder's is."""
    missing = set(report["missing_keys"])
    prefix = f"{model.base_model_prefix}."
    if not missing or any(name.startswith(prefix) for name in missing):
        return False
    if type(model).__name__ in (model.config.architectures or ()):
        return False  # it should have one
    names: dict[int, set[str]] = {}
    for name, weight in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(weight), set()).add(name)
    of_head = [
        tied for tied in names.values() if not any(n.startswith(prefix) for n in tied)
    ]
    return all(tied & missing for tied in of_head)


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


def refuse_gaps(source: Path, report: dict[str, Any]) -> None:
    """Refuse a model that was not wholly read from its checkpoint.

    Parameters
    ----------
    source : Path
        Named in the error.
    report : dict
        As ``from_pretrained(output_loading_info=True)`` returns it.

    Raises
    ------
    ValueError
        If weights are missing or have other shapes than the configuration says.
    """
    if missing := sorted(report["missing_keys"]):
        raise ValueError(
            f"the checkpoint in {str(source)!r} lacks weights that its model needs "
            f"({_first(missing)}); choose a checkpoint that was saved whole, with its "
            "language-model head."
        )
    if others := sorted(report["mismatched_keys"]):
        shapes = [
            f"{name} is {tuple(found)}, not {tuple(expected)}"
            for name, found, expected in others
        ]
        raise ValueError(
            f"weights in {str(source)!r} have other shapes than its config.json says "
            f"({_first(shapes)}); fetch configuration and weights from one place."
        )


def _first(items: list[str], n: int = 3) -> str:
    more = f" and {len(items) - n} more" if len(items) > n else ""
    return ", ".join(items[:n]) + more
