"""Whether one method is better than another: the paired bootstrap over texts and seeds.

Two methods answer the same test texts, fitted on the same training samples. Their
difference in accuracy would be another one on other test texts and other samples. Both
are drawn with replacement, crossed as they are (a draw of texts meets every drawn
seed), for each task by itself; the tasks stay. This is the pigeonhole bootstrap of Owen
(2007, Annals of Applied Statistics 1, 386-411). Of s seeds s - 1 are drawn: drawing s
would show (s - 1) / s of the spread that few seeds have. In simulations of eight tasks,
500 texts and five seeds, intervals of 95 % covered 97 to 98 % where texts vary most and
94 % where seeds do; of a single task 98 and 88 %: five seeds are few.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

Task = TypeVar("Task", bound=Hashable)

#: Of each task and each seed, which test texts (n,) a method answers rightly.
RightBySeed = Mapping[int, npt.NDArray[np.bool_]]
FloatArray = npt.NDArray[np.float64]

Verdict = Literal["above", "below", "not told apart"]

N_DRAWS = 10_000
LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """A mean difference of accuracy over tasks, in points, and its interval."""

    mean: float
    low: float
    high: float

    @property
    def verdict(self) -> Verdict:
        """Return where the first method stands; an end at 0 does not tell."""
        if self.low > 0:
            return "above"
        return "below" if self.high < 0 else "not told apart"

    def __str__(self) -> str:
        ends = f"{self.low:+.1f} to {self.high:+.1f}"
        return f"{self.mean:+.1f} ({ends}): {self.verdict}"


def paired_bootstrap(
    first: Mapping[Task, RightBySeed],
    second: Mapping[Task, RightBySeed],
    *,
    n_draws: int = N_DRAWS,
    level: float = LEVEL,
    random_state: int = 0,
) -> Difference:
    """Compare two methods' mean accuracy over tasks.

    Parameters
    ----------
    first, second : mapping of task to mapping of seed to bool array of shape (n,)
        Which test texts are answered rightly, in the same order. Of each task only the
        seeds that both have are read.
    n_draws : int, default=10_000
        Raise it where an end of the interval is near 0.
    level : float, default=0.95
        Of the interval, between the quantiles (1 - level) / 2 on both sides.
    random_state : int, default=0

    Returns
    -------
    Difference
        Of the first minus the second.

    Raises
    ------
    ValueError
        If the tasks differ, a task has fewer than two seeds in common, or the numbers
        of texts differ.

    Examples
    --------
    >>> import numpy as np
    >>> right, wrong = np.ones(100, bool), np.zeros(100, bool)
    >>> str(paired_bootstrap({"a": {0: right, 1: right}}, {"a": {0: wrong, 1: wrong}}))
    '+100.0 (+100.0 to +100.0): above'
    """
    rng = np.random.default_rng(random_state)
    by_task = list(_differences(first, second))
    means = [100 * float(difference.mean()) for difference in by_task]
    draws = [100 * drawn_means(each, n_draws, rng) for each in by_task]
    tail = (1 - level) / 2
    low, high = np.quantile(np.mean(draws, axis=0), [tail, 1 - tail])
    return Difference(float(np.mean(means)), float(low), float(high))


def drawn_means(
    difference: npt.NDArray[np.integer], n_draws: int, rng: np.random.Generator
) -> FloatArray:
    """Return the means of draws with replacement: all texts, all seeds but one.

    Parameters
    ----------
    difference : int array of shape (n_seeds, n_texts)
    n_draws : int
    rng : Generator

    Returns
    -------
    ndarray of shape (n_draws,)
    """
    n_seeds, n_texts = difference.shape
    # Texts of the same answers are one kind: how often a kind is drawn is multinomial.
    kinds, n_each = np.unique(difference, axis=1, return_counts=True)
    texts = rng.multinomial(n_texts, n_each / n_texts, size=n_draws)
    seeds = rng.multinomial(n_seeds - 1, np.full(n_seeds, 1 / n_seeds), size=n_draws)
    sums = np.einsum("ds,sk,dk->d", seeds, kinds, texts, optimize=True)
    return np.asarray(sums / ((n_seeds - 1) * n_texts), dtype=np.float64)


def _differences(
    first: Mapping[Task, RightBySeed], second: Mapping[Task, RightBySeed]
) -> Iterator[npt.NDArray[np.int8]]:
    """Yield for each task the difference of the answers, (n_seeds, n_texts)."""
    if not first or first.keys() != second.keys():
        raise ValueError(
            "two methods are compared on the same tasks, got "
            f"{list(first)} and {list(second)}."
        )
    for task in first:
        seeds = sorted(first[task].keys() & second[task].keys())
        if len(seeds) < 2:
            raise ValueError(
                f"task {task!r} has {len(seeds)} seeds in common; measure two at "
                "least, for one tells nothing of what another sample would do."
            )
        pairs = [(first[task][seed], second[task][seed]) for seed in seeds]
        sizes = {len(right) for pair in pairs for right in pair}
        if len(sizes) > 1:
            raise ValueError(
                f"the answers of task {task!r} are of {sorted(sizes)} texts; compare "
                "answers to the same texts."
            )
        ours, theirs = (np.array(x, dtype=np.int8) for x in zip(*pairs, strict=True))
        yield ours - theirs
