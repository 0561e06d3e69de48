"""Which setting suits the task: cross-validation on the fit part, no test text seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedKFold

from skraee.exits.policies import ByVotes
from skraee.readout.ties import ROUNDING
from skraee.retrieval.database import Database
from skraee.retrieval.standardizer import Standardizer

Float32Array = npt.NDArray[np.float32]

K = 12
N_FOLDS = 5
#: Accuracy by which a setting must beat the defaults to be taken instead.
MARGIN = 0.02

_SEED = 0


@dataclass(frozen=True)
class Setting:
    """Parameters of :class:`skraee.RAEEClassifier` that the demo tries; k is 12.

    Attributes
    ----------
    encoder : int or None
        Depth of the keys; None for the mean of the text's depth-0 states.
    tau : float
    min_exit : int
    """

    encoder: int | None
    tau: float
    min_exit: int

    def __str__(self) -> str:
        keys = f"keys of depth {self.encoder or 0}"
        return f"{keys}, tau {self.tau}, min_exit {self.min_exit}"


#: The defaults of skraee: the paper's k and tau, and keys that cost nothing.
DEFAULTS = Setting(encoder=None, tau=0.9, min_exit=0)


@dataclass(frozen=True)
class Trial:
    """How a setting did in cross-validation.

    Attributes
    ----------
    setting : Setting
    accuracy : float
    layers_run : float
        Mean.
    """

    setting: Setting
    accuracy: float
    layers_run: float


def candidates(n_layers: int) -> dict[int | None, list[Setting]]:
    """Return the settings to try, by what makes their keys.

    Parameters
    ----------
    n_layers : int
        Layers m of the backbone; its middle one makes the other keys.

    Returns
    -------
    dict of encoder to list of Setting
    """
    return {
        encoder: [Setting(encoder, 0.9, 0), Setting(encoder, 0.0, 1)]
        for encoder in (None, max(1, n_layers // 2))
    }


def try_settings(
    settings: Sequence[Setting],
    keys: Float32Array,
    proba: Float32Array,
    labels: npt.NDArray[Any],
) -> list[Trial]:
    """Cross-validate settings from sweeps alone; the backbone does not run.

    Parameters
    ----------
    settings : sequence of Setting
        All with the encoder that made the keys.
    keys : ndarray of shape (n, d)
    proba : ndarray of shape (n, m + 1, C)
    labels : ndarray of shape (n,)

    Returns
    -------
    list of Trial
        Empty where a class has only one text.
    """
    codes = np.unique(labels, return_inverse=True)[1]
    n_folds = min(N_FOLDS, int(np.bincount(codes).min()))
    if n_folds < 2:
        return []
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=_SEED)
    exits = np.zeros((len(settings), len(codes)), dtype=np.int64)
    for known, held in folds.split(codes, codes):
        exits[:, held] = _exits(settings, keys, proba, codes, known, held)
    answers = proba.argmax(axis=2)[np.arange(len(codes)), exits]
    layers_run = np.maximum(exits, settings[0].encoder or 0)
    return [
        Trial(setting, float(right.mean()), float(layers.mean()))
        for setting, right, layers in zip(
            settings, answers == codes, layers_run, strict=True
        )
    ]


def choose(trials: Sequence[Trial]) -> Setting:
    """Return the most accurate setting if it is clearly better than the defaults.

    Parameters
    ----------
    trials : sequence of Trial

    Returns
    -------
    Setting
    """
    accuracy = {trial.setting: trial.accuracy for trial in trials}
    best = max(accuracy, key=lambda setting: accuracy[setting], default=DEFAULTS)
    if best == DEFAULTS or accuracy[best] - accuracy[DEFAULTS] < MARGIN - ROUNDING:
        return DEFAULTS
    return best


def _exits(
    settings: Sequence[Setting],
    keys: Float32Array,
    proba: Float32Array,
    codes: npt.NDArray[np.integer],
    known: npt.NDArray[np.integer],
    held: npt.NDArray[np.integer],
) -> npt.NDArray[np.int64]:
    """Return the exits (n_settings, n_held) of texts held out of the database."""
    if settings[0].encoder is not None:
        keys = Standardizer.fit(keys[known])(keys)
    database = Database.build(keys[known], proba[known], codes[known])
    policies = [
        ByVotes(database=database, k=K, tau=s.tau, min_exit=s.min_exit)
        for s in settings
    ]
    return np.stack([policy.choice(keys[held]).depths for policy in policies])
