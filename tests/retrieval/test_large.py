"""Databases too large for a second copy: parts in place of the whole, same answers."""

import gc
import weakref

import numpy as np
import pytest

from skraee.engine import lru_cache
from skraee.engine.lru_cache import clear_caches
from skraee.retrieval import exact_search, graph_search, points, vectors
from skraee.retrieval.database import Database
from skraee.retrieval.neighbors import NeighborIndex
from skraee.retrieval.standardizer import Standardizer
from skraee.retrieval.vectors import as_stored, stored_as
from tests.support.keys import METHODS, METRICS, graph_of, mixture


@pytest.fixture
def few_held(monkeypatch):
    monkeypatch.setattr(points, "MOST_HELD", 0)
    monkeypatch.setattr(points, "MADE_AT_ONCE", 3_000)


@pytest.mark.parametrize("copies", [0, 0.3])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("method", METHODS)
def test_search_with_points_made_in_parts_finds_what_held_points_find(
    method, metric, copies, request
):
    keys, queries = mixture(1500, n_queries=70, d=48, copies=copies)
    keys += 10
    queries += 10
    expected = NeighborIndex(keys, metric=metric, method=method).search(queries, 12)
    request.getfixturevalue("few_held")
    index = NeighborIndex(keys, metric=metric, method=method)
    found = index.search(queries, 12)
    exact = graph_of(index) if method == "exact" else graph_of(index).exact
    assert exact.points._held is None
    assert len(exact.points.parts(10**9)) > 10
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_graph_that_grows_with_points_made_in_parts_is_that_of_held_ones(request):
    keys, queries = mixture(900, n_queries=60, d=16, rank=8)
    held = NeighborIndex(keys[:300]).build(12).grown(keys).search(queries, 12)
    request.getfixturevalue("few_held")
    made = NeighborIndex(keys[:300]).build(12).grown(keys).search(queries, 12)
    np.testing.assert_array_equal(made[1], held[1])


@pytest.mark.parametrize("k", [1, 12, 90, 500])
@pytest.mark.parametrize("max_scores", [40, 1_000, 10**6])
def test_candidates_of_parts_hold_all_neighbors_and_are_few(k, max_scores, monkeypatch):
    keys, queries = mixture(500, n_queries=20, d=20, rank=8)
    whole = NeighborIndex(keys, method="exact")
    expected = whole.search(queries, k)
    monkeypatch.setattr(exact_search, "MAX_SCORES", max_scores)
    parted = NeighborIndex(keys, method="exact")
    rows, numbers = graph_of(parted).propose(whole._parts().space.points(queries), k)
    assert len(rows) <= 20 * min(1.2 * k + 10, len(np.unique(keys, axis=0)))
    assert len(set(zip(rows.tolist(), numbers.tolist(), strict=True))) == len(rows)
    np.testing.assert_array_equal(parted.search(queries, k)[1], expected[1])


def test_exact_search_scores_no_more_queries_at_a_time_than_pairs_have_room():
    exact = graph_of(NeighborIndex(np.eye(8), method="exact"))
    assert exact.max_queries == exact_search.MAX_QUERIES
    many = np.zeros((2**17, 2), dtype=np.float32)
    many[:, 0] = np.arange(2**17)
    exact = graph_of(NeighborIndex(many, method="exact"))
    assert exact.max_queries * len(many) <= exact_search.MAX_PAIRS


def test_walk_is_no_broader_than_the_most(monkeypatch):
    keys = np.random.default_rng(0).normal(size=(2_000, 64)).astype(np.float32)
    monkeypatch.setattr(graph_search, "MAX_BREADTH", 64)
    monkeypatch.setattr(graph_search, "MIN_RECALL", 1.1)  # that none reaches
    index = NeighborIndex(keys).build(12)
    assert graph_of(index).breadths == {12: None}


# float16


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("method", METHODS)
def test_search_of_float16_keys_is_that_of_the_numbers_they_hold(metric, method):
    keys, queries = mixture(1200, n_queries=60, d=32, rank=16)
    half = keys.astype(np.float16)
    index = NeighborIndex(half, metric=metric, method=method)
    assert index.keys is half
    asked = queries.astype(np.float16).astype(np.float32)
    expected = NeighborIndex(half.astype(np.float32), metric=metric, method="exact")
    found = index.search(queries, 12)
    wanted = expected.search(asked, 12)
    if method == "exact":
        np.testing.assert_array_equal(found[1], wanted[1])
    np.testing.assert_allclose(found[0], wanted[0], rtol=1e-2, atol=1e-6)


def test_text_that_is_stored_in_float16_finds_itself_at_exactly_zero():
    keys, _ = mixture(300, copies=0)
    distances, rows = NeighborIndex(keys.astype(np.float16)).search(keys, 1)
    assert (distances == 0).all()
    np.testing.assert_array_equal(rows[:, 0], np.arange(300))


