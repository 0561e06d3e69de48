"""Where the time of a prediction goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


class Clock:
    """Seconds by part; a part within a part stops the outer one.

    Parameters
    ----------
    wait : callable, optional
        Called before the time is taken, for devices that work in the background.

    Examples
    --------
    >>> clock = Clock()
    >>> with clock.part("layers"), clock.part("head"):
    ...     pass
    >>> sorted(clock.seconds)
    ['head', 'layers', 'other']
    """

    def __init__(self, wait: Callable[[], None] | None = None) -> None:
        self.seconds = {"other": 0.0}
        self._wait = wait
        self._current = "other"
        self._since = time.perf_counter()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time within as that of a part."""
        outer = self._switch(name)
        try:
            yield
        finally:
            self._switch(outer)

    def stop(self) -> dict[str, float]:
        """Return the seconds of every part so far."""
        self._switch(self._current)
        return dict(self.seconds)

    def _switch(self, name: str) -> str:
        if self._wait is not None:
            self._wait()
        now = time.perf_counter()
        self.seconds[self._current] += now - self._since
        self.seconds.setdefault(name, 0.0)
        self._since = now
        outer, self._current = self._current, name
        return outer


class NoClock(Clock):
    """Counts nothing and costs nothing."""

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Do nothing."""
        yield


@dataclass(frozen=True)
class Timings:
    """What one predict did and how long its parts took.

    Attributes
    ----------
    seconds : dict of str to float
        ``tokenize``, ``key``, ``search`` (with the exit policy), ``layers``, ``head``
        and ``other``.
    n_texts : int
        Texts, copies included.
    undecided : tuple of int
        Positions of the texts for which no neighbour voted; they ran all layers.
    n_repeated : int
        Texts whose numbers were not finite and were computed again in float32.
    """

    seconds: dict[str, float]
    n_texts: int
    undecided: tuple[int, ...] = ()
    n_repeated: int = 0

    @property
    def total(self) -> float:
        """Seconds of the whole."""
        return sum(self.seconds.values())

    @property
    def shares(self) -> dict[str, float]:
        """Share of each part in the whole."""
        return {name: value / self.total for name, value in self.seconds.items()}

    def __str__(self) -> str:
        lines = [f"{self.n_texts} texts in {self.total:.3f} s"]
        lines += [
            f"  {name:9} {self.seconds[name]:8.3f} s {share:6.1%}"
            for name, share in self.shares.items()
        ]
        lines.append(
            f"  {len(self.undecided)} undecided, {self.n_repeated} repeated in float32"
        )
        return "\n".join(lines)
