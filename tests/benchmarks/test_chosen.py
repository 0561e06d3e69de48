"""Baselines that the training texts tune, against plain loops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold

from benchmarks.paper.chosen import (
    RATES,
    BestByLeaveOneOut,
    DeeBERTByFolds,
    best_within,
    thresholds_for,
)
from skraee import RAEEClassifierCV, toy
from skraee.baselines import DeeBERTClassifier


def ramps() -> DeeBERTClassifier:
    return DeeBERTClassifier(toy.backbone(), n_epochs=6, batch_size=4)


def plain_figures(
    X: list[str], y: np.ndarray
) -> dict[tuple[float, float], list[float]]:
    """Accuracy and cost of every rate and threshold; the texts really run."""
    found: dict[tuple[float, float], list[list[float]]] = {}
    for rate in RATES:
        for train, test in StratifiedKFold(3).split(X, y):
            model = clone(ramps()).set_params(learning_rate=rate)
            model.fit([X[i] for i in train], y[train])
            for threshold in thresholds_for(2):
                model.set_params(threshold=threshold)
                labels, exits = model.predict([X[i] for i in test], True)
                figures = [np.mean(labels == y[test]), model.cost_[exits].mean()]
                found.setdefault((rate, threshold), []).append(figures)
    return {key: np.mean(folds, axis=0).tolist() for key, folds in found.items()}


def test_deebert_takes_the_rate_and_threshold_that_are_best_in_folds() -> None:
    X, labels = toy.reviews(45)
    y = np.array(labels)
    figures = plain_figures(X, y)
    chosen = {}
    for budget in (1.0, 0.4):
        allowed = {k: f for k, f in figures.items() if f[1] <= budget}
        best = max(accuracy for accuracy, _ in allowed.values())
        equal = [k for k, (accuracy, _) in allowed.items() if accuracy > best - 1e-9]
        cost = min(figures[key][1] for key in equal)
        found = DeeBERTByFolds(ramps(), budget).fit(X, y)
        key = found.choice_["learning_rate"], found.choice_["threshold"]
        assert figures[key] == pytest.approx([best, cost])
        assert len(allowed) > len(equal)
        chosen[budget] = key
        alone = clone(ramps()).set_params(**found.choice_).fit(X, y)
        for one, other in zip(
            found.predict(X, True), alone.predict(X, True), strict=True
        ):
            np.testing.assert_array_equal(one, other)
    assert chosen[1.0] != chosen[0.4]


def test_figures_of_the_folds_are_made_once_for_all_budgets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, labels = toy.reviews(20)
    y = np.array(labels)
    searches: list[int] = []
    search = DeeBERTByFolds._searched

    def counting(self: DeeBERTByFolds, X: Any, y: Any) -> Any:
        searches.append(len(X))
        return search(self, X, y)

    monkeypatch.setattr(DeeBERTByFolds, "_searched", counting)
    first = DeeBERTByFolds(ramps(), 1.0, folder=tmp_path).fit(X, y)
    DeeBERTByFolds(ramps(), 0.4, folder=tmp_path).fit(X, y)
    again = DeeBERTByFolds(ramps(), 1.0, folder=tmp_path).fit(X, y)
    assert first.choice_ == again.choice_
    DeeBERTByFolds(ramps(), 1.0, folder=tmp_path).fit(X[:15], y[:15])
    assert searches == [20, 15]


def test_two_classes_have_the_thresholds_of_deebert_and_more_have_larger_ones() -> None:
    assert thresholds_for(2)[-1] == pytest.approx(0.7)
    assert thresholds_for(6)[-1] == pytest.approx(0.7 * np.log(6) / np.log(2))


def test_best_within_a_budget_is_the_cheapest_of_equals() -> None:
    scores = np.array([[0.5, 0.9], [0.9, 1.0]])
    costs = np.array([[0.1, 0.4], [0.3, 0.9]])
    assert best_within(1.0, scores, costs) == (1, 1)
    assert best_within(0.5, scores, costs) == (1, 0)
    assert best_within(0.05, scores, costs) == (0, 0)


def test_best_by_leave_one_out_is_the_candidate_with_the_best_score() -> None:
    X, y = toy.reviews(40)
    candidates = [
        RAEEClassifierCV(
            toy.backbone(),
            toy.TEMPLATES["masked"],
            label_words=toy.LABEL_WORDS,
            min_exit=min_exit,
            below_tau=below_tau,
        )
        for min_exit in (4, 1)
        for below_tau in ("skip", "top3")
    ]
    found = BestByLeaveOneOut(candidates).fit(X, y)
    scores = [clone(one).fit(X, y).best_score_ for one in candidates]
    assert max(scores) > min(scores)
    best = candidates[int(np.argmax(scores))]
    assert found.choice_["min_exit"] == best.min_exit
    assert found.choice_["below_tau"] == best.below_tau
    assert found.choice_["k"] == found.chosen_.k_
    np.testing.assert_array_equal(found.predict(X), clone(best).fit(X, y).predict(X))
