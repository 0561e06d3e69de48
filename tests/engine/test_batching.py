"""How texts are put into batches."""

from __future__ import annotations

import numpy as np
import pytest

from skraee.engine.batching import Cutter


@pytest.fixture
def cutter() -> Cutter:
    return Cutter([5, 9, 2, 9, 7])


def test_longest_come_first_and_equal_ones_in_their_order(cutter: Cutter) -> None:
    assert cutter.order.tolist() == [1, 3, 4, 0, 2]
    assert cutter.sorted(np.array([0, 2, 3, 4])).tolist() == [3, 4, 0, 2]


def test_texts_of_all_lengths_share_a_batch_unless_told_otherwise(
    cutter: Cutter,
) -> None:
    assert cutter.first_batch(cutter.order, 100).tolist() == [1, 3, 4, 0, 2]
    alike = Cutter([5, 9, 2, 9, 7], alike=1.0)
    assert alike.first_batch(alike.order, 100).tolist() == [1, 3, 4]


def test_batch_has_as_many_padded_tokens_as_it_may(cutter: Cutter) -> None:
    assert cutter.first_batch(cutter.order, 27).tolist() == [1, 3, 4]
    assert cutter.first_batch(cutter.order, 26).tolist() == [1, 3]
    assert cutter.first_batch(cutter.order, 1).tolist() == [1]
