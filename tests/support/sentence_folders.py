"""Folders of tiny sentence encoders, laid out as their hubs have them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers as tf
from safetensors.torch import save_file
from tokenizers import processors

from tests.support.models import MODELS, with_weights_drawn
from tests.support.tokenizers import byte_level, gemma, qwen_chat, wordpiece


def _closing(tokenizer: Any, single: str) -> Any:
    """Put special tokens around every sequence."""
    rust = tokenizer.backend_tokenizer
    marks = [part for part in single.split() if part != "$A"]
    pairs = [(mark, rust.token_to_id(mark)) for mark in marks]
    rust.post_processor = processors.TemplateProcessing(
        single=single, special_tokens=pairs
    )
    return tokenizer


@dataclass(frozen=True)
class Published:
    """What a hub has of an encoder.

    Attributes
    ----------
    model : str
        Its kind among the tiny models.
    tokenizer : callable
    pooling : dict
        Of ``1_Pooling/config.json``.
    steps : tuple of str
        Modules behind the pooling.
    prompts : dict
    settings : dict
        Of ``sentence_bert_config.json``.
    config : dict
        What its configuration has beside that of the tiny model.
    """

    model: str
    tokenizer: Callable[[], Any]
    pooling: dict[str, Any]
    steps: tuple[str, ...] = ("Normalize",)
    prompts: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)


def _flags(which: str) -> dict[str, Any]:
    """Return a pooling as most folders have it: a flag for each mode."""
    names = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")
    names = (*names, "weightedmean_tokens", "lasttoken")
    flags = {f"pooling_mode_{name}": name == which for name in names}
    return {"word_embedding_dimension": 16, **flags, "include_prompt": True}


_MASKED_LM = {"architectures": ["MPNetForMaskedLM"]}
_CLS, _MEAN, _LAST = map(_flags, ("cls_token", "mean_tokens", "lasttoken"))

PUBLISHED = {
    "all-mpnet-base-v2": Published(
        "mpnet",
        byte_level,
        _MEAN,
        settings={"max_seq_length": 96, "do_lower_case": False},
        config=_MASKED_LM,
    ),
    "all-MiniLM-L6-v2": Published(
        "bert", wordpiece, _MEAN, settings={"max_seq_length": 64}
    ),
    "bge-small-en-v1.5": Published("bert", wordpiece, _CLS),
    "e5-base-v2": Published("bert", wordpiece, _MEAN),
    "multilingual-e5-base": Published("xlm-roberta", byte_level, _MEAN),
    "gte-modernbert-base": Published("modernbert", wordpiece, _CLS, steps=()),
    "modernbert-embed-base": Published(
        "modernbert",
        wordpiece,
        {"embedding_dimension": 16, "pooling_mode": "mean", "include_prompt": True},
        prompts={"query": "search_query: ", "document": "search_document: "},
    ),
    "Qwen3-Embedding-0.6B": Published(
        "qwen3",
        lambda: _closing(qwen_chat(), "$A <|endoftext|>"),
        _LAST,
        prompts={"query": "Instruct: answer\nQuery:", "document": ""},
    ),
    "embeddinggemma-300m": Published(
        "gemma3_text",
        lambda: _closing(gemma(), "<s> $A </s>"),
        _MEAN,
        steps=("Dense", "Dense", "Normalize"),
        prompts={"Classification": "task: classification | query: "},
        config={"use_bidirectional_attention": True},
    ),
    "snowflake-arctic-embed-m": Published(
        "bert", wordpiece, _CLS, prompts={"query": "Represent this {sentence}: "}
    ),
}


def sentence_folder(folder: Path, name: str, transformer: str = "") -> Path:
    """Write an encoder's folder.

    Parameters
    ----------
    folder : Path
    name : str
        Of `PUBLISHED`.
    transformer : str, default=""
        Where in the folder the transformer lies; in older ones in "0_Transformer".
    """
    published, own = PUBLISHED[name], folder / transformer
    tokenizer = published.tokenizer()
    body(published, tokenizer).save_pretrained(own)
    tokenizer.save_pretrained(own)
    if "architectures" in published.config:
        config = json.loads((own / "config.json").read_text())
        _write(own / "config.json", config | published.config)
    _write(own / "sentence_bert_config.json", published.settings)
    _write(folder / "1_Pooling" / "config.json", published.pooling)
    kinds = [(transformer, "Transformer"), ("1_Pooling", "Pooling")]
    for i, kind in enumerate(published.steps, 2):
        kinds.append((f"{i}_{kind}", kind))
        if kind == "Dense":
            _write_dense(folder / f"{i}_Dense")
    modules = [
        {
            "idx": i,
            "name": str(i),
            "path": path,
            "type": f"sentence_transformers.models.{kind}",
        }
        for i, (path, kind) in enumerate(kinds)
    ]
    _write(folder / "modules.json", modules)
    whole = {"prompts": published.prompts, "default_prompt_name": None}
    _write(folder / "config_sentence_transformers.json", whole)
    return folder


def body(published: Published, tokenizer: Any) -> Any:
    """Make the transformer of an encoder, without a head."""
    _, make_config = MODELS[published.model]
    settings = make_config().to_dict() | published.config
    settings |= {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    config = tf.AutoConfig.for_model(**settings)
    return with_weights_drawn(tf.AutoModel.from_config, config)


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def _write_dense(folder: Path) -> None:
    identity = "torch.nn.modules.linear.Identity"
    sizes = {"in_features": 16, "out_features": 16, "bias": False}
    _write(folder / "config.json", {**sizes, "activation_function": identity})
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(16, 16, generator=generator)
    save_file({"linear.weight": weight}, folder / "model.safetensors")
