"""What fit knows of texts that were drawn."""

from __future__ import annotations

from typing import Any

import numpy as np

from skraee.exits.evidence import Evidence, NeighborEvidence
from skraee.readout.weights import sample_weights
from skraee.retrieval.database import Database

COSTS = np.array([0.0, 0.2, 0.5, 0.8, 1.0])

#: Of `deepening`.
DEPTHS = 7
STEPS = np.arange(DEPTHS) / (DEPTHS - 1)


def known(
    n: int = 200, seed: int = 0, balanced: bool = False, **settings: Any
) -> NeighborEvidence:
    """Draw texts that are read better with depth, some earlier than others."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.arange(n) % 3)
    keys = rng.normal(size=(n, 4)).astype(np.float32)
    # The first key tells from which depth on a text is known.
    clear = np.arange(5) - 2.0 - 1.5 * keys[:, :1]
    logits = rng.normal(size=(n, 5, 3))
    logits[np.arange(n), :, codes] += np.clip(clear, -0.5, 3.0)
    proba = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    proba = proba.astype(np.float32)
    database = Database.build(keys, proba, codes, method="exact", **settings)
    weights = sample_weights(codes, np.arange(3), "balanced" if balanced else None)
    return NeighborEvidence(
        database=database,
        keys=keys,
        proba=proba,
        codes=codes,
        classes=np.arange(3),
        weights=weights,
        costs=COSTS,
    )


def deepening(n: int, seed: int, classes: int = 2, best: int = DEPTHS - 1) -> Evidence:
    """Draw texts with the calibrated answers of readouts that know more with depth.

    Of each text a score is a random walk; behind the depth `best` noise is added.
    """
    rng = np.random.default_rng(seed)
    codes = rng.integers(classes, size=n)
    signal = (np.arange(1, DEPTHS + 1) / 3.0).clip(max=(best + 1) / 3.0)
    drift = signal[:, None] * (codes[:, None, None] == np.arange(classes))
    steps = rng.normal(size=(n, DEPTHS, classes)).cumsum(axis=1)
    steps /= np.sqrt(np.arange(1, DEPTHS + 1))[:, None]
    logits = (drift + steps * np.sqrt(signal)[:, None]) * 1.5
    logits[:, best + 1 :] += 1.5 * rng.normal(size=(n, DEPTHS - best - 1, classes))
    proba = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    return Evidence(
        proba=proba.astype(np.float32),
        codes=codes,
        classes=np.arange(classes),
        weights=np.ones(n),
        costs=STEPS,
    )
