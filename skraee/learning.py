"""What fit learns from a sweep and its labels; nothing here is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from skraee.calibration import fit_sharpness
from skraee.fitted import Fitted
from skraee.reading import Reader
from skraee.retrieval.database import Database
from skraee.ridge import RidgeReadout, fit_ridge
from skraee.states import States, room_for
from skraee.sweep import LayerSweep, softmax

Float32Array = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.integer]

_RECORD_BYTES = 20


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
    sharpness: FloatArray | None = None
    records: npt.NDArray[np.uint8] | None = None


@dataclass(frozen=True, eq=False)
class Evidence:
    """What fit knows of its own texts, each left out: what exits are chosen by.

    Attributes
    ----------
    database : Database
    keys : ndarray of shape (n, d)
    proba : ndarray of shape (n, m + 1, C)
    codes : ndarray of shape (n,)
        Class codes.
    classes : ndarray of shape (C,)
    weights : ndarray of shape (n,)
        Of the texts.
    costs : ndarray of shape (m + 1,)
        Share of a full pass that each exit takes, that of the keys included.
    """

    database: Database
    keys: Float32Array
    proba: Float32Array
    codes: IntArray
    classes: npt.NDArray[Any]
    weights: FloatArray
    costs: FloatArray


def learn_label_words(
    sweep: LayerSweep,
    token_ids: Sequence[int],
    codes: IntArray,
    weights: FloatArray,
    *,
    by_confidence: bool,
    before: Fitted | None,
) -> Learned:
    """Read the label words; where confidence decides, fit each depth's sharpness.

    Parameters
    ----------
    sweep : LayerSweep
        Of the new texts.
    token_ids : sequence of C int
    codes, weights : ndarray of shape (n,)
        Of all texts, the new ones last.
    by_confidence : bool
    before : Fitted or None
        Of the texts that were fitted before.
    """
    proba = sweep.proba(token_ids)
    if before is not None:
        proba = np.concatenate([before.database.proba, proba])
    if not by_confidence:
        return Learned(proba, proba)
    logs = np.log(np.maximum(proba, np.finfo(np.float32).tiny, dtype=np.float64))
    sharpness = np.array(
        [fit_sharpness(logs[:, d], codes, weights) for d in range(logs.shape[1])]
    )
    return Learned(softmax(logs * sharpness[:, None]), proba, sharpness=sharpness)


def learn_ridge(
    reader: Reader,
    sweep: LayerSweep,
    samples: Sequence[tuple[str, ...]] | None,
    codes: IntArray,
    weights: FloatArray,
    *,
    n_classes: int,
    seed: Any,
    before: Fitted | None,
) -> Learned:
    """Solve every depth, with the states of earlier texts from the store.

    Parameters
    ----------
    reader : Reader
    sweep : LayerSweep
        Of the new texts.
    samples : sequence of tuple of str or None
        The new texts; None where only their sweep is known.
    codes, weights : ndarray of shape (n,)
        Of all texts, the new ones last.
    n_classes : int
    seed : object
        Of the sample, where there are very many texts.
    before : Fitted or None
        Of the texts that were fitted before.

    Raises
    ------
    ValueError
        If states of earlier texts are needed and the store does not have them.
    """
    states = sweep.states
    assert states is not None
    records = None
    if samples is not None:
        joined = b"".join(reader.records_of(samples))
        records = np.frombuffer(joined, np.uint8).reshape(-1, _RECORD_BYTES)
    if before is not None:
        states = _joined(reader.states_of(before.record_names()), states)
        if records is not None and before.records is not None:
            records = np.concatenate([before.records, records])
    ridge, proba = fit_ridge(states, codes, n_classes, weights, seed)
    return Learned(proba, proba, ridge=ridge, records=records)


def _joined(first: States, second: States) -> States:
    both = room_for(len(first) + len(second), first.shape[1:], first.dtype)
    both[: len(first)] = first
    both[len(first) :] = second
    return both
