"""From a name to a model: hub snapshots and local folders, safely.

Whatever the name, the model is read from a folder with a configuration, weights and
a tokenizer. Nothing but safetensors and ``torch.load(weights_only=True)`` reads
weights, no remote code runs, and a checkpoint with missing weights is an error.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from skraee.backbone.families import Family, Kind, family_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

_SETTINGS = ("*.json", "*.txt", "*.model", "merges.txt", "tokenizer*")
_SAFETENSORS = ("model.safetensors", "model.safetensors.index.json", "model-*")
_PYTORCH = ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*.bin")

_HEADS: dict[Kind, str] = {
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
    from huggingface_hub import snapshot_download

    def fetch(patterns: tuple[str, ...]) -> Path:
        return Path(
            snapshot_download(
                name,
                revision=revision,
                local_files_only=local_files_only,
                allow_patterns=list(patterns),
                ignore_patterns=["*/*"],
            )
        )

    try:
        folder = fetch(_SETTINGS + _SAFETENSORS)
        if not _has_any(folder, _SAFETENSORS[:2]):
            folder = fetch(_SETTINGS + _PYTORCH)
    except Exception as error:
        raise OSError(
            f"backbone {name!r}{f' at revision {revision!r}' if revision else ''} is "
            "neither a local folder or .gguf file nor to be had from the hub or its "
            f"cache ({type(error).__name__}); check the name, the network, or give "
            "the path of a folder made with save_pretrained."
        ) from error
    return folder


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
        In evaluation mode, on the CPU; without a head where the checkpoint is an
        ElasticBERT, which is published without one.
    tokenizer : PreTrainedTokenizerFast
    family : Family

    Raises
    ------
    OSError
        If the folder lacks a configuration, weights or a tokenizer.
    ValueError
        If the type of model is not supported or weights are missing.
    """
    from transformers import AutoTokenizer

    settings = _read_settings(folder)
    family = family_of(settings.get("model_type", ""))
    if settings["model_type"] == "elasticbert":
        model = _read_elasticbert(folder, settings, dtype)
        family = replace(family, stacks=("",))  # the stack itself, without a head
    else:
        model = _read_with_head(folder, family, dtype)
    tokenizer = AutoTokenizer.from_pretrained(
        folder, trust_remote_code=False, local_files_only=True, use_fast=True
    )
    return model.eval(), tokenizer, family


def _read_settings(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise OSError(
            f"backbone folder {str(folder)!r} has no config.json; give a folder made "
            "with save_pretrained, a .gguf file or a hub name."
        )
    settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return settings


def _read_with_head(
    folder: Path, family: Family, dtype: torch.dtype
) -> PreTrainedModel:
    import transformers

    config = transformers.AutoConfig.from_pretrained(
        folder, trust_remote_code=False, local_files_only=True
    )
    if config.model_type == "deberta-v2":
        config.legacy = not _holds(folder, "lm_predictions.lm_head")
    model, report = getattr(transformers, _HEADS[family.kind]).from_pretrained(
        folder,
        config=config,
        dtype=dtype,
        use_safetensors=_prefers_safetensors(folder),
        weights_only=True,
        trust_remote_code=False,
        local_files_only=True,
        output_loading_info=True,
    )
    _refuse_gaps(folder, [*report["missing_keys"], *report["mismatched_keys"]])
    return model  # type: ignore[no-any-return]


def _refuse_gaps(folder: Path, missing: list[Any]) -> None:
    if not missing:
        return
    named = ", ".join(sorted(str(key) for key in missing)[:5])
    more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
    raise ValueError(
        f"the checkpoint in {str(folder)!r} lacks weights that the model with its "
        f"language-model head needs ({named}{more}); choose a checkpoint that was "
        "saved with its language-model head."
    )


def _read_elasticbert(
    folder: Path, settings: dict[str, Any], dtype: torch.dtype
) -> PreTrainedModel:
    """Load ElasticBERT into BERT; its poolers, one per layer, are left aside."""
    from transformers import BertConfig, BertModel

    config = BertConfig.from_dict({**settings, "model_type": "bert"})
    model = BertModel(config, add_pooling_layer=False).to(dtype)
    weights = {}
    for name, tensor in _weights(folder).items():
        name = name.removeprefix("elasticbert.").removeprefix("bert.")
        if name.startswith(("embeddings.", "encoder.layer.")):
            weights[name] = tensor.to(dtype)
    weights.pop("embeddings.position_ids", None)
    _refuse_gaps(folder, model.load_state_dict(weights, strict=False).missing_keys)
    model.config.model_type = "elasticbert"
    return model  # type: ignore[no-any-return]


def _has_any(folder: Path, names: tuple[str, ...]) -> bool:
    return any((folder / name).is_file() for name in names)


def _prefers_safetensors(folder: Path) -> bool:
    if _has_any(folder, _SAFETENSORS[:2]):
        return True
    if not _has_any(folder, _PYTORCH[:2]):
        raise OSError(
            f"backbone folder {str(folder)!r} holds no weights (model.safetensors or "
            "pytorch_model.bin); save the model there with save_pretrained."
        )
    warnings.warn(
        f"{str(folder)!r} holds its weights in pytorch_model.bin only; they are read "
        "without running code (weights_only=True), but safetensors is the better "
        "form: save the model again with save_pretrained.",
        UserWarning,
        stacklevel=2,
    )
    return False


def _weight_files(folder: Path) -> list[Path]:
    safe, plain = sorted(folder.glob("model*.safetensors")), []
    if not safe:
        plain = sorted(folder.glob("pytorch_model*.bin"))
    return safe + plain


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    weights: dict[str, torch.Tensor] = {}
    if not _prefers_safetensors(folder):
        for path in _weight_files(folder):
            weights |= torch.load(path, map_location="cpu", weights_only=True)
        return weights
    for path in _weight_files(folder):
        weights |= load_file(path)
    return weights


def _holds(folder: Path, prefix: str) -> bool:
    """Whether a checkpoint has a weight whose name begins so."""
    from safetensors import safe_open

    for path in _weight_files(folder):
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                names = list(file.keys())
        else:
            names = list(torch.load(path, map_location="meta", weights_only=True))
        if any(name.startswith(prefix) for name in names):
            return True
    return False
