"""Votes of texts whose target is a text."""

from __future__ import annotations

import numpy as np
import pytest

from skraee.exits.policies import ByVotes
from skraee.exits.targets import ByTargetVotes, near_best, target_information
from skraee.exits.voting import choose_exit, exit_scores, neighbor_weights
from skraee.retrieval.database import Database

# Of three texts, at four depths: share of the target's tokens, mean probability.
SHARES = [[0.0, 0.5, 0.75, 0.7], [0.2, 0.2, 0.1, 0.0], [0.0, 0.0, 0.0, 0.0]]
PROBA = [[0.1, 0.3, 0.4, 0.6], [0.2, 0.1, 0.3, 0.4], [0.1, 0.2, 0.3, 0.4]]
READINGS = np.stack([SHARES, PROBA], axis=2).astype(np.float32)


def stored() -> Database:
    keys = np.array([[0.0], [1.0], [3.0]])
    return Database.build(keys, READINGS, [1, 1, 1], method="exact")


@pytest.mark.parametrize(
    ("margin", "depths"),
    [
        (0.0, [[2], [0, 1], []]),
        (0.05, [[2, 3], [0, 1], []]),
        (1.0, [[1, 2, 3], [0, 1, 2], []]),
    ],
)
def test_depths_within_the_margin_of_the_best_are_near_it(
    margin: float, depths: list[list[int]]
) -> None:
    found = near_best(READINGS, margin)
    assert [np.flatnonzero(row).tolist() for row in found] == depths
    information = target_information(READINGS, margin)
    np.testing.assert_allclose(information[found], READINGS[:, :, 1][found])
    assert (information[~found] == 0).all()


def test_depths_below_the_smallest_exit_are_no_best_either() -> None:
    assert near_best(READINGS, 0.0, min_exit=3).tolist() == [
        [False, False, False, True],
        *[[False] * 4] * 2,
    ]


def test_votes_are_summed_by_the_equations_of_the_paper() -> None:
    policy = ByTargetVotes(database=stored(), k=2, tau=0.35, margin=0.05)
    choice = policy.choice(np.array([[0.25]], dtype=np.float32))
    # The first text votes at or above tau; the second has no such pair and votes with
    # its best ones. Distances are squared: 0.0625 and 0.5625.
    expected = np.array([[0.2 / 9, 0.1 / 9, 0.4, 0.6]])
    np.testing.assert_allclose(choice.scores, expected, atol=1e-6)
    assert choice.depths.tolist() == [3]
    weights = neighbor_weights(choice.distances)
    again = exit_scores(weights, policy.votes(), choice.rows)
    np.testing.assert_array_equal(choose_exit(again)[0], choice.depths)


def test_votes_of_targets_and_of_classes_are_not_mixed_up() -> None:
    database = stored()
    of_targets = ByTargetVotes(database=database, k=1, tau=0.0, margin=0.0).votes()
    of_classes = ByVotes(database=database, k=1, tau=0.0).votes()
    again = ByTargetVotes(database=database, k=1, tau=0.0, margin=0.0).votes()
    np.testing.assert_array_equal(of_targets, again)
    assert (of_targets != of_classes).any()
    wider = ByTargetVotes(database=database, k=1, tau=0.0, margin=1.0).votes()
    assert (wider != of_targets).any()
