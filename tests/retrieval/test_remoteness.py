"""How far texts are apart: by keys, and by words."""

from __future__ import annotations

import numpy as np
import pytest

from skraee.retrieval.database import Database
from skraee.retrieval.remoteness import Remoteness, WordsOfFit, spaced
from skraee.text.prompt import Prompt
from skraee.text.token_bags import TokenBags


def bags(*texts: tuple[int, ...]) -> TokenBags:
    return TokenBags.of([Prompt(ids, 0, ((0, len(ids)),)) for ids in texts])


def database(keys: np.ndarray) -> Database:
    n = len(keys)
    return Database.build(keys, np.ones((n, 2, 1)), np.zeros(n, int), method="exact")


def test_spacing_is_the_distance_of_each_text_to_its_nearest_other() -> None:
    stored = database(np.array([[0.0], [1.0], [3.0], [3.0]]))
    assert stored.spacing().tolist() == [1.0, 1.0, 0.0, 0.0]
    assert stored.spacing() is stored.spacing()


def test_spacing_leaves_a_text_out_among_many_copies() -> None:
    stored = database(np.repeat([[0.0], [2.0]], [30, 1], axis=0))
    assert stored.spacing().tolist() == [0.0] * 30 + [4.0]


def test_spacing_of_one_text_is_empty() -> None:
    assert len(database(np.zeros((1, 2))).spacing()) == 0


def test_spacing_of_many_texts_is_of_a_thousand_and_in_no_pickle() -> None:
    stored = database(np.random.default_rng(0).normal(size=(3_000, 2)))
    spacing = stored.spacing()
    assert spacing.shape == (1_000,)
    assert "_spacing" not in stored.__getstate__()
    keys = stored.keys.astype(float)
    rows = spaced(3_000)[::100]
    squares = np.square(keys[rows, None] - keys).sum(axis=2)
    squares[np.arange(10), rows] = np.inf
    np.testing.assert_allclose(spacing[::100], squares.min(axis=1))


def test_about_one_in_a_hundred_texts_of_the_same_kind_is_far() -> None:
    rng = np.random.default_rng(0)
    stored, asked = database(rng.normal(size=(900, 3))), rng.normal(size=(2_000, 3))
    distances, _ = stored.neighbors(asked, 1)
    spacing = stored.spacing()
    found = [Remoteness.of(float(distance), spacing) for distance in distances[:, 0]]
    share = np.mean([one is not None and one.is_remote for one in found])
    assert 0.003 < share < 0.025


def test_nearest_by_words_is_the_one_with_most_of_them() -> None:
    of_fit = bags((1, 2, 3), (4, 5, 6), (4, 5, 6, 7))
    nearest, remoteness = WordsOfFit.of(of_fit).nearest_to(bags((4, 5, 6)))
    assert nearest == 1
    assert remoteness is not None
    assert remoteness.distance == 0
    assert not remoteness.is_remote


def test_distance_by_words_is_one_less_the_cosine() -> None:
    asked, of_fit = bags((1, 2)), bags((1, 3), (8, 9))  # a token and a pair each
    _, remoteness = WordsOfFit.of(of_fit).nearest_to(asked)
    assert remoteness is not None
    assert remoteness.distance == pytest.approx(1 - 1 / 3, abs=1e-6)
    assert remoteness.limit == 1.0


@pytest.mark.parametrize("ids", [(), (11, 12, 13)])
def test_text_without_a_known_word_is_at_distance_one(ids: tuple[int, ...]) -> None:
    _, remoteness = WordsOfFit.of(bags((1, 2, 3), (1, 2))).nearest_to(bags(ids))
    assert remoteness is not None
    assert remoteness.distance == 1.0
    assert remoteness.is_remote


def test_one_text_of_fit_is_nearest_and_nothing_is_said_of_it() -> None:
    assert WordsOfFit.of(bags((2,))).nearest_to(bags((1,))) == (0, None)


def test_many_texts_of_fit_are_compared_part_by_part() -> None:
    rng = np.random.default_rng(0)
    of_fit = bags(*(tuple(rng.integers(1, 60, size=5).tolist()) for _ in range(130)))
    _, remoteness = WordsOfFit.of(of_fit).nearest_to(bags((1, 2)))
    cosine = (of_fit.matrix() @ of_fit.matrix().T).toarray().astype(float)
    np.fill_diagonal(cosine, -1.0)
    apart = np.sort(1 - cosine.max(axis=1))
    assert remoteness is not None
    assert remoteness.limit == pytest.approx(apart[128], abs=1e-6)  # 99 % of 130
