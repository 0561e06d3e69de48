"""The threshold of the earliest exits whose risk is shown to be small: Learn then Test.

Statistics alone: numbers about each text at each depth come in, a threshold goes out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def safe_threshold(
    measured: Float32Array,
    losses: Float64Array,
    candidates: Float64Array,
    *,
    delta: float,
    epsilon: float,
    small_is_confident: bool = False,
) -> float | None:
    """Choose the threshold of the earliest exits that `learn_then_test` passes.

    Parameters
    ----------
    measured : ndarray of shape (n, D)
        The confidence of each calibration text at the depths where it may stop.
    losses : ndarray of shape (n, D)
        What stopping there loses, in [0, 1]: see `early_losses`.
    candidates : ndarray of shape (L,)
        Thresholds, the safest first.
    delta, epsilon : float
        Bound of the risk, and the probability with which it may be missed.
    small_is_confident : bool, default=False
        Whether a text stops below a threshold; else where it is reached.

    Returns
    -------
    float or None
        None where not even the safest passed.
    """
    texts = np.arange(len(measured))
    of_candidates = []
    for candidate in candidates.astype(np.float32):
        stops = measured < candidate if small_is_confident else measured >= candidate
        stops[:, -1] = True
        of_candidates.append(losses[texts, stops.argmax(axis=1)])
    n_passed = learn_then_test(np.stack(of_candidates, axis=1), delta, epsilon)
    return float(candidates[n_passed - 1]) if n_passed else None


def early_losses(answers: IntArray, codes: IntArray | None = None) -> Float64Array:
    """Return what is lost by stopping at each depth, against stopping at the last.

    Parameters
    ----------
    answers : ndarray of shape (n, D)
        Predicted classes at the depths where a text may stop, the last one included.
    codes : ndarray of shape (n,), optional
        The right classes, for the loss of accuracy; without them it is that of
        consistency.

    Returns
    -------
    losses : ndarray of shape (n, D)
        1 or 0. For accuracy 1 where only the last depth is right.
    """
    lost: npt.NDArray[np.bool_] = answers != answers[:, -1:]
    if codes is not None:
        right = answers == codes[:, None]
        lost = right[:, -1:] & ~right
    return lost.astype(np.float64)


def learn_then_test(losses: Float64Array, delta: float, epsilon: float) -> int:
    """Test in their order that candidates' risks are at most delta, up to a failure.

    The p-value of a candidate is Hoeffding's: ``exp(-2 n max(0, delta - mean)**2)``.
    As the order is fixed before the losses are seen and the walk ends at the first
    failure, the probability that any candidate that passed has a risk above delta is
    at most epsilon.

    Parameters
    ----------
    losses : ndarray of shape (n, L)
        Of each calibration text under each candidate, in [0, 1].
    delta : float
        Bound of the risk.
    epsilon : float
        Probability with which the bound may be missed.

    Returns
    -------
    n_passed : int
        How many candidates passed, the first ones.

    References
    ----------
    Angelopoulos et al., "Learn then Test", 2021, arXiv 2110.01052.

    Examples
    --------
    >>> import numpy as np
    >>> from skraee.exits.risk import learn_then_test
    >>> losses = np.zeros((1000, 3))
    >>> losses[:100, 2] = 1
    >>> learn_then_test(losses, delta=0.05, epsilon=0.05)
    2
    """
    slack = np.maximum(0.0, delta - losses.mean(axis=0))
    p_values = np.exp(-2.0 * len(losses) * slack**2)
    failed = p_values > epsilon
    return int(failed.argmax()) if failed.any() else len(failed)


def fewest_texts(delta: float, epsilon: float) -> int:
    """Return how many texts it takes to pass a candidate that loses nothing."""
    return int(np.ceil(np.log(1 / epsilon) / (2 * delta**2)))
