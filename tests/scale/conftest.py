"""A classifier and texts for the engines, and what predict makes of them here."""

from __future__ import annotations

from typing import Any

import pytest

from skraee import EarlyExitClassifier, toy
from tests.support.classifiers import early_exit


@pytest.fixture(scope="session")
def clf() -> EarlyExitClassifier:
    return early_exit(threshold=0.7).fit(*toy.reviews(60))


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return toy.reviews(600, seed=1)[0]


@pytest.fixture(scope="session")
def expected(clf: EarlyExitClassifier, texts: list[str]) -> list[tuple[Any, ...]]:
    """Number, label, probabilities and exit of each text."""
    proba, exits = clf.predict_proba(texts, return_exit_layers=True)
    labels = clf.classes_[proba.argmax(axis=1)]
    rows = zip(labels.tolist(), proba.tolist(), exits.tolist(), strict=True)
    return [(number, *row) for number, row in enumerate(rows)]
