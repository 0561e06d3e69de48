"""Distinct keys, found by hashes, are those that sorting all of them finds."""

import numpy as np
import pytest

from skraee.retrieval import copies as module
from skraee.retrieval.copies import Copies


def plain(keys):
    """Sort the keys themselves: first rows, and each row's first row."""
    as_bytes = (keys + keys.dtype.type(0)).view(
        f"V{keys.dtype.itemsize * keys.shape[1]}"
    )
    _, first, group = np.unique(as_bytes[:, 0], return_index=True, return_inverse=True)
    return np.sort(first), first[group]


def originals(found, n):
    """Each row's first row."""
    answer = np.empty(n, dtype=int)
    answer[found.rows] = np.repeat(found.first, found.counts)
    return answer


def some_keys(n, d, dtype, seed=0):
    rng = np.random.default_rng(seed)
    keys = rng.integers(-2, 3, size=(n, d)).astype(dtype)
    keys[rng.random((n, d)) < 0.1] = -0.0
    return keys


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("n", "d"), [(1, 3), (400, 1), (900, 4), (500, 64)])
def test_copies_are_those_that_sorting_finds(n, d, dtype, monkeypatch):
    keys = some_keys(n, d, dtype)
    monkeypatch.setattr(module, "_AT_ONCE", 100)
    found = Copies(keys)
    first, original = plain(keys)
    np.testing.assert_array_equal(found.first, first)
    np.testing.assert_array_equal(originals(found, n), original)
    assert found.counts.sum() == n


def test_copies_whose_hashes_lie_are_hashed_again(monkeypatch):
    keys = some_keys(300, 4, np.float32)
    honest, asked = module._hashes, []

    def lying(keys, seed):
        asked.append(seed)
        return honest(keys, seed) % np.uint64(50) if seed < 2 else honest(keys, seed)

    monkeypatch.setattr(module, "_hashes", lying)
    np.testing.assert_array_equal(Copies(keys).first, plain(keys)[0])
    assert asked == [0, 1, 2]


def test_copies_of_read_only_keys_leave_them_as_they_are():
    keys = np.array([[-0.0, 1.0], [0.0, 1.0]], dtype=np.float32)
    keys.flags.writeable = False
    assert len(Copies(keys).first) == 1
    assert np.signbit(keys[0, 0])
