"""Reports that tests of the page read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skraee import toy
from skraee.inspection import Report
from tests.support.classifiers import early_exit, raee

X, Y = toy.reviews(60)
NEW, RIGHT = toy.reviews(50, seed=7)
# Some of them are wrong, so that no number is 0 or 1.
GIVEN = np.where(np.arange(50) % 7 == 0, "negative", RIGHT)


@pytest.fixture(scope="session")
def confident() -> Any:
    """A fitted EarlyExitClassifier with a curve, which is only read."""
    return early_exit(budget=0.5).fit(X, Y)


@pytest.fixture(scope="session")
def near() -> Any:
    """A fitted RAEEClassifier, which is only read."""
    return raee(k=3).fit(X, Y)


@pytest.fixture(scope="session")
def report(confident: Any) -> Report:
    """A report with explanations, which is only read."""
    return Report.of(confident, NEW, GIVEN, explain=6, listed=10)
