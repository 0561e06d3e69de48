"""What fit leaves behind, and one prediction with it."""

from __future__ import annotations

import warnings
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from skraee.engine.batching import OnProgress
from skraee.engine.engine import Run
from skraee.engine.exit_policy import ExitPolicy
from skraee.engine.head import final_norms, label_head
from skraee.engine.row_exits import Scorer
from skraee.engine.states import States
from skraee.estimator.contract import Answer
from skraee.exceptions import UndecidedWarning
from skraee.readout.ridge import RidgeReadout
from skraee.readout.scorers import LabelScorer, RidgeScorer, SharpenedScorer
from skraee.retrieval.database import Database
from skraee.retrieval.keys import Standardizer
from skraee.sweep.layer_sweep import LayerSweep, softmax
from skraee.sweep.sweeper import Chunk, Recalled, Sweeper, SweepSettings

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Fitted:
    """Everything that predict needs, and all that a pickle holds.

    Attributes
    ----------
    sweep_settings : SweepSettings
        How texts are read.
    token_ids : tuple of C int
        The classes' label-word tokens, in the order of the classes.
    database : Database
        Keys, sweeps and labels of the training texts.
    setting : dict
        Parameters of the estimator that predict cannot change any more.
    standardizer : Standardizer or None
        What the keys of an integer encoder went through.
    ridge : RidgeReadout or None
        Reads the classes; without one the model's own head does.
    sharpness : ndarray of shape (m + 1,) or None
        Factors on the label words' logits, where confidence decides.
    records : ndarray of uint8 of shape (n, 20) or None
        Where the store has the training texts' states.
    """

    sweep_settings: SweepSettings
    token_ids: tuple[int, ...]
    database: Database
    setting: dict[str, Any]
    standardizer: Standardizer | None = None
    ridge: RidgeReadout | None = None
    sharpness: npt.NDArray[np.float64] | None = None
    records: npt.NDArray[np.uint8] | None = None

    @property
    def n_classes(self) -> int:
        """Number of classes C."""
        return int(self.database.proba.shape[2])

    def scores(self, depths: npt.NDArray[Any]) -> Float32Array:
        """Score every depth of texts: softmax gives the probabilities.

        Parameters
        ----------
        depths : ndarray of shape (n, m + 1, ...)
            Their states, or the logits of the classes' label words.

        Returns
        -------
        scores : ndarray of shape (n, m + 1, C), float32
        """
        if self.ridge is not None:
            return self.ridge.scores(depths)
        if self.sharpness is None:
            return depths
        return (depths * self.sharpness[:, None]).astype(np.float32)

    def scorer(self, sweeper: Sweeper) -> Scorer:
        """Return what scores texts while they run."""
        if self.ridge is not None:
            return RidgeScorer(
                self.ridge,
                final_norms(sweeper.backbone),
                sweeper.state_kinds,
                sweeper.backbone.device,
            )
        head = label_head(sweeper.backbone, self.token_ids)
        if self.sharpness is None:
            return LabelScorer(head)
        return SharpenedScorer(head, self.sharpness)

    def layer_proba(self, sweep: LayerSweep) -> Float32Array:
        """Return the probabilities (n, m + 1, C) of texts that were swept."""
        return softmax(
            self.scores(sweep.logits if self.ridge is None else _states(sweep))
        )

    def check_setting(self, setting: dict[str, Any]) -> None:
        """Refuse parameters that were changed since fit and cannot be any more.

        Parameters
        ----------
        setting : dict
            What they are now.

        Raises
        ------
        ValueError
            If one is another.
        """
        for name, now in setting.items():
            if (then := self.setting[name]) != now:
                raise ValueError(
                    f"{name} was {then!r} at fit and is {now!r} now, which predict "
                    "cannot follow; call fit again, or set it back."
                )

    def record_names(self) -> list[bytes]:
        """Return the names under which the store has the training texts' states.

        Raises
        ------
        ValueError
            If they are not known.
        """
        if self.records is None:
            raise ValueError(
                "partial_fit with readout='ridge' needs the states of the texts that "
                "were fitted before, and after fit_sweep they are not known; call fit "
                "on all texts."
            )
        return [record.tobytes() for record in self.records]

    def joined(self, new: Fitted, n_seen: int, proba: Float32Array) -> Fitted:
        """Return what a fit on these texts and the new ones would leave.

        Parameters
        ----------
        new : Fitted
            Of the new texts, with the same settings; its readout serves all.
        n_seen : int
            Texts that were fitted before.
        proba : ndarray of shape (n, m + 1, C)
            What the database keeps of all texts.

        Returns
        -------
        Fitted
        """
        ours, theirs = self.database, new.database
        standardizer = None
        if self.standardizer is not None and new.standardizer is not None:
            standardizer = self.standardizer.joined(new.standardizer)
            back = self.standardizer.undo(ours.keys)
            ours = replace(ours, keys=standardizer(back))
            back = new.standardizer.undo(theirs.keys)
            theirs = replace(theirs, keys=standardizer(back))
        database = ours.joined(theirs, n_seen)
        if len(proba) == len(database):
            database.proba = proba
        return replace(
            new,
            sweep_settings=self.sweep_settings,
            database=database,
            standardizer=standardizer,
        )

    def unshared(self) -> Fitted:
        """Return the same, but that it finds no search done by an earlier call."""
        return replace(self, database=self.database.unshared())

    def standardized(self, keys: Float32Array) -> Float32Array:
        """Return keys (n, d) as the database has them."""
        return keys if self.standardizer is None else self.standardizer(keys)


