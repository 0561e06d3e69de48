"""Exits of rows: a batch on its way, of which each row leaves where its policy says."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from skraee.engine.batch import Batch
from skraee.engine.clock import Clock
from skraee.engine.exit_policy import ExitPolicy, Exits
from skraee.engine.last_layer import Ending
from skraee.engine.rows import GoingOn
from skraee.engine.scorer import AtOnce, Scoring

IntArray = npt.NDArray[np.int64]


class RowExits:
    """Visitor that notes what is read of each row where it leaves.

    Parameters
    ----------
    batch : Batch
        Of which some rows may run in a pass, and others in other passes.
    policy : ExitPolicy
    scoring : Scoring
        Of this batch.
    last : int
        The full depth m.
    planned : Exits or None
        Of its rows; None where the policy decides inside the pass.
    clock : Clock

    Attributes
    ----------
    exits : Exits
        Where each row leaves, once the pass is over.
    """

    def __init__(
        self,
        batch: Batch,
        policy: ExitPolicy,
        scoring: Scoring,
        last: int,
        planned: Exits | None,
        clock: Clock,
    ) -> None:
        n_rows = len(batch.numbers)
        self.batch = batch
        self.exits = planned or Exits.at(np.full(n_rows, last))
        self._policy = policy
        self._scoring = AtOnce(scoring, batch) if policy.reads_scores else scoring
        self._last = last
        self._clock = clock
        self._decides_at = -1 if policy.decide_at is None else policy.decide_at
        self._running = np.arange(n_rows)  # of the pass that is on
        self._lost = np.zeros(n_rows, dtype=bool)
        self._passed: list[Tensor] = []  # what was read on the way to the decision
        self._noted: list[tuple[int, IntArray, Tensor]] = []

    def enter(self, rows: IntArray) -> IntArray:
        """Begin a pass of some of the rows.

        Parameters
        ----------
        rows : ndarray of shape (n,), int

        Returns
        -------
        rows : ndarray of shape (n,), int
            In which order they have to run: the deepest first, as far as that is known.
        """
        deepest_first = np.argsort(-self.exits.depths[rows], kind="stable")
        self._running = rows[deepest_first]
        self._passed = []
        return self._running

    def visit(self, depth: int, hidden: Tensor, rows: Tensor) -> GoingOn:
        """Read the rows that leave here, and say which go on."""
        with self._clock.part("head"):
            return self._read(depth, hidden, rows)

    def _read(self, depth: int, hidden: Tensor, rows: Tensor) -> GoingOn:
        if depth <= self._decides_at:
            self._passed.append(self._scoring.read(depth, hidden, rows))
            return self._decide(hidden, rows) if depth == self._decides_at else None
        read = None
        if self._scoring.sees_every_depth:
            read = self._scoring.read(depth, hidden, rows)
        leaves = self._leaving(depth, read)
        if not leaves.any():
            return None
        here = _places(leaves, hidden.device)
        if read is None:
            found = self._scoring.read(depth, hidden[here], rows[here])
        else:
            found = read[here]
        self._note(depth, self._running[leaves], found)
        self._running = self._running[~leaves]
        n_running = len(self._running)
        if not leaves[:n_running].any():
            return n_running
        return torch.from_numpy(np.flatnonzero(~leaves)).to(hidden.device)

    def ending_at(self, depth: int, rows: Tensor) -> Ending | None:
        """Say which of the rows that run surely go no further than this depth."""
        if self._scoring.sees_every_depth or depth <= self._decides_at:
            return None
        going_on = int(np.count_nonzero(self.exits.depths[self._running] > depth))
        return self.batch.ending(rows, going_on)

    def found(self) -> Mapping[str, Tensor]:
        """Return the rows' scores, exits, and whether they are undecided."""
        with self._clock.part("head"):
            scores = self.scores().cpu()
        exits = torch.from_numpy(self.exits.depths)
        undecided = torch.from_numpy(self.exits.undecided)
        return {"scores": scores, "exits": exits, "undecided": undecided}

    def scores(self) -> Tensor:
        """Score what was noted, in one call for each stack: (b, C), float32.

        NaN where a row's key is not finite.
        """
        found: Tensor | None = None
        for in_decoder in (False, True):
            here = [n for n in self._noted if self.batch.in_decoder(n[0]) == in_decoder]
            if not here:
                continue
            read = torch.cat([read for _, _, read in here])
            scores = self._scoring.scores(read, in_decoder=in_decoder)
            if found is None:
                found = scores.new_zeros(len(self.batch.numbers), scores.shape[1])
            rows = np.concatenate([rows for _, rows, _ in here])
            found[torch.from_numpy(rows).to(found.device)] = scores
        assert found is not None
        found[torch.from_numpy(self._lost).to(found.device)] = torch.nan
        return self.batch.together(found, self.batch.rows)

    def _leaving(self, depth: int, scores: Tensor | None) -> npt.NDArray[np.bool_]:
        """Return which of the rows that run leave at a depth."""
        leaves: npt.NDArray[np.bool_] = self.exits.depths[self._running] <= depth
        if scores is not None and self._policy.reads_scores and depth < self._last:
            accepted = self._policy.accepts(depth, scores)
            if accepted is not None:
                leaves = leaves | accepted.cpu().numpy()
        return self.batch.decided_together(leaves, self._running)

    def _decide(self, hidden: Tensor, rows: Tensor) -> GoingOn:
        """Ask for the exits; note the rows whose exit was passed, deepest first."""
        states = self.batch.read(self._decides_at, hidden, rows).float()
        keys = self.batch.together(states, rows).cpu().numpy()
        running = self._running
        lost = ~np.isfinite(keys).all(axis=1)  # nothing can decide about them
        depths, undecided = self.exits.depths[running], self.exits.undecided[running]
        if not lost.all():
            with self._clock.part("search"):
                known = self._policy.depths(keys[~lost], self._last)
            depths[~lost], undecided[~lost] = known.depths, known.undecided
        depths = self.batch.decided_together(depths, running)
        depths[lost] = 0
        self._lost[running] = lost
        self.exits.depths[running] = depths
        self.exits.undecided[running] = self.batch.decided_together(undecided, running)
        for passed, read in enumerate(self._passed):
            at = np.flatnonzero(depths == passed)
            if len(at):
                there = torch.from_numpy(at).to(read.device)
                self._note(passed, running[at], read[there])
        deeper = np.argsort(-depths, kind="stable")
        deeper = deeper[depths[deeper] > self._decides_at]
        self._running = running[deeper]
        return torch.from_numpy(deeper).to(hidden.device)

    def _note(self, depth: int, rows: IntArray, read: Tensor) -> None:
        self.exits.depths[rows] = depth
        self._noted.append((depth, rows, read))


def _places(chosen: npt.NDArray[np.bool_], device: torch.device) -> slice | Tensor:
    """Return where any `chosen` hold: a slice, which copies nothing, or places."""
    at = np.flatnonzero(chosen)
    if at[-1] - at[0] + 1 == len(at):
        return slice(int(at[0]), int(at[-1]) + 1)
    return torch.from_numpy(at).to(device)
