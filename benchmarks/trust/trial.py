"""What a trial is: something tried many times, and counts of what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

Count = int | float

#: Given the number of tries and a seed, returns counts by what they count, in words
#: for the page. Those that are named in `none_of` are to be 0.
Run = Callable[[int, int], dict[str, Count]]


@dataclass(frozen=True)
class Trial:
    """One kind of harm.

    Attributes
    ----------
    name : str
        For the command line: lower case, words joined by hyphens.
    harm : str
        What is tried, in a sentence for the page, without a full stop.
    run : callable
        ``run(tries, seed)``; see `Run`.
    tries : int
        How often, unless the command says otherwise.
    none_of : tuple of str
        The counts that are to be 0.
    needs : str
        A module that skraee itself does not need; without it the trial is left out.
    """

    name: str
    harm: str
    run: Run
    tries: int
    none_of: tuple[str, ...] = ()
    needs: str = ""

    @property
    def is_possible(self) -> bool:
        """Whether what it needs is installed."""
        return not self.needs or find_spec(self.needs) is not None
