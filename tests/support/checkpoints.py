"""Folders of tiny models as people have them: saved, published, in the hub's cache."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from skraee import toy
from tests.support.models import VOCAB, tiny_model, toy_objects

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def small_tokenizer() -> PreTrainedTokenizerFast:
    """Words w3..w63 behind three special tokens, as the tiny models have them."""
    words = ["<s>", "<pad>", "</s>", *(f"w{i}" for i in range(3, VOCAB - 1)), "<mask>"]
    vocabulary = {word: i for i, word in enumerate(words)}
    rust = Tokenizer(models.WordLevel(vocabulary, unk_token="<s>"))
    rust.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=rust,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        mask_token="<mask>",
    )


def saved(folder: Path, name: str = "bert", **options: Any) -> Any:
    """Save a tiny model with its tokenizer; return the model."""
    model = tiny_model(name)
    model.save_pretrained(folder, **options)
    small_tokenizer().save_pretrained(folder)
    return model


def saved_toy(folder: Path, kind: toy.Kind = "masked") -> Path:
    """Save a toy backbone as a plain folder."""
    for part in toy_objects(kind):
        part.save_pretrained(folder)
    return folder


def headless(folder: Path, which: str) -> Path:
    """Save a checkpoint without a head, whose words are w3 to w62."""
    model = saved(folder)
    model.bert.save_pretrained(folder)
    if which == "elasticbert":
        change_settings(folder, model_type="elasticbert", architectures=None)
    return folder


def with_weights(
    folder: Path, config: Any, weights: dict[str, torch.Tensor], form: str
) -> Path:
    """Write a folder with just these weights, under just these names."""
    config.save_pretrained(folder)
    small_tokenizer().save_pretrained(folder)
    weights = {name: tensor.detach().clone() for name, tensor in weights.items()}
    if form == "safetensors":
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    else:
        torch.save(weights, folder / "pytorch_model.bin")
    return folder


def change_settings(folder: Path, file: str = "config.json", **changes: Any) -> None:
    """Change entries of a JSON file; None takes an entry away."""
    path = folder / file
    settings = json.loads(path.read_text()) | changes
    kept = {key: value for key, value in settings.items() if value is not None}
    path.write_text(json.dumps(kept))


def into_hub_cache(cache: Path, folder: Path, name: str, branch: str = "main") -> Path:
    """Lay a folder out as the hub's cache does: blobs, refs and a linked snapshot."""
    repository = cache / f"models--{name.replace('/', '--')}"
    snapshot = repository / "snapshots" / COMMIT
    blobs, refs = repository / "blobs", repository / "refs"
    for made in (snapshot, blobs, refs):
        made.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        blob = blobs / hashlib.sha256(file.read_bytes()).hexdigest()
        blob.write_bytes(file.read_bytes())
        (snapshot / file.name).symlink_to(f"../../blobs/{blob.name}")
    (refs / branch).write_text(COMMIT)
    return snapshot
