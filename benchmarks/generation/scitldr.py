"""SciTLDR: abstracts and one-sentence summaries, several of some test texts."""

from __future__ import annotations

import csv
import re

import numpy as np

from benchmarks.data import data_folder

Summaries = tuple[list[str], list[str]]

_SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


def read_part(part: str) -> Summaries:
    """Return abstracts and their summaries, in which " || " parts references."""
    path = data_folder() / "generation" / "scitldr" / f"{part}.csv"
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row["text"].strip() for row in rows], [row["target"] for row in rows]


def drawn(pairs: Summaries, size: int | None, seed: int) -> Summaries:
    """Return so many of the pairs; all where there are not as many."""
    texts, targets = pairs
    if size is None or size >= len(texts):
        return pairs
    chosen = np.random.default_rng(seed).permutation(len(texts))[:size]
    return [texts[i] for i in chosen], [targets[i] for i in chosen]


def lead(text: str, n_sentences: int) -> str:
    """Return the first sentences of a text."""
    return " ".join(_SENTENCE_ENDS.split(text.strip())[:n_sentences])
