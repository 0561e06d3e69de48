"""Equations 4-6 on arrays small enough to work out by hand, and against plain loops."""

import numpy as np
import pytest

from skraee.exits.voting import (
    choose_exit,
    exit_distribution,
    exit_information,
    exit_scores,
    neighbor_weights,
    select_votes,
)


def test_exit_information_keeps_the_probability_where_the_label_wins():
    proba = np.array([[[0.75, 0.25], [0.25, 0.75], [0.125, 0.875]]], dtype=np.float32)
    np.testing.assert_array_equal(
        exit_information(proba, np.array([1])), [[0, 0.75, 0.875]]
    )


def test_exit_information_on_a_tie_goes_to_the_first_class():
    proba = np.array([[[0.5, 0.5]], [[0.5, 0.5]]])
    np.testing.assert_array_equal(
        exit_information(proba, np.array([0, 1])), [[0.5], [0.0]]
    )


def test_exit_information_with_one_class_is_one_everywhere():
    information = exit_information(np.ones((2, 3, 1)), np.array([0, 0], np.uint8))
    assert information.dtype == np.float64
    np.testing.assert_array_equal(information, np.ones((2, 3)))


def test_select_votes_keeps_the_pairs_from_tau_on():
    information = np.array([[0.0, 0.89, 0.95, 0.91]])
    np.testing.assert_array_equal(
        select_votes(information, tau=0.9), [[0.0, 0.0, 0.95, 0.91]]
    )


