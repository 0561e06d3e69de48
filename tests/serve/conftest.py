"""Classifiers to serve, and one service that is only asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skraee import EarlyExitClassifier, toy
from tests.support.classifiers import early_exit, raee
from tests.support.services import Client, serving

X, Y = toy.reviews(60)


@pytest.fixture(scope="session")
def clf() -> EarlyExitClassifier:
    """A classifier whose texts stop at different depths, for some labels are wrong."""
    labels = Y.copy()
    labels[::3] = "negative"
    return early_exit(threshold=0.8).fit(X, labels)


@pytest.fixture(scope="session")
def neighbors() -> Any:
    """One whose exits neighbours choose."""
    return raee(k=3, tau=0.7).fit(X, Y)


@pytest.fixture(scope="session")
def model(clf: EarlyExitClassifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("served") / "model.skraee"
    clf.save(path)
    return path


@pytest.fixture(scope="module")
def service(clf: EarlyExitClassifier) -> Iterator[Client]:
    """A service with narrow limits and little patience."""
    with serving(
        clf,
        max_texts=16,
        max_length=200,
        max_body=4_096,
        max_queue=32,
        max_explained=2,
        max_connections=40,
        receive_timeout=1.0,
        timeout=10.0,
    ) as client:
        yield client
