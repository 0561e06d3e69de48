"""What fit learns from a sweep and its labels; nothing here is trained."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from skraee.engine.cost import depth_costs
from skraee.engine.states import States, room_for
from skraee.estimator.fitted import Fitted
from skraee.exits.policies import Evidence
from skraee.readout.calibration import fit_sharpness, sample_weights
from skraee.readout.ridge import RidgeReadout, fit_ridge
from skraee.retrieval.database import Database, StoredTexts
from skraee.retrieval.exact_search import Metric
from skraee.retrieval.keys import Standardizer
from skraee.retrieval.neighbors import Method
from skraee.retrieval.reuse import LRUCache, content
from skraee.sweep.layer_sweep import LayerSweep, softmax
from skraee.sweep.sweeper import Sweeper
from skraee.text.inputs import Texts

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
IntegerArray = npt.NDArray[np.integer]

_RECORD_BYTES = 20

_solved = LRUCache()


@dataclass(frozen=True, eq=False)
class Learned:
    """What reads the classes, and what it says of the texts of fit.

    Attributes
    ----------
    proba : ndarray of shape (n, m + 1, C)
        Of every text at every depth, by a readout that did not see its label.
    stored : ndarray of shape (n, m + 1, C)
        What the database keeps: the same, or for label words the model's own.
    ridge : RidgeReadout or None
    sharpness : ndarray of shape (m + 1,) or None
    records : ndarray of uint8 of shape (n, 20) or None
        Where the store has the texts' states.
    """

    proba: Float32Array
    stored: Float32Array
    ridge: RidgeReadout | None = None
    sharpness: Float64Array | None = None
    records: npt.NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class FitSettings:
    """What of an estimator's parameters decides what fit learns.

    Attributes
    ----------
    class_weight : None, "balanced" or dict
    seed : int or RandomState
    shared : bool
        Whether what is solved and searched is shared with other fits of this process.
    database, metric, index, n_jobs
        As in :class:`skraee.RAEEClassifier`.
    fixed : dict
        Parameters that predict cannot change any more.
    n_seen : int
        Texts that were fitted before.
    """

    class_weight: Any
    seed: int | np.random.RandomState
    shared: bool
    database: StoredTexts
    metric: Metric
    index: Method
    n_jobs: int | None
    fixed: dict[str, Any]
    n_seen: int = 0


@dataclass(frozen=True, eq=False)
class Lesson:
    """A sweep and its labels, and what was fitted before.

    Parameters
    ----------
    sweeper : Sweeper
    sweep : LayerSweep
        Of the n new texts.
    new_codes : ndarray of shape (n,)
        Their class codes.
    classes : ndarray of shape (C,)
    token_ids : tuple of C int
        Tokens of the classes' label words; empty where states are read.
    samples : Texts or None
        The texts; None where only their sweep is known.
    before : Fitted or None
        Of the texts that were fitted before.
    """

    sweeper: Sweeper
    sweep: LayerSweep
    new_codes: IntegerArray
    classes: npt.NDArray[Any]
    token_ids: tuple[int, ...]
    samples: Texts | None
    before: Fitted | None

    def learn(self, settings: FitSettings) -> tuple[Fitted, Evidence]:
        """Make what predict needs, and what exits are chosen by.

        Parameters
        ----------
        settings : FitSettings
        """
        sweeper, by_keys = self.sweeper, self.sweeper.settings.by_keys
        weights = sample_weights(self.codes, self.classes, settings.class_weight)
        seed = settings.seed
        if sweeper.settings.by_states:
            learned = self._ridge(weights, seed, shared=settings.shared)
        else:
            learned = self._label_words(weights)
        keys, standardizer = self.sweep.keys, None
        if sweeper.key_depth is not None:
            standardizer = Standardizer.fit(keys)
            keys = standardizer(keys)
        database = Database.build(
            keys,
            learned.stored[-len(self.sweep) :],
            self.new_codes,
            keep=settings.database if by_keys else "all",
            metric=settings.metric,
            method=settings.index,
            n_jobs=settings.n_jobs,
            random_state=seed,
            shared=settings.shared,
        )
        fitted = Fitted(
            sweeper.settings,
            self.token_ids,
            database,
            setting=dict(settings.fixed),
            standardizer=standardizer,
            ridge=learned.ridge,
            sharpness=learned.sharpness,
            records=learned.records,
        )
        if self.before is not None:
            fitted = self.before.joined(fitted, settings.n_seen, learned.stored)
            keys = fitted.database.keys
        costs = depth_costs(sweeper.backbone)
        if sweeper.key_depth is not None:
            costs = np.maximum(costs, costs[sweeper.key_depth])
        evidence = Evidence(
            database=fitted.database,
            keys=keys,
            proba=learned.proba,
            codes=self.codes,
            classes=self.classes,
            weights=weights,
            costs=costs,
        )
        return fitted, evidence

    @cached_property
    def codes(self) -> IntegerArray:
        """Class codes of all texts, the new ones last."""
        if self.before is None:
            return self.new_codes
        return np.concatenate([self.before.database.labels, self.new_codes])

    def _label_words(self, weights: Float64Array) -> Learned:
        """Read the label words; where confidence decides, sharpen each depth."""
        proba = self.sweep.proba(self.token_ids)
        if self.before is not None:
            proba = np.concatenate([self.before.database.proba, proba])
        if self.sweeper.settings.by_keys:
            return Learned(proba, proba)
        logs = np.log(np.maximum(proba, np.finfo(np.float32).tiny, dtype=np.float64))
        sharpness = np.array(
            [
                fit_sharpness(logs[:, depth], self.codes, weights)
                for depth in range(logs.shape[1])
            ]
        )
        sharpened = softmax(logs * sharpness[:, None])
        return Learned(sharpened, proba, sharpness=sharpness)

    def _ridge(self, weights: Float64Array, seed: Any, *, shared: bool) -> Learned:
        """Solve every depth, with the states of earlier texts from the store.

        A search over what comes after it finds it solved.
        """
        states, records, before = self.sweep.states, None, self.before
        assert states is not None
        if self.samples is not None:
            names = b"".join(self.sweeper.records_of(self.samples))
            records = np.frombuffer(names, np.uint8).reshape(-1, _RECORD_BYTES)
        if before is not None:
            states = _joined(self.sweeper.states_of(before.record_names()), states)
            if records is not None and before.records is not None:
                records = np.concatenate([before.records, records])
        n_classes = len(self.classes)
        solve = partial(fit_ridge, states, self.codes, n_classes, weights, seed)
        if shared and records is not None and isinstance(seed, int):
            arrays = map(content, (records, self.codes, weights))
            ridge, proba = _solved.get((*arrays, n_classes, seed), solve)
        else:
            ridge, proba = solve()
        return Learned(proba, proba, ridge=ridge, records=records)


def _joined(first: States, second: States) -> States:
    both = room_for(len(first) + len(second), first.shape[1:], first.dtype)
    both[: len(first)] = first
    both[len(first) :] = second
    return both
