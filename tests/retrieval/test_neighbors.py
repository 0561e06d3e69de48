"""The index against brute force, by both methods, and what a graph must not spoil."""

import copy
import pickle
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from skraee.retrieval import distances as exact_distances
from skraee.retrieval import exact_search, graph_search, neighbors
from skraee.retrieval.graph_search import GraphProposer
from skraee.retrieval.neighbors import NeighborIndex
from tests.support.keys import METHODS, METRICS, graph_of, mixture, parts_of


@pytest.fixture
def no_hnswlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "hnswlib", None)
    graph_search.import_hnswlib.cache_clear()
    yield
    graph_search.import_hnswlib.cache_clear()


def brute_force(keys, queries, k, metric):
    """Sort all distances by (distance, index), one query after the other."""
    distances = cdist(queries.astype(float), keys.astype(float), metric)
    order = [np.lexsort((np.arange(len(keys)), np.round(d, 12)))[:k] for d in distances]
    return np.take_along_axis(distances, np.array(order), axis=1), np.array(order)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("method", METHODS)
def test_search_on_few_keys_equals_brute_force(metric, method):
    keys, queries = mixture(500, n_queries=80, d=20, rank=8)
    distances, indices = NeighborIndex(keys, metric=metric, method=method).search(
        queries, 12
    )
    expected_distances, expected_indices = brute_force(keys, queries, 12, metric)
    np.testing.assert_array_equal(indices, expected_indices)
    np.testing.assert_allclose(distances, expected_distances, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("metric", METRICS)
def test_search_exact_finds_the_distances_of_scikit_learn(metric):
    keys, queries = mixture(3000, n_queries=200)
    distances, _ = NeighborIndex(keys, metric=metric, method="exact").search(
        queries, 12
    )
    brute = NearestNeighbors(n_neighbors=12, algorithm="brute", metric=metric)
    expected, _ = brute.fit(keys.astype(float)).kneighbors(queries.astype(float))
    np.testing.assert_allclose(distances, expected, rtol=1e-8)


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean"])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
@pytest.mark.parametrize("scale", [1.0, 1e-22, 1e-30, 1e30])
def test_search_exact_far_from_the_origin_or_unity_loses_no_neighbor(
    metric, offset, scale
):
    rng = np.random.default_rng(1)
    keys = ((rng.normal(size=(400, 16)) + offset) * scale).astype(np.float32)
    queries = ((rng.normal(size=(50, 16)) + offset) * scale).astype(np.float32)
    _, indices = NeighborIndex(keys, metric=metric, method="exact").search(queries, 7)
    nearest = [
        np.lexsort((np.arange(400), np.square(keys.astype(float) - query).sum(axis=1)))
        for query in queries.astype(float)
    ]
    np.testing.assert_array_equal(indices, np.array(nearest)[:, :7])


def test_search_exact_in_clusters_tighter_than_float32_rounding_loses_no_neighbor():
    rng = np.random.default_rng(4)
    centres = rng.normal(size=(4, 64))
    vectors = centres[rng.integers(4, size=450)] + 1e-4 * rng.normal(size=(450, 64))
    keys, queries = vectors[:400].astype(np.float32), vectors[400:].astype(np.float32)
    _, indices = NeighborIndex(keys, method="exact").search(queries, 7)
    nearest = np.argsort(cdist(queries.astype(float), keys.astype(float)), axis=1)
    np.testing.assert_array_equal(indices, nearest[:, :7])


def test_search_exact_far_from_the_origin_still_looks_at_few_candidates():
    rng = np.random.default_rng(5)
    index = NeighborIndex(rng.normal(size=(1000, 64)) + 100, method="exact")
    points = parts_of(index).space.points(index.keys[:20])
    rows, _ = graph_of(index).propose(points, 10)
    assert 200 <= len(rows) < 220


@pytest.mark.parametrize("method", METHODS)
def test_search_where_float32_squares_overflow_finds_the_neighbors(method):
    rng = np.random.default_rng(6)
    keys = (rng.normal(size=(400, 16)) * 1e25).astype(np.float32)
    _, indices = NeighborIndex(keys, method=method).search(keys[:50], 7)
    nearest = np.argsort(cdist(keys[:50] / 1e25, keys / 1e25), axis=1)
    np.testing.assert_array_equal(indices, nearest[:, :7])


@pytest.mark.parametrize("metric", METRICS)
def test_search_on_a_lattice_breaks_ties_by_index(metric):
    rng = np.random.default_rng(2)
    keys = rng.integers(1, 4, size=(600, 3)).astype(np.float32)
    queries = rng.integers(1, 4, size=(40, 3)).astype(np.float32)
    _, expected = brute_force(keys, queries, 30, metric)
    for method in METHODS:
        found, indices = NeighborIndex(keys, metric=metric, method=method).search(
            queries, 30
        )
        for row in range(40):
            assert (np.diff(found[row]) >= 0).all()
            ties = np.diff(found[row]) == 0
            assert (np.diff(indices[row])[ties] > 0).all()
        if metric != "cosine":  # whose ties differ in the last bit
            np.testing.assert_array_equal(indices, expected)


def test_search_hnsw_breaks_the_tie_at_the_last_neighbor_by_index():
    # Six lattice points are nearest to each; centring makes their float32 ties uneven.
    keys = np.argwhere(np.ones((12, 12, 12))) + np.float32(0.1)
    index = NeighborIndex(keys)
    _, indices = index.search(keys, 4)
    assert graph_of(index).breadths == {4: 64}
    np.testing.assert_array_equal(
        indices, NeighborIndex(keys, method="exact").search(keys, 4)[1]
    )


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("method", METHODS)
def test_search_for_a_stored_key_finds_it_at_exactly_zero(metric, method):
    keys, _ = mixture(1500, copies=0)
    keys += 100
    distances, indices = NeighborIndex(keys, metric=metric, method=method).search(
        keys, 1
    )
    assert (distances == 0).all()
    np.testing.assert_array_equal(indices[:, 0], np.arange(1500))


@pytest.mark.parametrize("method", METHODS)
def test_search_with_many_copies_finds_the_first_of_them(method):
    keys = np.zeros((1200, 8), dtype=np.float32)
    keys[::100] = np.random.default_rng(0).normal(size=(12, 8))
    distances, indices = NeighborIndex(keys, method=method).search(np.zeros((1, 8)), 5)
    assert distances.tolist() == [[0.0] * 5]
    assert indices.tolist() == [[1, 2, 3, 4, 5]]


def test_search_takes_negative_zero_for_a_copy_of_zero():
    index = NeighborIndex(np.array([[0.0, 1.0], [-0.0, 1.0]]))
    assert len(parts_of(index).copies.first) == 1
    assert index.search([[0.0, 1.0]], 2)[1].tolist() == [[0, 1]]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [1, 5])
