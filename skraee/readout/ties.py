"""Comparisons of sums, in which rounding decides nothing.

A sum of floats depends in its last bits on the order of its terms, so two choices that
are equally good seldom compare as equal. Whatever is chosen by a mean, a sum or a
difference of such is chosen here: what is as good but for rounding is a tie, and a tie
goes to the next criterion, and then to the first.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Share of its size by which a sum may be off. Float64 loses less in a million terms,
#: and what differs by so little is no better.
ROUNDING = 1e-10


def tied(
    values: npt.NDArray[np.floating],
    size: float | None = None,
    *,
    rounding: float = ROUNDING,
) -> npt.NDArray[np.bool_]:
    """Mark what is as large as the largest, along the last axis.

    Parameters
    ----------
    values : ndarray of shape (..., n)
        Sums; they may be infinite, but not NaN.
    size : float, optional
        Size of their terms. Needed where terms cancel; that of the largest by default.
    rounding : float, optional
        Share of the size that is rounding; more than in float64 for sums in another
        precision.

    Returns
    -------
    ndarray of bool of shape (..., n)

    Examples
    --------
    >>> import numpy as np
    >>> from skraee.readout.ties import tied
    >>> tied(np.array([0.1 + 0.2, 0.3, 0.29]))
    array([ True,  True, False])
    """
    largest = values.max(axis=-1, keepdims=True)
    relative, absolute = (rounding, 0.0) if size is None else (0.0, rounding * size)
    found: npt.NDArray[np.bool_] = np.isclose(
        values, largest, rtol=relative, atol=absolute
    )
    return found


def first_largest(
    values: npt.NDArray[np.floating],
    size: float | None = None,
    *,
    rounding: float = ROUNDING,
) -> IntArray:
    """Return the first place of the largest along the last axis.

    Parameters
    ----------
    values, size, rounding
        As `tied` takes them.

    Returns
    -------
    ndarray of int64 of shape (...)

    Examples
    --------
    >>> import numpy as np
    >>> from skraee.readout.ties import first_largest
    >>> print(first_largest(np.array([[0.3, 0.1 + 0.2, 0.2], [0.1, 0.2, 0.3]])))
    [0 2]
    """
    return np.asarray(tied(values, size, rounding=rounding).argmax(axis=-1), np.int64)


def best_of(*merits: npt.NDArray[np.floating]) -> int:
    """Return the place of the best by several criteria, the first of equals.

    Parameters
    ----------
    *merits : ndarray of shape (n,)
        Larger is better; each decides only among what the ones before it leave tied.

    Returns
    -------
    int

    Examples
    --------
    >>> import numpy as np
    >>> from skraee.readout.ties import best_of
    >>> accuracy, cost = np.array([0.3, 0.1 + 0.2, 0.2]), np.array([0.9, 0.5, 0.1])
    >>> best_of(accuracy, -cost)
    1
    """
    left = np.arange(len(merits[0]))
    for merit in merits:
        left = left[tied(merit[left])]
    return int(left[0])


def ranks(merit: npt.NDArray[np.floating]) -> npt.NDArray[np.int32]:
    """Rank from 1 for the largest; what is tied with something shares its rank.

    Parameters
    ----------
    merit : ndarray of shape (n,)

    Returns
    -------
    ndarray of int32 of shape (n,)
        1 and how many are larger.

    Examples
    --------
    >>> import numpy as np
    >>> from skraee.readout.ties import ranks
    >>> print(ranks(np.array([0.3, 0.5, 0.1 + 0.2, 0.1])))
    [2 1 2 4]
    """
    each = merit[:, None]
    larger = (merit > each) & ~np.isclose(merit, each, rtol=ROUNDING, atol=0)
    found: npt.NDArray[np.int32] = 1 + larger.sum(axis=1, dtype=np.int32)
    return found