class Prediction:
    """One call of predict, chunk after chunk.

    Parameters
    ----------
    fitted : Fitted
    policy : ExitPolicy
        Where texts stop.
    sweeper : Sweeper

    Attributes
    ----------
    sweeper : Sweeper
    undecided : array of int
        Positions of the texts, so far, for which no neighbour voted.
    """

    def __init__(self, fitted: Fitted, policy: ExitPolicy, sweeper: Sweeper) -> None:
        self.sweeper = sweeper
        self.undecided = array("q")
        self._fitted = fitted
        self._policy = policy
        self._n_done = 0

    def answer(self, chunk: Chunk, on_progress: OnProgress | None) -> Answer:
        """Choose, exit, read: some texts.

        Parameters
        ----------
        chunk : Chunk
        on_progress : callable or None
            Told how many more texts are done.

        Returns
        -------
        proba : ndarray of shape (n, C), float32
            Of all texts of the chunk, copies included.
        exits : ndarray of shape (n,), int
        """
        n_texts = len(chunk.samples)
        found = Run.empty(n_texts, self._fitted.n_classes)
        known = self.sweeper.recall(chunk, self._fitted.token_ids)
        if len(known.rows):
            found.put(known.rows, self._read(known))
        new = np.setdiff1d(np.arange(n_texts), known.rows)
        if on_progress is not None:
            on_progress(len(chunk.inverse) - len(new))
        if len(new):
            found.put(new, self._run(chunk, new, on_progress))
        here = np.flatnonzero(found.undecided[chunk.inverse])
        self.undecided.extend((self._n_done + here).tolist())
        self._n_done += len(chunk.inverse)
        return softmax(found.scores[chunk.inverse]), found.exits[chunk.inverse]

    def _read(self, known: Recalled) -> Run:
        """Read the exits off texts whose every depth is known."""
        scores = self._fitted.scores(np.stack(known.depths))
        with self.sweeper.engine.clock.part("search"):
            exits = self._policy.exits(np.stack(known.keys), scores)
        texts = np.arange(len(scores))
        return Run(scores[texts, exits.depths], exits.depths, exits.undecided)

    def _run(self, chunk: Chunk, rows: IntArray, on_progress: OnProgress | None) -> Run:
        """Run some texts to their exits."""
        sweeper = self.sweeper
        prompts = sweeper.prompts_of(chunk, rows)
        keys = None
        if self._policy.decide_at is None:
            keys = sweeper.keys(chunk, rows, prompts)
        scorer = self._fitted.scorer(sweeper)
        return sweeper.engine.run(prompts, self._policy, scorer, keys, on_progress)


def _states(sweep: LayerSweep) -> States:
    assert sweep.states is not None
    return sweep.states


def warn_of_undecided(positions: Sequence[int]) -> None:
    """Warn that no neighbour voted for some texts.

    Parameters
    ----------
    positions : sequence of int
        Which texts; none is no warning.
    """
    if not positions:
        return
    first = ", ".join(map(str, positions[:5]))
    more = ", ..." if len(positions) > 5 else ""
    warnings.warn(
        f"{len(positions)} text(s) had no neighbour that was answered rightly at any "
        f"layer it may vote for and ran the whole model (positions {first}{more}); "
        "raise k, lower tau or min_exit, or use below_tau='top3'.",
        UndecidedWarning,
        stacklevel=6,  # who calls predict
    )
