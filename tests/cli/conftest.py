"""Files that tests of the commands read."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from skraee import toy
from tests.support.classifiers import early_exit, raee

X, Y = toy.reviews(60)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved EarlyExitClassifier, which is only read."""
    path = tmp_path_factory.mktemp("saved") / "model.skraee"
    early_exit(budget=0.5).fit(X, Y).save(path)
    return path


@pytest.fixture(scope="session")
def neighbors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved RAEEClassifier, which is only read."""
    path = tmp_path_factory.mktemp("saved") / "neighbors.skraee"
    raee(k=3).fit(X, Y).save(path)
    return path


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """A CSV file of 40 labelled texts that no model was fitted on."""
    texts, labels = toy.reviews(40, seed=1)
    path = tmp_path / "labelled.csv"
    pd.DataFrame({"text": texts, "label": labels}).to_csv(path, index=False)
    return path