def test_search_with_k_above_n_uses_all_keys(method, n):
    keys = np.arange(n, dtype=float)[:, None] * [1.0, 0.0]
    distances, indices = NeighborIndex(keys, method=method).search([[0.0, 0.0]], 12)
    assert indices.tolist() == [list(range(n))]
    assert distances.tolist() == [[float(i**2) for i in range(n)]]


@pytest.mark.parametrize("method", METHODS)
def test_search_without_queries_returns_empty_arrays(method):
    distances, indices = NeighborIndex(np.eye(3), method=method).search(
        np.empty((0, 3)), 2
    )
    assert distances.shape == indices.shape == (0, 2)


@pytest.mark.parametrize("method", METHODS)
def test_search_cosine_with_zero_vectors_is_one_from_all_but_themselves(method):
    keys = np.array([[1, 2], [0, 0], [-3, 1], [0, 0]], dtype=np.float32)
    index = NeighborIndex(keys, metric="cosine", method=method)
    distances, indices = index.search([[0.0, 0.0], [1.0, 2.0]], 4)
    assert distances[0].tolist() == [0.0, 0.0, 1.0, 1.0]
    assert indices[0].tolist() == [1, 3, 0, 2]
    assert distances[1, :3].tolist() == [0.0, 1.0, 1.0]
    assert indices[1].tolist() == [0, 1, 3, 2]


def test_search_cosine_for_a_zero_vector_is_at_exactly_one_from_every_key():
    keys = np.random.default_rng(0).normal(size=(50, 7))
    distances, indices = NeighborIndex(keys, metric="cosine").search(
        np.zeros((1, 7)), 50
    )
    assert (distances == 1.0).all()
    assert indices.tolist() == [list(range(50))]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("method", METHODS)
