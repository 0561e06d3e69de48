"""What makes keys of texts beside the sentence encoder as it comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from skraee import Encoder

Vectors = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class OfPrompts:
    """Encodes prompts in the place of texts, as the paper does.

    An encoder that pools over all its tokens, as bert-base-uncased does here, so gives
    the mean over the whole filled prompt.

    Attributes
    ----------
    encoder : Encoder
    template : str
        With ``{text}`` and, of masked models, ``{mask}``, for which the encoder reads
        the mark that BERT's tokenizers have for it.
    """

    encoder: Encoder
    template: str

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors (n, d) of n texts."""
        around = self.template.replace("{mask}", "[MASK]")
        return self.encoder.encode([around.replace("{text}", text) for text in texts])


@dataclass(frozen=True)
class InDtype:
    """A sentence encoder that computes in the numbers of a backbone.

    Attributes
    ----------
    name : str
        A folder, or a hub name.
    dtype : {"float32", "bfloat16", "float16"}
    device : str
    """

    name: str
    dtype: str
    device: str

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors (n, d) of n texts."""
        model = _in_dtype(self.name, self.dtype, self.device)
        found = model.encode(list(texts), show_progress_bar=False)
        return np.asarray(found, dtype=np.float32)


@lru_cache(1)
def _in_dtype(name: str, dtype: str, device: str) -> Any:
    # A checkpoint without modules is averaged over all its tokens there, too.
    from sentence_transformers import SentenceTransformer

    where = None if device == "auto" else device
    return SentenceTransformer(name, device=where).to(getattr(torch, dtype))
