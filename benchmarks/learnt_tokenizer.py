"""A tokenizer for models that come without one."""

from __future__ import annotations

from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import Any


def learnt_tokenizer(texts: Sequence[str]) -> Any:
    """Learn a byte-pair tokenizer of RoBERTa's kind and size limit from texts."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaTokenizerFast

    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    learner = ByteLevelBPETokenizer()
    learner.train_from_iterator(
        texts, vocab_size=30_000, special_tokens=specials, show_progress=False
    )
    with TemporaryDirectory() as folder:
        learner.save_model(folder)
        return RobertaTokenizerFast.from_pretrained(folder)
