"""What a depth gains: how well a text's neighbours are read there, less its price."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from skraee.exits.evidence import NeighborEvidence
from skraee.exits.leave_one_out import other_neighbors
from skraee.exits.voting import exit_scores, neighbor_weights
from skraee.readout.ties import first_largest
from skraee.retrieval.database import Database

Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def expected_gains(
    database: Database, distances: npt.NDArray[np.floating], rows: IntArray
) -> Float64Array:
    """Average the neighbours' probability of the right class at every depth.

    Parameters
    ----------
    database : Database
        The stored texts.
    distances, rows : ndarray of shape (q, k)
        The neighbours.

    Returns
    -------
    gains : ndarray of shape (q, m + 1)
        Weighted by distance as in equation 5.
    """
    weights = neighbor_weights(distances)
    weights = weights / weights.sum(axis=1, keepdims=True)
    return exit_scores(weights, of_right_class(database), rows)


def of_right_class(database: Database) -> Float64Array:
    """Return each stored text's probability of its class: (n, m + 1)."""
    labels = database.labels.astype(np.int64)[:, None, None]
    found = np.take_along_axis(database.proba, labels, axis=2)[:, :, 0]
    return found.astype(np.float64)


def gains_left_out(
    known: NeighborEvidence, ks: Sequence[int]
) -> dict[int, Float64Array]:
    """Return `expected_gains` of each text of fit by the others, for several k.

    Parameters
    ----------
    known : NeighborEvidence
        The texts of fit, and the database that they are in.
    ks : sequence of int
        Numbers of neighbours.

    Returns
    -------
    dict of int to ndarray of shape (n, m + 1)
    """
    distances, rows = other_neighbors(known.database, known.keys, max(ks))
    return {
        k: expected_gains(known.database, distances[:, :k], rows[:, :k]) for k in ks
    }


def best_for_price(
    gains: Float64Array, costs: Float64Array, price: float, min_exit: int
) -> IntArray:
    """Choose the depth of the largest gain less its price, the smallest on ties."""
    value = gains - price * costs
    return min_exit + first_largest(value[:, min_exit:], size=1.0 + price)
