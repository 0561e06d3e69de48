"""Where to stop: equations 4-6 of the RAEE paper (arXiv 2405.15198), pure numpy.

A stored text i has the exit information v_i, the pairs (l, p) of the depths l at which
the model already knew its label and the probability p it gave to it. In arrays v_i is
a row of m + 1 numbers: p where the model was right, 0 where it was not.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from skraee.readout.ties import first_largest

Float64Array = npt.NDArray[np.float64]
BelowTau = Literal["top3", "skip"]


def exit_information(
    proba: npt.NDArray[np.floating], labels: npt.NDArray[np.integer]
) -> Float64Array:
    """Read the exit information v_i off layer sweeps (Algorithm 3.1).

    Parameters
    ----------
    proba : ndarray of shape (n, m + 1, C)
        Label probabilities P_i of n texts at the depths 0..m.
    labels : ndarray of int of shape (n,)
        The column of `proba` that is right for each text.

    Returns
    -------
    ndarray of float64 of shape (n, m + 1)
        P_i[l, y_i] where the most probable class (the first on ties) is y_i, else 0.

    Examples
    --------
    >>> import numpy as np
    >>> from skraee.exits.voting import exit_information
    >>> proba = np.array([[[0.75, 0.25], [0.25, 0.75]]])
    >>> exit_information(proba, np.array([1]))
    array([[0.  , 0.75]])
    """
    right = proba.argmax(axis=2) == labels[:, None]
    of_label = np.take_along_axis(proba, labels.astype(np.int64)[:, None, None], axis=2)
    return np.where(right, of_label[:, :, 0], 0.0).astype(np.float64)


def select_votes(
    information: Float64Array,
    *,
    tau: float,
    below_tau: BelowTau = "top3",
    min_exit: int = 0,
) -> Float64Array:
    """Select the pairs S_i with which each stored text votes (Algorithm 3.2).

    Parameters
    ----------
    information : ndarray of shape (n, m + 1)
        What `exit_information` returns.
    tau : float
        The least probability that votes. Raise it for later, safer exits.
    below_tau : {"top3", "skip"}, default="top3"
        What a text without a pair at or above `tau` votes with: its (up to) three
        most probable pairs (the earlier one on ties), or nothing.
    min_exit : int, default=0
        Depths below it are dropped first. Raise it where early depths are right by
        chance.

    Returns
    -------
    ndarray of float64 of shape (n, m + 1)
        The probability of each selected pair, 0 elsewhere.

    Raises
    ------
    ValueError
        If `below_tau` is unknown or `min_exit` is not a depth.
    """
    _check_selection(below_tau, min_exit, n_depths=information.shape[1])
    pairs = information.copy()
    pairs[:, :min_exit] = 0.0
    # Sweeps are float32: a probability that prints as 0.9 is the float32 next to 0.9,
    # which may lie below the float64 0.9. Whichever is smaller lets both through.
    selected = pairs >= min(float(tau), float(np.float32(tau)))
    if below_tau == "top3":
        below = ~selected.any(axis=1)
        selected[below] = _three_largest(pairs[below])
    return np.where(selected, pairs, 0.0)


def neighbor_weights(distances: npt.NDArray[np.floating]) -> Float64Array:
    """Weigh each neighbour by the nearest one's distance over its own (equation 5).

    Parameters
    ----------
    distances : ndarray of shape (q, k)
        Distances, at least 0, of each query's own k neighbours.

    Returns
    -------
    ndarray of float64 of shape (q, k)
        w_i = d_min / d_i. Where d_min is 0, its limit: 1 for the neighbours at
        distance 0 and 0 for all others.

    Examples
    --------
    >>> import numpy as np
    >>> from skraee.exits.voting import neighbor_weights
    >>> neighbor_weights(np.array([[2.0, 4.0], [0.0, 4.0]]))
    array([[1. , 0.5],
           [1. , 0. ]])
    """
    nearest = distances.min(axis=1, keepdims=True)
    weights: Float64Array = (distances == 0).astype(np.float64)
    np.divide(nearest, distances, out=weights, where=nearest > 0)
    return weights


def exit_scores(
    weights: Float64Array,
    votes: Float64Array,
    neighbors: npt.NDArray[np.integer],
    start: Float64Array | None = None,
) -> Float64Array:
    """Add up the neighbours' weighted votes for every depth (equation 4).

    Parameters
    ----------
    weights : ndarray of shape (q, k)
        What `neighbor_weights` returns.
    votes : ndarray of shape (n, m + 1)
        What `select_votes` returns, one row for each stored text.
    neighbors : ndarray of int of shape (q, k)
        The rows of `votes` that are each query's neighbours.
    start : ndarray of shape (q, m + 1), optional
        What still nearer neighbours have added up to. So one pass over the neighbours
        serves several k, each with the sums that it would have alone.

    Returns
    -------
    ndarray of float64 of shape (q, m + 1)
        F[l], summed in the order of the neighbours.
    """
    shape = len(weights), votes.shape[1]
    scores = np.zeros(shape) if start is None else start.copy()
    # One neighbour after the other: a matrix product may sum in an order that depends
    # on the batch, and would need the votes of all neighbours at once.
    for i in range(weights.shape[1]):
        scores += weights[:, i, None] * votes[neighbors[:, i]]
    return scores


def choose_exit(
    scores: Float64Array,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Choose the depth with the highest score (equation 6).

    Parameters
    ----------
    scores : ndarray of shape (q, m + 1)
        F, at least 0.

    Returns
    -------
    exits : ndarray of int64 of shape (q,)
        The best depth, the smallest on ties; m where nothing voted. What differs by
        less than rounding is a tie, so the same neighbours give the same exit in
        whatever order they are summed.
    undecided : ndarray of bool of shape (q,)
        Where nothing voted: F is all zero.

    Examples
    --------
    >>> import numpy as np
    >>> from skraee.exits.voting import choose_exit
    >>> choose_exit(np.array([[0.0, 0.9, 0.9], [0.0, 0.0, 0.0]]))
    (array([1, 2]), array([False,  True]))
    """
    undecided = scores.max(axis=1) == 0
    exits = np.where(undecided, scores.shape[1] - 1, first_largest(scores))
    return exits.astype(np.int64), undecided


def exit_distribution(scores: Float64Array) -> Float64Array:
    """Normalise the scores of equation 4 to sum to 1 over the depths.

    Parameters
    ----------
    scores : ndarray of shape (q, m + 1)
        F, at least 0.

    Returns
    -------
    ndarray of float64 of shape (q, m + 1)
        F / sum(F); 1 at depth m where F is all zero.
    """
    totals = scores.sum(axis=1, keepdims=True)
    distribution = np.zeros(scores.shape)
    distribution[:, -1] = 1.0
    np.divide(scores, totals, out=distribution, where=totals > 0)
    return distribution


def _check_selection(below_tau: str, min_exit: int, n_depths: int) -> None:
    if below_tau not in ("top3", "skip"):
        raise ValueError(
            f"below_tau must be 'top3' or 'skip', got {below_tau!r}; write one of them."
        )
    if not 0 <= min_exit < n_depths:
        raise ValueError(
            f"min_exit must be a depth of this backbone, 0 to {n_depths - 1}, "
            f"got {min_exit}; lower it."
        )


def _three_largest(pairs: Float64Array) -> npt.NDArray[np.bool_]:
    """Mark in each row the (up to) three largest pairs, the earlier one on ties."""
    largest = np.argsort(-pairs, axis=1, kind="stable")[:, :3]
    marked = np.zeros(pairs.shape, dtype=bool)
    np.put_along_axis(marked, largest, True, axis=1)
    return marked