@pytest.mark.parametrize("tau", [0.1, 0.6, 0.7, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_select_votes_at_a_probability_that_prints_as_tau_accepts_it(tau, dtype):
    next_below = np.nextafter(np.float32(tau), np.float32(0))
    information = np.array([[dtype(tau), next_below]], dtype=np.float64)
    votes = select_votes(information, tau=tau, below_tau="skip")
    np.testing.assert_array_equal(votes > 0, [[True, False]])


def test_select_votes_below_tau_top3_takes_the_three_largest():
    information = np.array([[0.5, 0.8, 0.0, 0.6, 0.7]])
    np.testing.assert_array_equal(
        select_votes(information, tau=0.9), [[0.0, 0.8, 0.0, 0.6, 0.7]]
    )


def test_select_votes_below_tau_top3_on_a_tie_takes_the_earlier_depth():
    information = np.array([[0.6, 0.5, 0.6, 0.5, 0.5]])
    np.testing.assert_array_equal(
        select_votes(information, tau=0.9), [[0.6, 0.5, 0.6, 0.0, 0.0]]
    )


def test_select_votes_below_tau_top3_among_many_ties_takes_the_first_three():
    votes = select_votes(np.array([[0.5, 0.6] * 24]), tau=0.9)
    assert np.flatnonzero(votes[0]).tolist() == [1, 3, 5]


def test_select_votes_below_tau_top3_with_two_pairs_takes_both():
    information = np.array([[0.0, 0.6, 0.0, 0.7, 0.0]])
    np.testing.assert_array_equal(select_votes(information, tau=0.9), information)


def test_select_votes_below_tau_top3_with_two_depths_takes_what_there_is():
    information = np.array([[0.6, 0.0]])
    np.testing.assert_array_equal(select_votes(information, tau=0.9), information)


def test_select_votes_below_tau_skip_takes_nothing():
    information = np.array([[0.6, 0.7], [0.95, 0.7]])
    np.testing.assert_array_equal(
        select_votes(information, tau=0.9, below_tau="skip"), [[0.0, 0.0], [0.95, 0.0]]
    )


def test_select_votes_min_exit_is_applied_before_top3():
    information = np.array([[0.99, 0.95, 0.5, 0.6, 0.4, 0.3]])
    np.testing.assert_array_equal(
        select_votes(information, tau=0.9, min_exit=2), [[0, 0, 0.5, 0.6, 0.4, 0]]
    )


def test_select_votes_with_tau_zero_takes_every_pair():
    information = np.array([[0.3, 0.0, 0.4, 0.5, 0.6]])
    np.testing.assert_array_equal(select_votes(information, tau=0.0), information)


def test_select_votes_leaves_its_argument_alone():
    information = np.array([[0.99, 0.95]])
    select_votes(information, tau=0.9, min_exit=1)
    np.testing.assert_array_equal(information, [[0.99, 0.95]])


def test_select_votes_with_unknown_below_tau_raises():
    with pytest.raises(
        ValueError, match=r"below_tau must be 'top3' or 'skip', got 'a'"
    ):
        select_votes(np.ones((1, 2)), tau=0.9, below_tau="a")


@pytest.mark.parametrize("min_exit", [-1, 2])
def test_select_votes_with_min_exit_that_is_no_depth_raises(min_exit):
    with pytest.raises(ValueError, match=rf"0 to 1, got {min_exit}"):
        select_votes(np.ones((1, 2)), tau=0.9, min_exit=min_exit)


def test_neighbor_weights_are_the_nearest_distance_over_each():
    np.testing.assert_array_equal(
        neighbor_weights(np.array([[1.0, 2.0, 4.0], [3.0, 3.0, 6.0]])),
        [[1.0, 0.5, 0.25], [1.0, 1.0, 0.5]],
    )


def test_neighbor_weights_at_zero_distance_count_only_those_neighbors():
    np.testing.assert_array_equal(
        neighbor_weights(np.array([[0.0, 0.0, 1e-300], [1.0, 2.0, 2.0]])),
        [[1.0, 1.0, 0.0], [1.0, 0.5, 0.5]],
    )


def test_neighbor_weights_of_a_single_neighbor_is_one():
    np.testing.assert_array_equal(
        neighbor_weights(np.array([[7.0], [0.0]])), [[1], [1]]
    )


def test_exit_scores_add_weighted_votes():
    votes = np.array([[0.0, 0.9, 0.0], [0.0, 0.0, 0.8], [0.5, 0.0, 0.0]])
    weights = np.array([[1.0, 0.5], [1.0, 0.25]])
    neighbors = np.array([[0, 1], [1, 1]])
    np.testing.assert_array_equal(
        exit_scores(weights, votes, neighbors), [[0.0, 0.9, 0.4], [0.0, 0.0, 1.0]]
    )


def test_exit_scores_alone_equal_those_in_a_batch_bit_for_bit():
    weights, votes, neighbors = _random_case(seed=3, n_queries=257)
    together = exit_scores(weights, votes, neighbors)
    for size in (1, 7, 64):
        parts = [
            exit_scores(weights[i : i + size], votes, neighbors[i : i + size])
            for i in range(0, len(weights), size)
        ]
        np.testing.assert_array_equal(np.concatenate(parts), together)


def test_exit_scores_from_a_start_equal_those_in_one_go_bit_for_bit():
    weights, votes, neighbors = _random_case(seed=4, n_queries=20)
    start = exit_scores(weights[:, :3], votes, neighbors[:, :3])
    before = start.copy()
    np.testing.assert_array_equal(
        exit_scores(weights[:, 3:], votes, neighbors[:, 3:], start=start),
        exit_scores(weights, votes, neighbors),
    )
    np.testing.assert_array_equal(start, before)


def test_choose_exit_on_a_tie_is_the_smallest_depth():
    exits, undecided = choose_exit(np.array([[0.0, 0.9, 0.4, 0.9]]))
    assert exits.dtype == np.int64
    assert exits.tolist() == [1]
    assert undecided.tolist() == [False]


def test_choose_exit_on_sums_of_the_same_votes_is_the_smallest_depth():
    votes = np.array([[0.3, 0.1], [0.2, 0.2], [0.1, 0.3]])  # 0.6 and 0.6000000000000001
    scores = exit_scores(np.ones((1, 3)), votes, np.array([[0, 1, 2]]))
    assert scores[0, 0] < scores[0, 1]
    assert choose_exit(scores)[0].tolist() == [0]


def test_choose_exit_of_votes_that_are_nearly_nothing_is_the_largest():
    # Neighbours a million times as far as one that does not vote.
    scores = np.array([[0.0, 1e-13, 2e-13, 0.0]])
    exits, undecided = choose_exit(scores)
    assert exits.tolist() == [2]
    assert undecided.tolist() == [False]


@pytest.mark.parametrize("seed", range(10))
def test_exits_do_not_follow_the_order_of_equal_neighbours(seed):
    rng = np.random.default_rng(seed)
    votes = np.round(rng.random((9, 6)), 1)  # of few values, so that sums are equal
    votes[:, 3:] = votes[rng.permutation(9), :3]  # the same votes, in other places
    neighbors = np.stack([rng.permutation(9) for _ in range(50)])
    exits, _ = choose_exit(exit_scores(np.ones((50, 9)), votes, neighbors))
    assert len(set(exits.tolist())) == 1
    assert exits[0] < 3


def test_choose_exit_without_a_vote_is_the_full_depth():
    exits, undecided = choose_exit(np.zeros((2, 4)))
    assert exits.tolist() == [3, 3]
    assert undecided.tolist() == [True, True]


def test_exit_distribution_sums_to_one_and_is_full_depth_without_a_vote():
    np.testing.assert_array_equal(
        exit_distribution(np.array([[1.0, 3.0, 0.0], [0.0, 0.0, 0.0]])),
        [[0.25, 0.75, 0.0], [0.0, 0.0, 1.0]],
    )


@pytest.mark.parametrize("below_tau", ["top3", "skip"])
@pytest.mark.parametrize("min_exit", [0, 2])
@pytest.mark.parametrize("seed", range(5))
def test_equations_4_to_6_equal_plain_loops(below_tau, min_exit, seed):
    rng = np.random.default_rng(seed)
    # Few distinct values, so that ties and zero distances occur.
    proba = rng.integers(1, 6, size=(30, 7, 3)) / 8
    labels = rng.integers(3, size=30)
    neighbors = rng.integers(30, size=(40, 4))
    distances = np.sort(rng.integers(0, 5, size=(40, 4)).astype(float), axis=1)

    votes = select_votes(
        exit_information(proba, labels), tau=0.6, below_tau=below_tau, min_exit=min_exit
    )
    scores = exit_scores(neighbor_weights(distances), votes, neighbors)
    exits, undecided = choose_exit(scores)

    for query in range(40):
        expected = _plain_scores(
            [proba[i].tolist() for i in neighbors[query]],
            labels[neighbors[query]].tolist(),
            distances[query].tolist(),
            below_tau,
            min_exit,
        )
        assert scores[query].tolist() == expected
        best = expected.index(max(expected)) if any(expected) else 6
        assert exits[query] == best
        assert undecided[query] == (not any(expected))


def _plain_scores(sweeps, labels, distances, below_tau, min_exit, tau=0.6):
    """Equations 4 and 5 for one query, in words of one loop each."""
    scores = [0.0] * len(sweeps[0])
    for sweep, label, distance in zip(sweeps, labels, distances, strict=True):
        if distances[0] == 0:
            weight = 1.0 if distance == 0 else 0.0
        else:
            weight = distances[0] / distance
        pairs = [
            (depth, p[label])
            for depth, p in enumerate(sweep)
            if p.index(max(p)) == label and depth >= min_exit
        ]
        voting = [(depth, p) for depth, p in pairs if p >= tau]
        if not voting and below_tau == "top3":
            voting = sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:3]
        for depth, p in voting:
            scores[depth] += weight * p
    return scores


def _random_case(seed, n_queries, n_texts=100, n_depths=25, k=12):
    rng = np.random.default_rng(seed)
    weights = rng.random((n_queries, k))
    votes = rng.random((n_texts, n_depths)) * (rng.random((n_texts, n_depths)) < 0.4)
    return weights, votes, rng.integers(n_texts, size=(n_queries, k))
