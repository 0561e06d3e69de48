"""Reviews that are harder than the toys'."""

from __future__ import annotations

import numpy as np

from skraee import toy


def noisy_reviews(n: int, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Make reviews of which a quarter has the wrong label, so that exits differ."""
    texts, labels = toy.reviews(n, seed)
    wrong = np.random.default_rng(seed).random(n) < 0.25
    flipped = np.where(labels == "positive", "negative", "positive")
    return texts, np.where(wrong, flipped, labels)


def turned_reviews(n: int, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Make reviews whose first word may turn their sense: seq2seq needs depth here."""
    texts, labels = toy.reviews(n, seed)
    turned = np.random.default_rng(seed + 10).random(n) < 0.5
    words = np.where(turned, "but", "and")
    positive = (labels == "positive") ^ turned
    return (
        [f"{word} {text}" for word, text in zip(words, texts, strict=True)],
        np.where(positive, "positive", "negative"),
    )
