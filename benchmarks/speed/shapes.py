"""Models of some shape with random weights: speed does not depend on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmarks.data import backbone_folder
from benchmarks.learnt_tokenizer import learnt_tokenizer
from skraee import Backbone, toy


@dataclass(frozen=True)
class Shape:
    """An architecture with random weights.

    Attributes
    ----------
    model : str
        Its class in transformers, without the head.
    config : dict
    mean_exit : float or None
        Of a backbone of the RAEE paper (arXiv 2405.15198) that in its Table 8; None
        where the exits of real texts are taken.
    """

    model: str
    config: Mapping[str, Any]
    mean_exit: float | None = None

    def make(self, dtype: torch.dtype, device: str) -> Any:
        """Make a model on its device, in its number format."""
        import transformers

        heads = {"Roberta": "MaskedLM", "T5": "ConditionalGeneration"}
        head = heads.get(self.model, "CausalLM")
        config = getattr(transformers, f"{self.model}Config")(**self.config)
        made = getattr(transformers, f"{self.model}For{head}")
        before = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            with torch.random.fork_rng(), torch.device(device):
                torch.manual_seed(0)
                return made(config).eval()
        finally:
            torch.set_default_dtype(before)


ROBERTA_LARGE = {
    "vocab_size": 50265,
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
}
T5_LARGE = {
    "vocab_size": 32128,
    "d_model": 1024,
    "d_kv": 64,
    "d_ff": 4096,
    "num_layers": 24,
    "num_heads": 16,
    "decoder_start_token_id": 0,
}
LLAMA_3_8B = {
    "vocab_size": 128256,
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "max_position_embeddings": 8192,
}
GEMMA_7B = {
    "vocab_size": 256000,
    "hidden_size": 3072,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "head_dim": 256,
    "intermediate_size": 24576,
}
LLAMA = LLAMA_3_8B | {  # a quarter as wide and half as deep
    "vocab_size": 32064,
    "hidden_size": 1024,
    "num_hidden_layers": 16,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "intermediate_size": 3584,
}

#: A real model, not a shape: it is read from its folder.
GEMMA = "gemma3-270m"

SHAPES: dict[str, Shape | None] = {
    GEMMA: None,
    "roberta-large": Shape("Roberta", ROBERTA_LARGE),
    "llama": Shape("Llama", LLAMA),
    "RoBERTa-large": Shape("Roberta", ROBERTA_LARGE, 15.33),
    "T5-large": Shape("T5", T5_LARGE, 21.59),
    "Llama-3-8B": Shape("Llama", LLAMA_3_8B, 13.43),
    "Gemma-7B": Shape("Gemma", GEMMA_7B, 11.05),
}
CPU = (GEMMA, "roberta-large", "llama")  # what two cores can run
GPU = ("RoBERTa-large", "T5-large", "Llama-3-8B", "Gemma-7B")  # the paper's


def backbone_of(name: str, dtype: str, device: str) -> Any:
    """Return the loaded backbone of a shape."""
    shape = SHAPES[name]
    if shape is None:
        return Backbone(backbone_folder(name)).load(dtype, device)
    model = shape.make(getattr(torch, dtype), device)
    tokenizer = learnt_tokenizer(toy.reviews(200)[0])
    return Backbone(model, tokenizer).load(dtype, device)


def exits_with_mean(mean_exit: float, n_texts: int, n_layers: int) -> np.ndarray:
    """Draw exits over all depths with the paper's mean; it prints no distribution."""
    share = mean_exit / n_layers
    shares = np.random.default_rng(1).beta(2 * share, 2 * (1 - share), size=n_texts)
    return np.round(shares * n_layers).astype(np.int64)