def test_float16_keys_find_the_neighbors_of_float32_keys():
    keys, queries = mixture(5_000, n_queries=500)
    expected, _ = NeighborIndex(keys, method="exact").search(queries, 12)
    half = NeighborIndex(keys.astype(np.float16), method="exact")
    _, rows = half.search(queries, 12)
    distances = np.square(queries[:, None] - keys[rows]).sum(axis=2)
    recall = np.mean(distances <= expected[:, -1:] * (1 + 1e-6))
    assert recall >= 0.999


def test_query_beyond_float16_is_compared_as_it_is():
    keys = np.array([[1.0], [6e4]], dtype=np.float16)
    distances, rows = NeighborIndex(keys, metric="euclidean").search([[1e5]], 1)
    assert rows.tolist() == [[1]]
    assert distances.tolist() == [[1e5 - float(np.float16(6e4))]]
    assert as_stored(np.float32([[1e5, 1 / 3]]), np.dtype("f2")).tolist() == [
        [1e5, float(np.float16(1 / 3))]
    ]


def texts(n=6, d=4):
    rng = np.random.default_rng(0)
    return (
        rng.normal(size=(n, d)),
        rng.dirichlet([1, 1], size=(n, 3)),
        [0, 1] * (n // 2),
    )


def test_database_keeps_its_key_dtype_when_texts_are_added():
    keys, proba, labels = texts()
    half = Database.build(keys, proba, labels, key_dtype="float16")
    whole = Database.build(keys + 1, proba, labels)
    assert half.keys.dtype == half.joined(whole, 6).keys.dtype == np.float16
    assert whole.joined(half, 6).keys.dtype == np.float32
    assert half.keys.nbytes * 2 == whole.keys.nbytes


def test_keys_that_float16_does_not_hold_are_refused():
    keys, proba, labels = texts()
    half = Database.build(keys, proba, labels, key_dtype="float16")
    keys[2, 1] = 7e4
    refused = r"up to 65504, and keys .* reach 7e\+04; leave"
    with pytest.raises(ValueError, match=refused):
        Database.build(keys, proba, labels, key_dtype="float16")
    large = Database.build(keys, proba, labels)
    with pytest.raises(ValueError, match=refused):
        half.joined(large, 6)


def test_keys_that_are_of_the_dtype_are_not_copied():
    keys = np.eye(2, dtype=np.float16)
    assert stored_as(keys, "float16") is keys


# What is shared between fits


def shared(n: int, seed: int) -> Database:
    keys, _ = mixture(n, d=16, rank=8, seed=seed)
    proba, labels = np.full((n, 3, 2), 0.5), np.zeros(n, dtype=int)
    made = Database.build(keys, proba, labels, shared=True)
    made.neighbors(keys[:5], 3)
    return made


def test_of_large_indexes_only_the_last_is_kept_for_later_fits(monkeypatch):
    monkeypatch.setattr(lru_cache, "MOST_BYTES", 2 * 400 * 16 * 4 * 2 + 10_000)
    clear_caches()
    first, second = shared(400, 1), shared(400, 2)
    assert shared(400, 1)._index is first._index
    large = shared(900, 3)
    assert shared(900, 3)._index is large._index
    assert shared(400, 2)._index is not second._index
    clear_caches()


def test_index_that_is_kept_no_more_is_let_go_of(monkeypatch):
    monkeypatch.setattr(lru_cache, "MOST_BYTES", 0)
    clear_caches()
    gone = weakref.ref(shared(300, 4)._index)
    shared(300, 5)
    gc.collect()
    assert gone() is None
    clear_caches()


# Keys of a depth, brought to one scale


def plain_scale(keys):
    """What all keys in float64 give."""
    exact = keys.astype(np.float64)
    return exact.mean(axis=0), exact.var(axis=0)


@pytest.mark.parametrize("at_once", [1, 100, 2**22])
def test_standardizer_of_parts_is_that_of_all_keys(at_once, monkeypatch):
    keys = mixture(300, d=24, rank=8)[0] + 5
    monkeypatch.setattr(vectors, "AT_ONCE", at_once)
    found = Standardizer.fit(keys)
    mean, variance = plain_scale(keys)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-13)
    np.testing.assert_allclose(found.variance, variance, rtol=1e-12)
    scaled = ((keys - found.mean) / found.scale).astype(np.float32)
    np.testing.assert_array_equal(found(keys), scaled, strict=True)
    undone = (scaled * found.scale + found.mean).astype(np.float32)
    np.testing.assert_array_equal(found.undo(scaled), undone, strict=True)


def test_standardizer_of_few_keys_is_that_of_all_keys_bit_by_bit():
    keys = mixture(300, d=24, rank=8)[0]
    found = Standardizer.fit(keys)
    mean, variance = plain_scale(keys)
    np.testing.assert_array_equal(found.mean, mean)
    np.testing.assert_array_equal(found.variance, variance)


@pytest.mark.parametrize("at_once", [1, 30])
def test_keys_that_are_not_finite_are_found_in_any_part(at_once, monkeypatch):
    monkeypatch.setattr(vectors, "AT_ONCE", at_once)
    keys = np.ones((9, 4), dtype=np.float32)
    keys[[5, 7], 2] = np.nan
    with pytest.raises(ValueError, match=r"but 2 of 9 hold .* first at position 5"):
        NeighborIndex(keys)
