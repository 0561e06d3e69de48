"""Which of two methods is better, by the paired bootstrap over texts and seeds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from benchmarks.accuracy.figures import Named, test_of
from benchmarks.accuracy.methods import (
    BEST_PROBE,
    BUDGETS,
    CONFIDENCE,
    FULL_DEPTH,
    MAX_LOSS,
    MINILM_LR,
    MPNET,
    MPNET_LR,
)
from benchmarks.accuracy.problem import ELSEWHERE, NONE
from benchmarks.bootstrap import Difference, paired_bootstrap
from benchmarks.data import ALL_TASKS, INTENTS, TASKS
from benchmarks.per_text import RightByTest, TextLines

N_DRAWS = 2_000

#: The rows that are compared.
OURS: tuple[Named, ...] = (
    *((CONFIDENCE, budget) for budget in BUDGETS),
    (MAX_LOSS, None),
    (FULL_DEPTH, None),
)

#: What they are compared with: a method, and whether it is of the same backbone.
Peer = tuple[str, bool]
SAME_MODEL: Peer = (MPNET_LR, False)
ALL_PEERS: tuple[Peer, ...] = (SAME_MODEL, (MINILM_LR, False), (BEST_PROBE, True))

Tests = tuple[tuple[str, str], ...]  # fitted on, tested on
EIGHT, TEN = "eight tasks", "ten tasks"
SCOPES: dict[str, Tests] = {
    EIGHT: tuple((task, task) for task in TASKS),
    TEN: tuple((task, task) for task in ALL_TASKS),
    **{task: ((task, task),) for task in INTENTS},
    **{test_of(*pair): (pair,) for pair in ELSEWHERE.items()},
}


@dataclass(frozen=True)
class Comparisons:
    """What the answers to single texts say of pairs of methods, where they are there.

    None has class weights.
    """

    texts: TextLines

    def of(
        self, ours: Named, backbone: str, peer: Peer, tests: Tests
    ) -> Difference | None:
        """Return how far a row of a backbone is above a peer; None without answers."""
        method, is_own = peer
        first = self._answers(backbone, ours)
        second = self._answers(backbone if is_own else NONE, (method, None))
        if not all(comparable(first, second, test) for test in tests):
            return None
        return paired_bootstrap(
            {test: first[test] for test in tests},
            {test: second[test] for test in tests},
            n_draws=N_DRAWS,
        )

    def _answers(self, backbone: str, named: Named) -> RightByTest:
        return self._by_method.get((backbone, *named, None), {})

    @cached_property
    def _by_method(self) -> dict[tuple[object, ...], RightByTest]:
        return self.texts.right_by("backbone", "method", "budget", "class_weight")


def peers_of(backbone: str) -> tuple[Peer, ...]:
    """Return what the rows of a backbone are compared with."""
    return (SAME_MODEL,) if backbone == MPNET else ALL_PEERS


def comparable(first: RightByTest, second: RightByTest, test: tuple[str, str]) -> bool:
    """Whether two methods answer the same texts of a test, in two seeds or more."""
    ours, theirs = first.get(test, {}), second.get(test, {})
    sizes = {len(own[s]) for s in ours.keys() & theirs for own in (ours, theirs)}
    return len(ours.keys() & theirs) > 1 and len(sizes) == 1


def rows_against(
    found: Comparisons, backbone: str, peer: Peer
) -> Iterator[tuple[Named, list[str]]]:
    """Yield rows of ours with a cell for each scope, empty without answers."""
    for ours in OURS:
        differences = [found.of(ours, backbone, peer, s) for s in SCOPES.values()]
        if any(differences):
            yield ours, ["" if d is None else str(d) for d in differences]
