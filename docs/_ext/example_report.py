"""The report that a page leads to: made of the toys, when the pages are built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from skraee import EarlyExitClassifier, toy
from skraee.inspection import Report

NAME = "example-report.html"


def reviews(n_texts: int, seed: int) -> tuple[list[str], Any]:
    """Make texts, some with wrong labels as in life.

    Parameters
    ----------
    n_texts : int
    seed : int
    """
    texts, labels = toy.reviews(n_texts, seed)
    other = np.where(labels == "positive", "negative", "positive")
    wrong = np.random.default_rng(seed).random(n_texts) < 0.15
    return texts, np.where(wrong, other, labels)


def write(folder: Path) -> Path:
    """Write the report.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    Path
        The page.
    """
    texts, labels = reviews(120, seed=0)
    clf = EarlyExitClassifier(toy.backbone(), budget=0.5).fit(texts, labels)
    new = reviews(300, seed=5)
    report = Report.of(clf, *new, title="Toy reviews", explain=30, texts=texts)
    report.save(folder / NAME)
    return folder / NAME


def finished(app: Any, error: Exception | None) -> None:
    """Write it beside the pages, where they were built."""
    if error is None and app.builder.format == "html":
        write(Path(app.outdir))


def setup(app: Any) -> dict[str, bool]:
    """Tell sphinx of it."""
    app.connect("build-finished", finished)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
