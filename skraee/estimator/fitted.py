"""What fit leaves behind: all that predict needs, and all that a pickle holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from skraee.engine.head import final_norms, label_head
from skraee.engine.run import Run
from skraee.engine.scorer import LabelScorer, Scorer
from skraee.engine.states import States
from skraee.readout.calibration import Calibration
from skraee.readout.ridge import RidgeReadout
from skraee.readout.scorers import RidgeScorer
from skraee.retrieval.database import Database
from skraee.retrieval.standardizer import Standardizer
from skraee.sweep.layer_sweep import LayerSweep, softmax
from skraee.sweep.settings import SweepSettings
from skraee.sweep.sweeper import Sweeper
from skraee.text.token_bags import TokenBags

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedTexts:
    """What every classifier of texts keeps.

    Attributes
    ----------
    sweep_settings : SweepSettings
        How texts are read.
    setting : dict
        Parameters of the estimator that predict cannot change any more.
    token_ids : tuple of C int
        Tokens of the classes' label words, in the order of the classes; empty where
        none are read.
    attributes : tuple of str
        Names of the public attributes that the fit has set.
    """

    sweep_settings: SweepSettings
    setting: dict[str, Any]
    token_ids: tuple[int, ...] = ()
    attributes: tuple[str, ...] = ()

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


@dataclass(frozen=True, eq=False, kw_only=True)
class Fitted(FittedTexts):
    """What an early-exit classifier keeps: how every depth is read.

    Attributes
    ----------
    ridge : RidgeReadout or None
        Reads the classes; without one the model's own head does.
    records : ndarray of uint8 of shape (n, 20) or None
        Where the store has the training texts' states.
    calibration : Calibration or None
        What the head's logits are divided by; None for nothing.
    """

    ridge: RidgeReadout | None = None
    records: npt.NDArray[np.uint8] | None = None
    calibration: Calibration | None = None

    def scores(
        self, depths: npt.NDArray[Any], bags: TokenBags | None = None
    ) -> Float32Array:
        """Score every depth of texts: softmax gives the probabilities.

        Parameters
        ----------
        depths : ndarray of shape (n, m + 1, ...)
            Their states, or the logits of the classes' label words.
        bags : TokenBags, optional
            Theirs, where states are read.

        Returns
        -------
        scores : ndarray of shape (n, m + 1, C), float32
        """
        if self.ridge is not None:
            return self.ridge.scores(depths, bags)
        return depths if self.calibration is None else self.calibration.scores(depths)

    def calibrated(self, run: Run) -> Run:
        """Return what came of a run by `scorer`, with the scores of `scores`."""
        if self.calibration is None:
            return run
        return replace(run, scores=self.calibration.scores_at(run.scores, run.exits))

    def scorer(self, sweeper: Sweeper) -> Scorer:
        """Return what scores texts while they run; `calibrated` comes after it."""
        if self.ridge is None:
            return LabelScorer(label_head(sweeper.backbone, self.token_ids))
        return RidgeScorer(
            self.ridge,
            final_norms(sweeper.backbone),
            self.ridge.kinds_read(sweeper.state_kinds),
            sweeper.backbone.device,
        )

    def layer_proba(self, sweep: LayerSweep) -> Float32Array:
        """Return the probabilities (n, m + 1, C) of texts that were swept."""
        depths = sweep.logits if self.ridge is None else _states(sweep)
        return softmax(self.scores(depths, sweep.bags))

    def record_names(self) -> list[bytes]:
        """Return the names under which the store has the training texts' states.

        Raises
        ------
        ValueError
            If they are not known.
        """
        if self.records is None:
            raise ValueError(
                "partial_fit solves the readout again and needs the states of the "
                "texts that were fitted before, and after fit_sweep they are not "
                "known, nor after fit_dataset; call fit on all texts."
            )
        return [record.tobytes() for record in self.records]

    def unshared(self) -> Fitted:
        """Return the same, but that nothing an earlier call did is found again."""
        return self


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedByConfidence(Fitted):
    """What `EarlyExitClassifier` keeps; `partial_fit` needs the classes.

    Attributes
    ----------
    codes : ndarray of shape (n,)
        Class codes of the training texts.
    """

    codes: npt.NDArray[np.integer]


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedByNeighbors(Fitted):
    """What `RAEEClassifier` keeps.

    Attributes
    ----------
    database : Database
        Keys, sweeps and labels of the training texts.
    standardizer : Standardizer or None
        What the keys of an integer encoder went through.
    """

    database: Database
    standardizer: Standardizer | None = None

    @property
    def codes(self) -> npt.NDArray[np.integer]:
        """Class codes of the training texts that are stored."""
        return self.database.labels

    def standardized(self, keys: Float32Array) -> Float32Array:
        """Return keys (n, d) as the database has them."""
        return keys if self.standardizer is None else self.standardizer(keys)

    def unshared(self) -> FittedByNeighbors:
        """Return the same, but that it finds no search done by an earlier call."""
        return replace(self, database=self.database.unshared())

    def joined(
        self, new: FittedByNeighbors, n_seen: int, proba: Float32Array
    ) -> FittedByNeighbors:
        """Return what a fit on these texts and the new ones would leave.

        Parameters
        ----------
        new : FittedByNeighbors
            Of the new texts, with the same settings; its readout serves all.
        n_seen : int
            Texts that were fitted before.
        proba : ndarray of shape (n, m + 1, C)
            What the database keeps of all texts.
        """
        ours, theirs = self.database, new.database
        standardizer = None
        if self.standardizer is not None and new.standardizer is not None:
            standardizer = self.standardizer.joined(new.standardizer)
            back = self.standardizer.undo(ours.keys)
            ours = replace(ours, keys=ours.as_mine(standardizer(back)))
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


def _states(sweep: LayerSweep) -> States:
    assert sweep.states is not None
    return sweep.states
