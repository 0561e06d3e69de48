"""Models of some shape with random weights: speed does not depend on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from common import backbone_folder


@dataclass(frozen=True)
class Paper:
    """A backbone of the RAEE paper (arXiv 2405.15198) and its mean exit in Table 8."""

    model: str
    config: dict[str, Any]
    mean_exit: float


#: For a GPU: the real shapes.
PAPER = {
    "RoBERTa-large": Paper(
        "Roberta",
        {
            "vocab_size": 50265,
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 4096,
            "max_position_embeddings": 514,
            "type_vocab_size": 1,
        },
        15.33,
    ),
    "T5-large": Paper(
        "T5",
        {
            "vocab_size": 32128,
            "d_model": 1024,
            "d_kv": 64,
            "d_ff": 4096,
            "num_layers": 24,
            "num_heads": 16,
            "decoder_start_token_id": 0,
        },
        21.59,
    ),
    "Llama-3-8B": Paper(
        "Llama",
        {
            "vocab_size": 128256,
            "hidden_size": 4096,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "intermediate_size": 14336,
            "max_position_embeddings": 8192,
        },
        13.43,
    ),
    "Gemma-7B": Paper(
        "Gemma",
        {
            "vocab_size": 256000,
            "hidden_size": 3072,
            "num_hidden_layers": 28,
            "num_attention_heads": 16,
            "num_key_value_heads": 16,
            "head_dim": 256,
            "intermediate_size": 24576,
        },
        11.05,
    ),
}

#: For two cores: RoBERTa-large as it is, Llama-3-8B a quarter as wide and half as deep,
#: and a real model.
SMALL = ("gemma3-270m", "roberta-large", "llama")

_LLAMA = {
    "vocab_size": 32064,
    "hidden_size": 1024,
    "num_hidden_layers": 16,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "intermediate_size": 3584,
    "max_position_embeddings": 8192,
}


def make_model(shape: str, dtype: torch.dtype, device: str) -> Any:
    """Make a model on its device, in its number format."""
    import transformers as tf

    if shape == "gemma3-270m":
        folder = backbone_folder(shape)
        model = tf.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
        return model.to(device).eval()
    if shape == "roberta-large":
        name, config = "Roberta", PAPER["RoBERTa-large"].config
    elif shape == "llama":
        name, config = "Llama", _LLAMA
    elif shape in PAPER:
        name, config = PAPER[shape].model, PAPER[shape].config
    else:
        raise SystemExit(f"no shape {shape!r}; there are {', '.join((*SMALL, *PAPER))}")
    head = {"Roberta": "MaskedLM", "T5": "ConditionalGeneration"}.get(name, "CausalLM")
    made = getattr(tf, f"{name}For{head}")
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            return made(getattr(tf, f"{name}Config")(**config)).eval()
    finally:
        torch.set_default_dtype(before)


def exits_with_mean(mean_exit: float, n_texts: int, n_layers: int) -> np.ndarray:
    """Draw exits over all depths with the paper's mean; it prints no distribution."""
    share = mean_exit / n_layers
    shares = np.random.default_rng(1).beta(2 * share, 2 * (1 - share), size=n_texts)
    return np.round(shares * n_layers).astype(np.int64)
