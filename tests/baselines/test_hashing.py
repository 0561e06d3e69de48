"""Hashes of token ids, by hand."""

from __future__ import annotations

import numpy as np
import torch

from skraee.baselines.hashee.hashing import (
    Counts,
    by_cluster,
    by_rank,
    layers_of_buckets,
)


def test_buckets_spread_evenly_over_the_depth() -> None:
    assert layers_of_buckets(6, 24).tolist() == [4, 8, 12, 16, 20, 24]
    assert layers_of_buckets(6, 4).tolist() == [1, 2, 2, 3, 4, 4]
    assert layers_of_buckets(1, 12).tolist() == [12]


def test_ranks_are_cut_into_buckets_of_equal_size_and_ties_by_id() -> None:
    merit = np.array([1, 5, 1, 5, 9, 1])
    assert by_rank(merit, 3).tolist() == [1, 0, 2, 1, 0, 2]
    nearly = np.array([0.3, 0.1 + 0.2, 0.3])  # the second is larger by rounding alone
    assert by_rank(nearly, 3).tolist() == [0, 1, 2]


def test_cluster_hash_puts_the_cluster_of_least_summed_norm_first() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[9.0, 0, 0], [0, 1.0, 0], [0, 0, 4.0]])
    member = np.arange(60) % 3
    embeddings = torch.tensor(centres[member] + rng.normal(0, 0.05, (60, 3)))
    known = np.arange(45)  # the others fall to their nearest
    found = by_cluster(embeddings, known, 3, 0)
    np.testing.assert_array_equal(found, np.array([2, 0, 1])[member])
    # It is the sum that counts: a few long ones weigh less than many short ones.
    few = known[(member[known] != 0) | (known < 3)]
    found = by_cluster(embeddings, few, 3, 0)
    np.testing.assert_array_equal(found, np.array([0, 1, 2])[member])


def test_counts_of_texts_without_tokens_are_empty() -> None:
    counts = Counts.of([[], []], np.array([0, 1]), 2)
    assert len(counts.ids) == len(counts.information()) == 0
