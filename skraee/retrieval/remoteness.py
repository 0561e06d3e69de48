"""Whether a text lies farther from what was fitted than fitted texts do from theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from skraee.text.token_bags import TokenBags

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.int64]

#: So large a share of the texts of fit have another one within the limit.
SHARE = 0.99

# Texts whose nearest other is looked for: a percentile needs no more. And so many of
# them at a time, since each is compared with all.
_MOST_SPACED, _AT_ONCE = 1_000, 50

# Equal bags are at distance 0, which float32 may miss.
_DECIMALS = 6


@dataclass(frozen=True)
class Remoteness:
    """How far a text is from the nearest text of fit, and how far these are apart.

    Attributes
    ----------
    distance : float
        To the nearest text of fit.
    limit : float
        The least distance within which 99 % of the texts of fit have another one.
    """

    distance: float
    limit: float

    @classmethod
    def of(cls, distance: float, spacing: FloatArray) -> Self | None:
        """Compare a distance with those of the texts of fit; None without any.

        Parameters
        ----------
        distance : float
            Of a text to the nearest one of fit.
        spacing : ndarray of shape (s,)
            Of texts of fit to the nearest other one.

        Examples
        --------
        >>> import numpy as np
        >>> from skraee.retrieval.remoteness import Remoteness
        >>> Remoteness.of(0.5, np.array([0.1, 0.2, 0.4])).is_remote
        True
        """
        if len(spacing) == 0:
            return None
        limit = np.quantile(spacing, SHARE, method="inverted_cdf")
        return cls(float(distance), float(limit))

    @property
    def is_remote(self) -> bool:
        """Whether the text is farther away than 99 % of the texts of fit are."""
        return self.distance > self.limit

    def __str__(self) -> str:
        return (
            f"far from every text of fit: the nearest is at {self.distance:.3g}, and "
            f"{100 * SHARE:.0f} % of these have another within {self.limit:.3g}"
        )


def spaced(n: int) -> IntArray:
    """Return up to 1,000 of n places, evenly apart: texts whose nearest is looked for.

    Examples
    --------
    >>> from skraee.retrieval.remoteness import spaced
    >>> print(spaced(3), len(spaced(5_000)))
    [0 1 2] 1000
    """
    return np.linspace(0, n - 1, min(n, _MOST_SPACED)).astype(np.int64)


@dataclass(frozen=True, eq=False)
class WordsOfFit:
    """The words of the texts of fit, made ready to be asked about many texts.

    The distance is 1 less the cosine of two bags of tokens and pairs of tokens: 0 for
    the same words, 1 where none is shared. It is known without a pass of the model, and
    tells another language, topic or kind of text; of the same words in another sense it
    tells nothing.

    Attributes
    ----------
    bags : sparse matrix of shape (n, tokens)
        The texts' bags of tokens, as rows of length 1.
    spacing : ndarray
        How far some of them are from their nearest other.
    texts : sequence of str
        Their words, where they are to be shown.
    """

    bags: Any
    spacing: FloatArray
    texts: Sequence[str] = ()

    @classmethod
    def of(cls, of_fit: TokenBags, texts: Sequence[str] = ()) -> Self:
        """Look once at how far the texts are from each other.

        Parameters
        ----------
        of_fit : TokenBags
            Of the n texts of fit.
        texts : sequence of str, optional
            Their words.
        """
        bags = of_fit.matrix()
        return cls(bags, _spacing(bags), texts)

    def nearest_to(self, asked: TokenBags) -> tuple[int, Remoteness | None]:
        """Find the one that shares most of its words with another text.

        Parameters
        ----------
        asked : TokenBags
            Of one text.

        Returns
        -------
        nearest : int
            Its position, the first of several.
        remoteness : Remoteness or None
            None where there is only one text of fit.
        """
        own = _distances(asked.matrix(), self.bags)[0]
        nearest = int(own.argmin())
        return nearest, Remoteness.of(float(own[nearest]), self.spacing)


def _spacing(bags: Any) -> FloatArray:
    """Return how far texts are from the nearest other one, of up to 1,000."""
    n = bags.shape[0]
    if n < 2:
        return np.empty(0)
    nearest = []
    parts = np.split(spaced(n), range(_AT_ONCE, min(n, _MOST_SPACED), _AT_ONCE))
    for rows in parts:
        apart = _distances(bags[rows], bags)
        apart[np.arange(len(rows)), rows] = np.inf
        nearest.append(apart.min(axis=1))
    return np.concatenate(nearest)


def _distances(some: Any, others: Any) -> FloatArray:
    """Return 1 less the cosine of rows of length 1, or of none."""
    cosine = np.asarray((some @ others.T).toarray(), dtype=np.float64)
    return np.round(1.0 - cosine, _DECIMALS) + 0.0  # for no -0.0
