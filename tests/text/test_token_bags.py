"""Bags of tokens: what falls into them, and what does not."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from skraee.text.prompt import Prompt
from skraee.text.token_bags import N_BUCKETS, TokenBags

MASK = 2**64 - 1


def spread(value: int) -> int:
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & MASK
    return value ^ value >> 31


def plain_bag(prompt: Prompt) -> set[int]:
    """Hash token by token and pair by pair, in Python's integers."""
    found = set()
    for window in prompt.windows:
        for start, stop in window.spans:
            ids = window.ids[start:stop]
            found |= {spread(i + 1) for i in ids}
            found |= {
                spread(spread(a + 1) * 0x94D049BB133111EB + b + 1 & MASK)
                for a, b in itertools.pairwise(ids)
            }
    return {value >> 49 for value in found}


def prompt(ids: Sequence[int], *spans: tuple[int, int]) -> Prompt:
    return Prompt(tuple(ids), 0, spans)


def drawn(n: int, seed: int = 0) -> list[Prompt]:
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        ids = rng.integers(0, 250_000, rng.integers(2, 30)).tolist()
        cut = int(rng.integers(0, len(ids) + 1))
        made.append(prompt(ids, (0, cut), (cut, len(ids) - 1)))
    return made


def test_bags_are_those_of_plain_integers() -> None:
    prompts = drawn(40)
    found = TokenBags.of(prompts).each()
    for own, of_text in zip(prompts, found, strict=True):
        assert of_text.dtype == np.uint16
        assert of_text.tolist() == sorted(plain_bag(own))


def test_a_bag_hangs_on_its_own_text_alone() -> None:
    prompts = drawn(30, seed=1)
    together = TokenBags.of(prompts).each()
    for own, of_text in zip(prompts, together, strict=True):
        np.testing.assert_array_equal(TokenBags.of([own]).buckets, of_text)


def test_words_around_the_text_and_pairs_over_its_ends_are_left_out() -> None:
    ids = [1, 5, 6, 2, 9, 3]
    alone = TokenBags.of([prompt([5, 6], (0, 2)), prompt([9], (0, 1))]).each()
    found = TokenBags.of([prompt(ids, (1, 3), (4, 5))])
    np.testing.assert_array_equal(found.buckets, np.unique(np.concatenate(alone)))
    neighbours = TokenBags.of([prompt([5, 6, 9], (0, 2), (2, 3))])
    np.testing.assert_array_equal(neighbours.buckets, found.buckets)
    joined = TokenBags.of([prompt([5, 6, 9], (0, 3))])
    assert len(joined.buckets) == len(found.buckets) + 1


def test_order_counts_by_pairs_only_and_repetition_not_at_all() -> None:
    bags = TokenBags.of(
        [prompt(ids, (0, len(ids))) for ids in ([4, 8], [8, 4], [4, 8, 4, 8, 4])]
    )
    first, turned, again = map(set, map(np.ndarray.tolist, bags.each()))
    assert len(first) == len(turned) == 3
    assert len(first & turned) == 2
    assert again == first | turned


def test_windows_of_a_text_are_one_bag() -> None:
    first, second = prompt([3, 4, 5], (0, 2)), prompt([4, 5, 6], (1, 3))
    whole = TokenBags.of([replace(first, further=(second,)), second])
    alone = TokenBags.of([first, second]).each()
    np.testing.assert_array_equal(whole.each()[0], np.union1d(*alone))
    np.testing.assert_array_equal(whole.each()[1], alone[1])


def test_rows_of_the_matrix_have_length_one_and_an_empty_text_none() -> None:
    prompts = [*drawn(5), prompt([1, 2], (1, 1)), *drawn(5, seed=2)]
    bags = TokenBags.of(prompts)
    matrix = bags.matrix()
    assert matrix.shape == (11, N_BUCKETS)
    lengths = np.sqrt((matrix * matrix).sum(axis=1))
    np.testing.assert_allclose(lengths, np.where(np.arange(11) == 5, 0, 1))
    for row, own in zip(matrix.toarray(), prompts, strict=True):
        assert set(np.flatnonzero(row)) == plain_bag(own)


def test_some_buckets_are_columns_and_the_others_count_in_the_length() -> None:
    bags = TokenBags.of([*drawn(6), prompt([1, 2], (1, 1))])
    whole = bags.matrix().toarray()
    for some in (np.unique(bags.buckets)[::3], np.empty(0, int), np.array([0, 32_767])):
        found = bags.matrix(some.astype(np.uint16))
        np.testing.assert_array_equal(found.toarray(), whole[:, some])


def test_some_are_taken_and_all_are_joined_again() -> None:
    bags = TokenBags.of(drawn(12))
    rows = np.array([3, 3, 0, 11])
    taken = bags.take(rows)
    for row, own in zip(rows, taken.each(), strict=True):
        np.testing.assert_array_equal(own, bags.each()[row])
    again = TokenBags.joined(bags.each())
    np.testing.assert_array_equal(again.buckets, bags.buckets)
    np.testing.assert_array_equal(again.ends, bags.ends)


def test_no_texts_have_no_bags() -> None:
    none = TokenBags.of([])
    assert len(none) == len(none.each()) == 0
    assert none.matrix().shape == (0, N_BUCKETS)
    assert len(TokenBags.joined([])) == 0


@pytest.mark.parametrize("vocabulary", [300, 250_000])
def test_buckets_are_filled_evenly(vocabulary: int) -> None:
    """Ids are small and close together; their buckets must not be."""
    alone = prompt(range(vocabulary), (0, vocabulary))
    filled = len(TokenBags.of([alone]).buckets)
    n_keys = 2 * vocabulary - 1
    expected = N_BUCKETS * (1 - np.exp(-n_keys / N_BUCKETS))
    assert filled == pytest.approx(expected, rel=0.02)
