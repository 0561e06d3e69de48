"""What fit remembers: shapes, votes, numbering, and what a pickle holds."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import joblib
import numpy as np
import pytest

from skraee.exits.policies import ByVotes, ExitChoice, votes_of
from skraee.exits.voting import exit_information, select_votes
from skraee.retrieval.database import Database
from skraee.retrieval.neighbors import NeighborIndex

# Four texts on a line, three depths, two classes.
KEYS = np.array([[0.0], [1.0], [3.0], [7.0]])
LABELS = np.array([0, 1, 1, 0])
PROBA = np.array(
    [
        [[0.9375, 0.0625], [0.5, 0.5], [0.25, 0.75]],  # right at 0 and 1
        [[0.75, 0.25], [0.25, 0.75], [0.125, 0.875]],  # right at 1 and 2
        [[0.5, 0.5], [0.0625, 0.9375], [0.0, 1.0]],  # right at 1 and 2
        [[0.25, 0.75], [0.25, 0.75], [0.25, 0.75]],  # never right
    ]
)


def exits(database: Database, queries: Any, **settings: Any) -> ExitChoice:
    """Choose exits by votes, as the classifier does."""
    keys = np.asarray(queries, dtype=np.float32)
    return ByVotes(database=database, **settings).choice(keys)


@pytest.fixture
def database():
    return Database.build(KEYS, PROBA, LABELS)


def random_texts(n=400, d=16, n_depths=7, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet(np.ones(n_classes), size=(n, n_depths))
    return rng.normal(size=(n, d)), proba, rng.integers(n_classes, size=n)


def test_build_stores_compact_arrays(database):
    assert database.keys.dtype == database.proba.dtype == np.float32
    assert database.labels.dtype == np.uint8
    assert (len(database), database.n_layers, database.n_classes) == (4, 2, 2)
    assert database.positions.tolist() == [0, 1, 2, 3]


def test_exits_add_the_votes_of_the_nearest_texts(database):
    # From 2: texts 1 and 2 at squared distance 1, then text 0 at 4. Text 1 has nothing
    # above 0.9 and votes with its top 3.
    choice = exits(database, [[2.0]], k=3, tau=0.9)
    assert choice.distances.tolist() == [[1.0, 1.0, 4.0]]
    assert choice.rows.tolist() == [[1, 2, 0]]
    assert choice.scores.tolist() == [
        [0.25 * 0.9375, 0.75 + 0.9375, 0.875 + 1.0],
    ]
    assert choice.depths.tolist() == [2]
    assert choice.undecided.tolist() == [False]


def test_exits_with_skip_leave_texts_below_tau_out(database):
    choice = exits(database, [[2.0]], k=3, tau=0.9, below_tau="skip")
    assert choice.scores.tolist() == [[0.25 * 0.9375, 0.9375, 1.0]]


def test_exits_of_a_stored_key_follow_that_text_alone(database):
    choice = exits(database, [[0.0]], k=3, tau=0.9)
    assert choice.scores.tolist() == [[0.9375, 0.0, 0.0]]
    assert choice.depths.tolist() == [0]


def test_exits_with_min_exit_drop_earlier_depths(database):
    choice = exits(database, [[0.0]], k=3, tau=0.9, min_exit=1)
    assert choice.scores.tolist() == [[0.0, 0.5, 0.0]]
    assert choice.depths.tolist() == [1]


def test_exits_without_a_vote_are_the_full_depth_and_undecided(database):
    choice = exits(database, [[7.0], [0.0]], k=1, tau=0.9)
    assert choice.depths.tolist() == [2, 0]
    assert choice.undecided.tolist() == [True, False]


def test_exits_with_k_above_n_use_all_texts(database):
    assert exits(database, [[2.0]], k=12, tau=0.9).rows.tolist() == [[1, 2, 0, 3]]


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cosine"])
def test_exits_alone_equal_exits_in_a_batch_bit_for_bit(metric):
    texts = random_texts()
    database = Database.build(*texts, metric=metric)
    queries = np.vstack([random_texts(seed=1)[0][:40], texts[0][:10]])
    together = exits(database, queries, k=12, tau=0.9)
    for i, query in enumerate(queries):
        alone = exits(database, query[None], k=12, tau=0.9)
        np.testing.assert_array_equal(alone.scores[0], together.scores[i])
        assert alone.depths[0] == together.depths[i]


def test_exits_after_another_setting_are_the_same():
    database = Database.build(*random_texts())
    queries = random_texts(seed=1)[0][:20]
    first = exits(database, queries, k=5, tau=0.9)
    other = exits(database, queries, k=5, tau=0.5)
    again = exits(database, queries, k=5, tau=0.9)
    assert not np.array_equal(first.scores, other.scores)
    np.testing.assert_array_equal(first.scores, again.scores)


def test_exits_compute_the_votes_of_a_setting_once(database):
    exits(database, [[2.0]], k=3, tau=0.9)
    votes = votes_of(database, 0.9, "top3", 0)
    exits(database, [[1.0]], k=2, tau=0.9)
    assert votes_of(database, 0.9, "top3", 0) is votes
    assert votes_of(database, 0.5, "top3", 0) is not votes
    information = exit_information(PROBA, LABELS)
    np.testing.assert_array_equal(votes, select_votes(information, tau=0.9))


@pytest.mark.parametrize("name", ["tau", "below_tau", "min_exit"])
def test_exits_after_any_other_setting_are_those_of_a_new_database(name):
    settings = {"tau": 0.9, "below_tau": "top3", "min_exit": 0}
    changes = {"tau": 0.5, "below_tau": "skip", "min_exit": 3}
    other = {**settings, name: changes[name]}
    texts, queries = random_texts(), random_texts(seed=1)[0][:20]
    alone = exits(Database.build(*texts), queries, k=5, **other)
    database = Database.build(*texts)
    before = exits(database, queries, k=5, **settings)
    after = exits(database, queries, k=5, **other)
    np.testing.assert_array_equal(after.scores, alone.scores)
    assert not np.array_equal(after.scores, before.scores)


def test_exits_from_sixteen_threads_with_mixed_settings_are_the_serial_ones():
    database = Database.build(*random_texts())
    queries = random_texts(seed=1)[0]
    taus = [0.3, 0.5, 0.7, 0.9] * 16

    def scores(tau):
        return exits(database, queries, k=5, tau=tau).scores

    serial = {tau: scores(tau) for tau in set(taus)}
    with ThreadPoolExecutor(16) as pool:
        for tau, found in zip(taus, pool.map(scores, taus), strict=True):
            np.testing.assert_array_equal(found, serial[tau])


def test_build_correct_keeps_what_the_full_depth_gets_right():
    database = Database.build(KEYS, PROBA, LABELS, keep="correct")
    assert len(database) == 2
    assert database.positions.tolist() == [1, 2]
    np.testing.assert_array_equal(database.keys, KEYS[1:3])
    np.testing.assert_array_equal(database.proba, PROBA[1:3])
    assert database.labels.tolist() == [1, 1]


def test_kneighbors_of_a_correct_database_are_positions_in_fit():
    database = Database.build(KEYS, PROBA, LABELS, keep="correct")
    distances, positions = database.kneighbors([[2.5]], 2)
    assert positions.tolist() == [[2, 1]]
    assert distances.tolist() == [[0.25, 2.25]]
    assert database.neighbors([[2.5]], 2)[1].tolist() == [[1, 0]]


@pytest.mark.parametrize("keep_new", ["all", "correct"])
@pytest.mark.parametrize("keep", ["all", "correct"])
def test_joined_texts_have_their_positions_among_all_that_were_seen(keep, keep_new):
    first = Database.build(KEYS, PROBA, LABELS, keep=keep)
    new = Database.build(KEYS + 10, PROBA, LABELS, keep=keep_new)
    joined = first.joined(new, n_seen=len(KEYS))
    seen = np.concatenate([KEYS, KEYS + 10])
    np.testing.assert_array_equal(joined.keys, seen[joined.positions])
    assert joined.kneighbors([[12.5]], 1)[1].tolist() == [[6]]


def test_kneighbors_of_a_whole_database_are_its_rows(database):
    np.testing.assert_array_equal(
        database.kneighbors([[2.5]], 3)[1], database.neighbors([[2.5]], 3)[1]
    )


def test_kneighbors_hand_on_metric_and_method(monkeypatch):
    made = []

    class Noting(NeighborIndex):
        def __init__(self, *args, **settings):
            made.append(settings)
            super().__init__(*args, **settings)

    monkeypatch.setattr("skraee.retrieval.database.NeighborIndex", Noting)
    database = Database.build(
        KEYS, PROBA, LABELS, metric="euclidean", method="exact", n_jobs=2
    )
    assert database.kneighbors([[2.5]], 1)[0].tolist() == [[0.5]]
    (settings,) = made
    asked = {"metric": "euclidean", "method": "exact", "n_jobs": 2}
    assert asked.items() <= settings.items()


@pytest.mark.parametrize(
    ("k", "width"),
    [(1, 16), (16, 16), (np.int64(17), 32), (32, 32), (33, 64), (np.int8(100), 128)],
)
def test_searches_are_as_wide_as_the_next_power_of_two(monkeypatch, k, width):
    widths = []

    class Noting(NeighborIndex):
        def search(self, queries, k):
            widths.append(k)
            return super().search(queries, k)

    monkeypatch.setattr("skraee.retrieval.database.NeighborIndex", Noting)
    database = Database.build(*random_texts()).build_index(k)
    assert database.neighbors(np.zeros((1, 16)), k)[1].shape == (1, k)
    assert widths == [width, width]


def test_unshared_database_keeps_what_was_made_of_its_texts(database):
    made = database.derived("name", list)
    assert database.unshared().derived("name", dict) is made


def test_build_with_one_class_and_one_text_works():
    database = Database.build([[1.0, 2.0]], np.ones((1, 3, 1)), [0])
    choice = exits(database, [[0.0, 0.0]], k=12, tau=0.9)
    assert choice.depths.tolist() == [0]


@pytest.mark.parametrize(
    ("n_classes", "dtype"), [(256, np.uint8), (257, np.uint16), (300, np.uint16)]
)
def test_codes_are_of_the_smallest_type_that_holds_the_last(n_classes, dtype):
    proba = np.full((2, 2, n_classes), 1 / n_classes)
    database = Database.build([[0.0], [1.0]], proba, [0, n_classes - 1])
    assert database.labels.dtype == dtype
    assert database.labels.tolist() == [0, n_classes - 1]


@pytest.mark.parametrize("keep", ["all", "correct"])
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda d: _pickled(d)])
def test_pickle_gives_the_same_exits(keep, duplicate):
    database = Database.build(
        *random_texts(), keep=keep, random_state=np.random.RandomState(1)
    )
    queries = random_texts(seed=1)[0]
    expected = exits(database, queries, k=12, tau=0.9)
    twin = duplicate(database)
    found = exits(twin, queries, k=12, tau=0.9)
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_array_equal(twin.positions, database.positions)
    assert twin.seed == database.seed


def _pickled(database):
    return pickle.loads(pickle.dumps(database))


def test_index_bytes_are_those_of_the_graph_or_none():
    keys, proba, labels = random_texts()
    graph = Database.build(keys, proba, labels)
    assert graph.index_bytes > graph.keys.nbytes
    assert Database.build(keys, proba, labels, method="exact").index_bytes == 0


def test_pickle_is_not_changed_by_searching(tmp_path):
    keys, proba, labels = random_texts(n=5000, d=64)
    database = Database.build(keys, proba, labels)
    before = pickle.dumps(database)
    exits(database, keys[:10], k=12, tau=0.9)
    assert pickle.dumps(database) == before

    joblib.dump(database, tmp_path / "database.joblib")
    arrays = (keys.nbytes + proba.nbytes) / 2 + len(labels)  # float64 here
    size = (tmp_path / "database.joblib").stat().st_size
    assert size < 1.01 * arrays + 5_000


def test_build_correct_without_a_correct_text_raises_and_names_the_accuracy():
    with pytest.raises(ValueError, match=r"its accuracy is 0\.0 on the 4 texts"):
        Database.build(KEYS, PROBA, 1 - PROBA[:, -1].argmax(axis=1), keep="correct")


def test_build_with_unknown_keep_raises():
    with pytest.raises(ValueError, match="'all' or 'correct', got 'some'"):
        Database.build(KEYS, PROBA, LABELS, keep="some")


@pytest.mark.parametrize("labels", [[0, 1, 1, 2], [0, -1, 1, 0], [0, 0.5, 1, 0]])
def test_build_with_labels_that_are_no_codes_raises(labels):
    with pytest.raises(
        ValueError, match=r"integers from 0 to 1 .* got (2|-1|0\.5); make"
    ):
        Database.build(KEYS, PROBA, labels)


def test_build_with_arrays_of_different_length_raises():
    with pytest.raises(ValueError, match=r"shapes \(4, 1\), \(3, 3, 2\) and 4 labels"):
        Database.build(KEYS, PROBA[:3], LABELS)


def test_build_with_flat_proba_raises():
    with pytest.raises(ValueError, match=r"shapes \(4, 1\), \(4, 2\) and 4 labels"):
        Database.build(KEYS, PROBA[:, 0], LABELS)


def test_build_with_nan_in_proba_raises_and_names_the_first():
    proba = PROBA.copy()
    proba[2, 1] = np.nan
    with pytest.raises(ValueError, match=r"1 of its rows .* at text 2, depth 1"):
        Database.build(KEYS, proba, LABELS)


def test_build_with_nan_in_keys_raises():
    with pytest.raises(ValueError, match=r"keys must be finite .* at position 1"):
        Database.build([[0.0], [np.nan], [1.0], [2.0]], PROBA, LABELS)


def test_build_without_texts_raises():
    with pytest.raises(ValueError, match="keys must not be empty"):
        Database.build(KEYS[:0], PROBA[:0], LABELS[:0])
