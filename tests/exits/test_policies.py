"""Where policies stop texts: by votes and by confidence."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skraee.exits.policies import ByConfidence, ByVotes, first_confident
from skraee.exits.voting import exit_information, select_votes
from tests.support.evidence import known


def test_first_confident_is_the_first_depth_that_reaches_the_threshold() -> None:
    confidence = np.array(
        [[0.5, 0.9, 0.95], [0.9, 0.5, 0.5], [0.5, 0.6, 0.7], [0.8, 0.9, 0.9]],
        dtype=np.float32,
    )
    assert first_confident(confidence, 0.9, 0).tolist() == [1, 0, 2, 1]
    assert first_confident(confidence, 0.9, 1).tolist() == [1, 2, 2, 1]
    assert first_confident(confidence, 0.0, 0).tolist() == [0, 0, 0, 0]
    assert first_confident(confidence, 0.0, 2).tolist() == [2, 2, 2, 2]
    assert first_confident(confidence, 2.0, 0).tolist() == [2, 2, 2, 2]


def test_by_confidence_reads_the_top_probability() -> None:
    proba = np.array([[[0.5, 0.5], [0.1, 0.9]], [[0.05, 0.95], [0.5, 0.5]]], np.float32)
    keys = np.zeros((2, 0), dtype=np.float32)
    assert ByConfidence(0.9).exits(keys, np.log(proba)).depths.tolist() == [1, 0]


@pytest.mark.parametrize("min_exit", [0, 1, 3])
@pytest.mark.parametrize("threshold", [0.0, 0.4, 0.6, 0.9, 2.0])
def test_exits_of_known_texts_are_the_first_that_are_accepted(
    threshold: float, min_exit: int
) -> None:
    evidence = known()
    scores = np.log(evidence.proba)
    policy = ByConfidence(threshold, min_exit)
    found = policy.exits(np.zeros((len(scores), 0), np.float32), scores)
    confidence = torch.softmax(torch.from_numpy(scores), 2).amax(2).numpy()
    expected = first_confident(confidence, threshold, min_exit)
    np.testing.assert_array_equal(found.depths, expected)
    assert not found.undecided.any()


def test_by_votes_is_the_rule_of_the_paper() -> None:
    evidence = known()
    database = evidence.database
    policy = ByVotes(database=database, k=5, tau=0.8, min_exit=1)
    keys = evidence.keys[:9] + 0.01
    found = policy.choice(keys)
    distances, rows = database.neighbors(keys, 5)
    information = exit_information(evidence.proba, evidence.codes)
    votes = select_votes(information, tau=0.8, min_exit=1)
    for i in range(9):
        weights = distances[i].min() / distances[i]
        expected = (weights[:, None] * votes[rows[i]]).sum(axis=0)
        np.testing.assert_allclose(found.scores[i], expected)
        assert found.depths[i] == expected.argmax()
    planned = policy.depths(keys, 4)
    np.testing.assert_array_equal(planned.depths, found.depths)