def test_search_alone_equals_search_in_a_batch_bit_for_bit(metric, method):
    keys, queries = mixture(3000, n_queries=60, copies=0.3)
    index = NeighborIndex(keys, metric=metric, method=method)
    distances, indices = index.search(queries, 12)
    for i, query in enumerate(queries):
        alone_distances, alone_indices = index.search(query[None], 12)
        np.testing.assert_array_equal(alone_distances[0], distances[i])
        np.testing.assert_array_equal(alone_indices[0], indices[i])


@pytest.mark.parametrize("method", METHODS)
def test_search_in_small_chunks_finds_the_same(method, monkeypatch):
    keys, queries = mixture(2000, n_queries=50, d=32, rank=8)
    expected = NeighborIndex(keys, method=method).search(queries, 12)
    monkeypatch.setattr(exact_search, "MAX_SCORES", 7000)
    monkeypatch.setattr(exact_distances, "MAX_COORDINATES", 100)
    monkeypatch.setattr(exact_search, "MAX_QUERIES", 8)
    monkeypatch.setattr(GraphProposer, "max_queries", 8)
    distances, indices = NeighborIndex(keys, method=method).search(queries, 12)
    np.testing.assert_array_equal(distances, expected[0])
    np.testing.assert_array_equal(indices, expected[1])


def test_method_decides_whether_there_is_a_graph():
    keys, _ = mixture(300, d=4, rank=4)
    assert isinstance(graph_of(NeighborIndex(keys)), GraphProposer)
    exact = NeighborIndex(keys, method="exact")
    assert isinstance(graph_of(exact), exact_search.ExactProposer)


def test_build_makes_the_graph_before_the_first_search(monkeypatch):
    made = []

    class Noting(GraphProposer):
        def __init__(self, *args):
            made.append(self)
            super().__init__(*args)

    monkeypatch.setattr(neighbors, "GraphProposer", Noting)
    index = NeighborIndex(mixture(300, d=4, rank=4)[0])
    assert not made
    index.build(5)
    index.search(index.keys[:9], 5)
    (proposer,) = made
    assert 5 in proposer.breadths


@pytest.mark.parametrize("metric", METRICS)
def test_grown_index_equals_one_built_at_once(metric):
    keys, queries = mixture(900, n_queries=60, d=16, rank=8)
    small = NeighborIndex(keys[:300], metric=metric, random_state=5).build(12)
    before = small.search(queries, 12)
    grown = small.grown(keys[:500]).grown(keys)
    graph = graph_of(grown).graph
    assert graph is graph_of(small).graph
    assert graph._graph.get_current_count() == len(np.unique(keys, axis=0))
    assert graph._graph.get_max_elements() >= 2 * len(np.unique(keys[:500], axis=0))
    found = grown.search(queries, 12)
    exact = NeighborIndex(keys, metric=metric, method="exact").search(queries, 12)
    assert np.mean(found[0] <= exact[0][:, -1:]) >= 0.99
    again = small.search(queries, 12)  # blind to what was added
    assert again[1].max() < 300
    assert np.mean(again[0] <= before[0][:, -1:]) >= 0.99


def test_index_that_grows_twice_has_a_graph_for_each():
    keys, queries = mixture(900, n_queries=60, d=16, rank=8, copies=0)
    small = NeighborIndex(keys[:300]).build(12)
    one = small.grown(keys[:600])
    other = small.grown(np.concatenate([keys[:300], keys[600:]]))
    assert graph_of(one).graph is graph_of(small).graph is not graph_of(other).graph
    exact = NeighborIndex(other.keys, method="exact").search(queries, 12)
    found = other.search(queries, 12)
    assert np.mean(found[0] <= exact[0][:, -1:]) >= 0.99


@pytest.mark.parametrize("method", METHODS)
def test_grown_index_that_was_not_built_finds_the_same(method):
    keys, queries = mixture(300, n_queries=20, d=8, rank=4)
    grown = NeighborIndex(keys[:100], method=method).grown(keys)
    expected = NeighborIndex(keys, method="exact").search(queries, 5)
    np.testing.assert_array_equal(grown.search(queries, 5)[0], expected[0])


