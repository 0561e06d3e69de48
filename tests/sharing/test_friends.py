"""Packages that take any estimator of scikit-learn, each with one of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from skraee import EarlyExitClassifier, toy
from tests.support.classifiers import early_exit

pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("default")]

X, Y = toy.reviews(60)
NEW, Y_NEW = toy.reviews(40, seed=1)


@pytest.fixture(scope="module")
def clf() -> EarlyExitClassifier:
    return early_exit(threshold=0.9).fit(X, Y)


def test_card_of_skops_shows_parameters_and_metrics(
    clf: EarlyExitClassifier, tmp_path: Path
) -> None:
    card = pytest.importorskip("skops.card", reason="the extra `friends`")
    made = card.Card(clf)
    made.add_metrics(accuracy=clf.score(NEW, Y_NEW))
    made.save(tmp_path / "README.md")
    shown = (tmp_path / "README.md").read_text("utf-8")
    assert "Backbone('toy:masked:0')" in shown
    assert "accuracy" in shown


def test_file_format_of_skops_refuses(clf: EarlyExitClassifier, tmp_path: Path) -> None:
    """Ours holds no code either; the page says to use it."""
    io = pytest.importorskip("skops.io", reason="the extra `friends`")
    with pytest.raises(TypeError, match="keys must be str"):
        io.dump(clf, tmp_path / "model.skops")


def test_report_of_skore_has_metrics_of_one_split_and_of_folds() -> None:
    skore = pytest.importorskip("skore", reason="the extra `friends`")
    report = skore.EstimatorReport(
        early_exit(threshold=0.9), X_train=X, y_train=Y, X_test=NEW, y_test=Y_NEW
    )
    expected = early_exit(threshold=0.9).fit(X, Y).score(NEW, Y_NEW)
    assert report.metrics.accuracy() == pytest.approx(expected)
    folds = skore.CrossValidationReport(early_exit(threshold=0.9), X, Y, splitter=3)
    assert folds.metrics.accuracy().shape[0] >= 1
