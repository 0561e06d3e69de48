"""Predictions, chunk after chunk: key, exit and scores of each text.

What answers texts comes through `predictions`: `predict` and its kin, `timings`,
`explain`. What needs no answer stops at the `keys`: `kneighbors`, and the exits that
neighbours choose. Both look into the store first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from skraee.engine.batching import OnProgress
from skraee.engine.exit_policy import ExitPolicy
from skraee.engine.run import Run
from skraee.estimator.fitted import Fitted
from skraee.sweep.chunks import Chunk, Recalled, Sample
from skraee.sweep.sweeper import Sweeper

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


def keys(sweeper: Sweeper, samples: Iterable[Sample]) -> Iterator[Float32Array]:
    """Yield the keys (n, d) of texts, chunk by chunk; the model goes no deeper.

    Parameters
    ----------
    sweeper : Sweeper
    samples : iterable of tuple of str
    """
    for chunk in sweeper.chunks(samples):
        yield sweeper.keys(chunk)[chunk.inverse]


def predictions(
    fitted: Fitted,
    policy: ExitPolicy,
    sweeper: Sweeper,
    samples: Iterable[Sample],
    on_progress: OnProgress | None = None,
) -> Iterator[Run]:
    """Choose, exit, read, chunk by chunk.

    Parameters
    ----------
    fitted : Fitted
    policy : ExitPolicy
        Where texts stop.
    sweeper : Sweeper
        What its store knows is not run again.
    samples : iterable of tuple of str
    on_progress : callable, optional
        Told how many more texts are done.

    Yields
    ------
    Run
        Of all texts of a chunk, copies included.
    """
    for chunk in sweeper.chunks(samples):
        yield _Chunk(fitted, policy, sweeper, chunk).run(on_progress)


@dataclass(frozen=True, eq=False)
class _Chunk:
    fitted: Fitted
    policy: ExitPolicy
    sweeper: Sweeper
    chunk: Chunk

    def run(self, on_progress: OnProgress | None) -> Run:
        """Read what is known, run what is new, and give copies the same answer."""
        chunk = self.chunk
        n_texts = len(chunk.samples)
        known = self.sweeper.recall(chunk, self.fitted.token_ids)
        new = np.setdiff1d(np.arange(n_texts), known.rows)
        if on_progress is not None:
            on_progress(len(chunk.inverse) - len(new))
        found: list[tuple[IntArray, Run]] = []
        if len(known.rows):
            found.append((known.rows, self._read(known)))
        if len(new):
            found.append((new, self._run(new, on_progress)))
        whole = Run.empty(n_texts, found[0][1].scores.shape[1])
        for rows, run in found:
            whole.put(rows, run)
        return whole.take(chunk.inverse)

    def _read(self, known: Recalled) -> Run:
        """Read the exits off texts whose every depth is known."""
        scores = self.fitted.scores(np.stack(known.depths), known.bags)
        with self.sweeper.engine.clock.part("search"):
            exits = self.policy.exits(np.stack(known.keys), scores)
        texts = np.arange(len(scores))
        return Run(scores[texts, exits.depths], exits.depths, exits.undecided)

    def _run(self, rows: IntArray, on_progress: OnProgress | None) -> Run:
        """Run some texts to their exits."""
        sweeper = self.sweeper
        prompts = sweeper.prompts_of(self.chunk, rows)
        made = None
        if self.policy.decide_at is None:
            made = sweeper.keys(self.chunk, rows, prompts)
        scorer = self.fitted.scorer(sweeper)
        run = sweeper.engine.run(prompts, self.policy, scorer, made, on_progress)
        return self.fitted.calibrated(run)
