"""Where each text would stop if it were not in the database itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from skraee.exits.voting import (
    Float64Array,
    choose_exit,
    exit_scores,
    neighbor_weights,
)
from skraee.retrieval.database import Database

IntArray = npt.NDArray[np.int64]


def other_neighbors(
    database: Database, keys: npt.NDArray[np.floating], k: int
) -> tuple[Float64Array, IntArray]:
    """Find the k stored texts nearest to each fitted text, itself left out.

    Copies of the text stay in: they are other texts.

    Parameters
    ----------
    database : Database
        The stored texts.
    keys : ndarray of shape (n, d)
        Of all texts that were fitted, in their order, also of those that the database
        did not keep.
    k : int
        How many to find; all others where there are fewer.

    Returns
    -------
    distances : ndarray of float64 of shape (n, min(k, n_stored))
        In the metric, ascending; infinite where there is no further text.
    rows : ndarray of int64 of shape (n, min(k, n_stored))
        Rows of the database.

    Raises
    ------
    ValueError
        If the database holds only one text.
    """
    if len(database) < 2:
        raise ValueError(
            f"leave-one-out needs at least 2 stored texts, got 1 of n_samples="
            f"{len(keys)}; give more texts, or choose k and tau of RAEEClassifier "
            "yourself."
        )
    own_row = np.full(len(keys), -1)
    own_row[database.positions] = np.arange(len(database))
    distances, rows = database.neighbors(keys, k + 1)
    # A text with many copies may not be among its own neighbours: then the last goes.
    distances = np.where(rows == own_row[:, None], np.inf, distances)
    order = distances.argsort(axis=1, kind="stable")[:, :k]
    return (
        np.take_along_axis(distances, order, axis=1),
        np.take_along_axis(rows, order, axis=1),
    )


def exits_for_each_k(
    distances: Float64Array, rows: IntArray, votes: Float64Array, ks: Sequence[int]
) -> dict[int, IntArray]:
    """Choose the exits for several k with one sum over the neighbours (equation 4).

    The weights of equation 5 do not depend on k, so that the votes of the nearest
    neighbours are part of the sum for every larger k.

    Parameters
    ----------
    distances, rows : ndarray of shape (n, largest k or fewer)
        What `other_neighbors` returns.
    votes : ndarray of shape (n_stored, m + 1)
        What `Database.votes` returns.
    ks : sequence of int
        The numbers of neighbours, in any order.

    Returns
    -------
    dict of int to ndarray of int64 of shape (n,)
        The exits for each k.

    Examples
    --------
    >>> import numpy as np
    >>> from skraee.exits.leave_one_out import exits_for_each_k
    >>> votes = np.array([[0.0, 0.75], [0.5, 0.0], [0.5, 0.0]])
    >>> distances, rows = np.array([[1.0, 1.0, 1.0]]), np.array([[0, 1, 2]])
    >>> exits_for_each_k(distances, rows, votes, ks=[1, 3])
    {1: array([1]), 3: array([0])}
    """
    weights = neighbor_weights(distances)
    scores, done, exits = None, 0, {}
    for k in sorted(set(ks)):
        scores = exit_scores(weights[:, done:k], votes, rows[:, done:k], start=scores)
        exits[k], _ = choose_exit(scores)
        done = k
    return exits
