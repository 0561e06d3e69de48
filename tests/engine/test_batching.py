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