@pytest.mark.slow
def test_search_hnsw_on_a_mixture_with_copies_recalls_99_percent():
    keys, queries = mixture(20_000, n_queries=1000)
    index = NeighborIndex(keys, method="hnsw", random_state=3)
    distances, indices = index.search(queries, 12)
    assert isinstance(graph_of(index), GraphProposer)
    assert graph_of(index).breadths[12] is not None
    exact, _ = NeighborIndex(keys, method="exact").search(queries, 12)
    assert np.mean(distances <= exact[:, -1:]) >= 0.99

    again, indices_again = NeighborIndex(keys, random_state=3).search(queries, 12)
    np.testing.assert_array_equal(again, distances)
    np.testing.assert_array_equal(indices_again, indices)


@pytest.mark.parametrize("metric", METRICS)
def test_search_hnsw_recalls_99_percent_and_is_repeatable(metric):
    keys, queries = mixture(3000, n_queries=300)
    index = NeighborIndex(keys, metric=metric, random_state=3)
    distances, indices = index.search(queries, 12)
    assert graph_of(index).breadths == {12: 64}
    exact, _ = NeighborIndex(keys, metric=metric, method="exact").search(queries, 12)
    assert np.mean(distances <= exact[:, -1:]) >= 0.99

    again = NeighborIndex(keys, metric=metric, random_state=3, n_jobs=2)
    np.testing.assert_array_equal(again.search(queries, 12)[1], indices)


def test_search_hnsw_widens_the_walk_until_probes_find_their_neighbors():
    rng = np.random.default_rng(0)
    keys = rng.normal(size=(4000, 64))  # no structure: the hardest case for a graph
    index = NeighborIndex(keys)
    distances, _ = index.search(keys[:500], 12)
    breadth = graph_of(index).breadths[12]
    assert breadth is None or breadth > 64
    exact, _ = NeighborIndex(keys, method="exact").search(keys[:500], 12)
    assert np.mean(distances <= exact[:, -1:]) >= 0.98


def test_search_hnsw_where_no_walk_would_do_searches_exactly():
    keys, queries = mixture(300, n_queries=20)
    index = NeighborIndex(keys)
    _, indices = index.search(queries, 100)
    assert graph_of(index).breadths == {100: None}
    np.testing.assert_array_equal(
        indices, NeighborIndex(keys, method="exact").search(queries, 100)[1]
    )


def test_search_hnsw_does_not_depend_on_earlier_searches():
    keys, queries = mixture(3000, n_queries=100)
    fresh, used = NeighborIndex(keys), NeighborIndex(keys)
    used.search(queries, 100)
    np.testing.assert_array_equal(
        used.search(queries, 12)[1], fresh.search(queries, 12)[1]
    )


def test_search_hnsw_inserts_from_one_thread_and_walks_from_n_jobs(monkeypatch):
    hnswlib = pytest.importorskip("hnswlib")
    calls = []

    class Spy(hnswlib.Index):
        def init_index(self, n, random_seed):
            calls.append(("seed", random_seed))
            super().init_index(n, random_seed=random_seed)

        def add_items(self, points, num_threads):
            calls.append(("add", num_threads))
            super().add_items(points, num_threads=num_threads)

        def knn_query(self, points, breadth, num_threads):
            calls.append(("walk", num_threads))
            return super().knn_query(points, breadth, num_threads=num_threads)

    monkeypatch.setattr(hnswlib, "Index", Spy)
    keys, _ = mixture(500, d=16, rank=8)
    index = NeighborIndex(keys, n_jobs=3)
    index.search(keys, 12)
    assert calls[:2] == [("seed", index.seed), ("add", 1)]
    assert set(calls[2:]) == {("walk", 3)}


def test_search_hnsw_where_a_walk_fails_searches_that_query_exactly():
    keys, queries = mixture(1000, n_queries=9)
    index = NeighborIndex(keys)
    index.search(queries, 12)
    graph_of(index).graph = _FailsFor(graph_of(index), queries[4], index)
    distances, indices = index.search(queries, 12)
    exact_distances, exact_indices = NeighborIndex(keys, method="exact").search(
        queries, 12
    )
    np.testing.assert_array_equal(indices[4], exact_indices[4])
    np.testing.assert_array_equal(distances[4], exact_distances[4])
    assert np.mean(indices == exact_indices) > 0.95
    assert graph_of(index).graph.walked == 8


class _FailsFor:
    """A graph whose walk from one query meets too few points."""

    is_lost = False

    def __init__(self, proposer, query, index):
        self.graph = proposer.graph
        self.point = parts_of(index).space.points(query[None])
        self.walked = 0

    def walk(self, points, breadth, n_jobs):
        if (points == self.point).all(axis=1).any():
            raise RuntimeError("Cannot return the results in a contiguous 2D array.")
        self.walked += len(points)
        return self.graph.walk(points, breadth, n_jobs)


