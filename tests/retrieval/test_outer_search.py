"""An object in the place of a graph: its neighbours, its mistakes, its many copies."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from skraee.retrieval.copies import Copies
from skraee.retrieval.database import Database
from skraee.retrieval.neighbors import NeighborIndex
from skraee.retrieval.outer_search import OuterProposer, is_search_index
from tests.support.keys import METRICS, Plain, graph_of, mixture


@pytest.fixture(autouse=True)
def nothing_filled() -> None:
    Plain.filled.clear()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("half", [False, True])
def test_search_by_an_object_equals_exact_search(metric: Any, half: bool) -> None:
    keys, queries = mixture(700, n_queries=50, d=24, rank=8)
    stored = (keys + 3).astype(np.float16) if half else keys + 3
    index = NeighborIndex(stored, metric=metric, method=Plain())
    exact = NeighborIndex(stored, metric=metric, method="exact")
    found, expected = index.search(queries + 3, 12), exact.search(queries + 3, 12)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_object_is_copied_filled_once_saved_and_then_searched() -> None:
    keys, queries = mixture(700, n_queries=5, d=24, rank=8)
    empty = Plain()
    index = NeighborIndex(keys, method=empty).build(12)
    index.search(queries, 12)
    (filled,) = Plain.filled
    assert filled is not empty
    assert not vars(empty)
    assert filled.calls == ["add", "save", 64, 64, 64]  # probes, build, search
    assert len(filled.points) == len(Copies(keys).first)


class Vague(Plain):
    """Finds what it is asked for among few of the points, the more the more it asks."""

    def search(self, queries: Any, k: int) -> Any:
        distances, positions = super().search(queries, k)
        hidden = positions % 256 >= k
        return distances, np.where(hidden, -1, positions)


def test_object_that_finds_too_few_is_asked_for_more() -> None:
    keys, queries = mixture(2_000, n_queries=50, d=24, rank=8, copies=0)
    index = NeighborIndex(keys, method=Vague())
    found, _ = index.search(queries, 12)
    assert graph_of(index).breadths == {12: 256}
    exact, _ = NeighborIndex(keys, method="exact").search(queries, 12)
    assert np.mean(found <= exact[:, -1:]) >= 0.99


class Useless(Plain):
    def search(self, queries: Any, k: int) -> Any:
        distances, positions = super().search(queries, k)
        return distances, np.full_like(positions, -1)


def test_object_that_finds_nothing_is_not_asked_again() -> None:
    keys, queries = mixture(600, n_queries=9, d=8, rank=4)
    index = NeighborIndex(keys, method=Useless())
    found = index.search(queries, 12)
    exact = NeighborIndex(keys, method="exact").search(queries, 12)
    assert graph_of(index).breadths == {12: None}
    np.testing.assert_array_equal(found[1], exact[1])


class Moody(Plain):
    """Does not find enough for one query, and finds some twice."""

    def search(self, queries: Any, k: int) -> Any:
        distances, positions = super().search(queries, k)
        positions[:, k // 2] = positions[:, 0]
        positions[-1, 5:] = -1
        return distances, positions


def test_query_of_which_too_few_are_found_is_searched_exactly(monkeypatch: Any) -> None:
    keys, queries = mixture(600, n_queries=9, d=8, rank=4)
    monkeypatch.setattr("skraee.retrieval.graph_search.MIN_RECALL", 0.5)
    index = NeighborIndex(keys, method=Moody())
    found = index.search(queries, 12)
    exact = NeighborIndex(keys, method="exact").search(queries, 12)
    assert graph_of(index).breadths == {12: 64}
    np.testing.assert_array_equal(found[1], exact[1])


def answering(distances: Any, positions: Any) -> Any:
    class Answering(Plain):
        def search(self, queries: Any, k: int) -> Any:
            shape = len(queries), k
            return np.zeros(shape) + distances, np.zeros(shape, int) + positions

    return Answering()


def test_position_of_no_point_is_refused() -> None:
    keys, _ = mixture(500, d=8, rank=4, copies=0)
    with pytest.raises(ValueError, match=r"position 500 of 500 points; .* empty its"):
        NeighborIndex(keys, method=answering(1.0, 500)).build(3)


def test_position_at_no_distance_is_none() -> None:
    keys, queries = mixture(500, n_queries=3, d=8, rank=4)
    index = NeighborIndex(keys, method=answering(np.inf, 10**6))
    assert index.search(queries, 3)[1].shape == (3, 3)


@pytest.mark.parametrize("positions", [0.5, np.zeros(3, int)[:, None, None]])
def test_answer_of_another_form_is_refused(positions: Any) -> None:
    keys, _ = mixture(500, d=8, rank=4)
    with pytest.raises(ValueError, match=r"search of index=Answering must return dist"):
        NeighborIndex(keys, method=answering(1.0, positions)).build(3)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda i: _pickled(i)])
def test_copy_of_an_index_holds_nothing_of_the_object_and_fills_another(
    duplicate: Any,
) -> None:
    keys, queries = mixture(500, n_queries=3, d=8, rank=4)
    index = NeighborIndex(keys, method=Plain()).build(12)
    twin = duplicate(index)
    np.testing.assert_array_equal(
        twin.search(queries, 5)[1], index.search(queries, 5)[1]
    )
    assert len(Plain.filled) == 2


def _pickled(index: Any) -> Any:
    return pickle.loads(pickle.dumps(index))


def test_index_that_grows_gives_an_object_all_keys() -> None:
    keys, queries = mixture(800, n_queries=9, d=8, rank=4, copies=0)
    small = NeighborIndex(keys[:500], method=Plain()).build(12)
    before = small.search(queries, 5)
    grown = small.grown(keys)
    exact = NeighborIndex(keys, method="exact").search(queries, 5)
    np.testing.assert_array_equal(grown.search(queries, 5)[1], exact[1])
    np.testing.assert_array_equal(small.search(queries, 5)[1], before[1])
    assert [len(filled.points) for filled in Plain.filled] == [500, 800]


def test_databases_share_an_index_where_their_objects_are_equal() -> None:
    class Named(Plain):
        def __init__(self, name: str) -> None:
            self.name = name

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Named) and other.name == self.name

        def __hash__(self) -> int:
            return hash(self.name)

    class Unhashable(Plain):
        __hash__ = None  # type: ignore[assignment]

    keys, _ = mixture(400, d=8, rank=4, seed=9)
    proba, labels = np.full((400, 3, 2), 0.5), np.zeros(400, int)

    def index(method: Any) -> Any:
        made = Database.build(keys, proba, labels, method=method, shared=True)
        return made._neighbor_index()

    assert index(Named("a")) is index(Named("a")) is not index(Named("b"))
    one = Unhashable()
    assert index(one) is index(one) is not index(Unhashable())


def test_what_a_search_index_is() -> None:
    assert is_search_index(Plain())
    for other in (Plain, "hnsw", None, object(), [1]):
        assert not is_search_index(other)


def test_method_makes_an_outer_proposer() -> None:
    assert isinstance(graph_of(NeighborIndex(np.eye(9), method=Plain())), OuterProposer)