@pytest.mark.parametrize("method", METHODS)
def test_search_from_sixteen_threads_at_once_gives_the_serial_answer(method):
    keys, queries = mixture(2000, n_queries=32, d=64, rank=16)
    serial = NeighborIndex(keys, method=method)
    index = NeighborIndex(keys, method=method)
    sizes = [1, 5, 12, 30] * 8
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda q, k: index.search(q[None], k), queries, sizes))
    for query, k, (distances, indices) in zip(queries, sizes, found, strict=True):
        expected = serial.search(query[None], k)
        np.testing.assert_array_equal(distances, expected[0])
        np.testing.assert_array_equal(indices, expected[1])


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda i: _pickled(i)])
def test_pickle_holds_no_graph_and_gives_the_same_neighbors(duplicate):
    keys, queries = mixture(3000, n_queries=100)
    index = NeighborIndex(keys, random_state=np.random.RandomState(5))
    before = len(pickle.dumps(index))
    expected = index.search(queries, 12)
    assert len(pickle.dumps(index)) == before < keys.nbytes + 2000

    twin = duplicate(index)
    assert graph_of(twin).graph is not graph_of(index).graph
    for found, wanted in zip(twin.search(queries, 12), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def _pickled(index):
    return pickle.loads(pickle.dumps(index))


def test_keys_that_are_contiguous_float32_are_not_copied():
    keys = np.eye(3, dtype=np.float32)
    assert NeighborIndex(keys).keys is keys
    assert len(NeighborIndex(keys)) == 3


def test_search_hnsw_without_hnswlib_is_exact_and_warns_once(no_hnswlib):
    keys, queries = mixture(500, n_queries=20, d=16, rank=8)
    index = NeighborIndex(keys, method="hnsw")
    with pytest.warns(UserWarning, match="pip install hnswlib") as record:
        _, indices = index.search(queries, 12)
    assert len(record) == 1
    np.testing.assert_array_equal(
        indices, NeighborIndex(keys, method="exact").search(queries, 12)[1]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        NeighborIndex(keys, method="hnsw").search(queries, 12)


def test_exact_search_needs_no_hnswlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "hnswlib", None)
    graph_search.import_hnswlib.cache_clear()
    assert NeighborIndex(np.eye(3), method="exact").search(np.eye(3), 1)[1].shape == (
        3,
        1,
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_keys_that_are_not_finite_raise_and_name_the_first(value):
    keys = np.ones((5, 2))
    keys[3, 1] = keys[4, 0] = value
    with pytest.raises(
        ValueError, match=r"keys must be finite .* 2 of 5 .* at position 3"
    ):
        NeighborIndex(keys)


def test_queries_that_are_not_finite_raise_and_name_the_first():
    with pytest.raises(
        ValueError, match=r"queries must be finite .* 1 of 2 .* at position 1"
    ):
        NeighborIndex(np.eye(2)).search([[0, 0], [0, np.nan]], 1)


def test_queries_of_another_width_raise():
    with pytest.raises(
        ValueError, match=r"queries must have shape \(n, 2\), got \(1, 3"
    ):
        NeighborIndex(np.eye(2)).search([[0, 0, 0]], 1)


@pytest.mark.parametrize("k", [0, -1])
def test_search_with_k_below_one_raises(k):
    with pytest.raises(ValueError, match=f"k must be at least 1, got {k}"):
        NeighborIndex(np.eye(2)).search([[0, 0]], k)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_keys_that_are_empty_raise(shape):
    with pytest.raises(ValueError, match="keys must not be empty, got shape"):
        NeighborIndex(np.empty(shape))


def test_keys_that_are_no_matrix_raise():
    with pytest.raises(ValueError, match=r"keys must have shape \(n, d\), got \(3,\)"):
        NeighborIndex(np.ones(3))


def test_unknown_metric_and_method_raise():
    with pytest.raises(ValueError, match="sqeuclidean, euclidean, cosine, got 'l1'"):
        NeighborIndex(np.eye(2), metric="l1")
    with pytest.raises(
        ValueError, match="method must be one of hnsw, exact, got 'ivf'"
    ):
        NeighborIndex(np.eye(2), method="ivf")
