"""A budget binds what a prediction costs, whichever way exits are chosen."""

from __future__ import annotations

from typing import Any

import joblib
import numpy as np
import pytest

from skraee import RAEEClassifier, toy
from skraee.exits.gains import best_for_price
from tests.support.classifiers import BOTH, WAYS, closed_form
from tests.support.reviews import noisy_reviews

# Texts with a wrong label are often read wrongly at all depths.
pytestmark = pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning")

KINDS = list(toy.TEMPLATES)
READOUTS = ["lm_head", "ridge"]
X, Y = noisy_reviews(90)
X_NEW, Y_NEW = noisy_reviews(50, seed=1)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_budgets_hold_for_texts_that_fit_has_not_seen(kind: str, way: Any) -> None:
    texts, labels = noisy_reviews(400, seed=5)
    new, _ = noisy_reviews(400, seed=6)
    clf = closed_form(kind=kind, budget=0.2, memory="process", **way)
    by_neighbors = isinstance(clf, RAEEClassifier)
    for budget in (0.2, 0.5):
        clf.set_params(budget=budget).fit(texts, labels)
        # A budget is used: of 400 new texts the mean has an error of 7 %, too.
        assert clf.cost_[clf.exit_layers(new)].mean() <= 1.2 * budget
        found = {"lambda_", "threshold_"} & vars(clf).keys()
        assert found == {"lambda_" if by_neighbors else "threshold_"}
    clf.set_params(budget=None).fit(texts, labels)
    assert "lambda_" not in vars(clf)


@pytest.mark.parametrize("readout", READOUTS)
def test_report_of_a_budget_says_what_each_price_leads_to(readout: Any) -> None:
    clf = closed_form(kind="seq2seq", readout=readout, budget=0.5).fit(X, Y)
    report = clf.exit_report_
    assert report.keys() == {"lambda", "mean_cost", "accuracy", "chosen"}
    (place,) = np.flatnonzero(report["chosen"])
    assert report["lambda"][place] == clf.lambda_
    assert report["mean_cost"][place] <= 0.5
    assert (np.diff(report["lambda"]) > 0).all()
    assert (np.diff(report["mean_cost"]) <= 1e-12).all()  # dearer depth, earlier exits
    clf.set_params(budget=None).fit(X, Y)
    assert not hasattr(clf, "exit_report_")


def test_a_budget_counts_the_layers_that_the_key_takes() -> None:
    clf = closed_form(encoder=2, budget=0.6).fit(X, Y)
    evidence = np.maximum(clf.cost_, clf.cost_[2])
    exits = clf.exit_layers(X_NEW)
    assert evidence[exits].mean() <= 1.1 * 0.6
    gains = clf._policy(clf._fitted).choice(clf.sweep(X_NEW).keys)
    expected = best_for_price(gains.scores, evidence, clf.lambda_, 0)
    np.testing.assert_array_equal(exits, expected)
    message = r"budget=0.4 is less than the earliest exits cost, 0.5 of a full pass"
    with pytest.raises(ValueError, match=message):
        closed_form(encoder=2, budget=0.4).fit(X, Y)


@pytest.mark.parametrize("cls", BOTH)
def test_a_budget_that_cannot_be_kept_leaves_the_estimator_as_it_was(
    cls: Any,
) -> None:
    clf = closed_form(cls).fit(X, Y)
    unset = {"tau": 0.9} if cls is RAEEClassifier else {"threshold": None}
    before, params = joblib.hash(clf), clf.get_params(deep=False)
    with pytest.raises(ValueError, match=r"budget=0.1 is less .* raise budget, or low"):
        clf.set_params(**unset, budget=0.1, min_exit=2).fit(X, Y)
    assert joblib.hash(clf.set_params(**params)) == before


@pytest.mark.parametrize(
    "params", [{"tau": 0.5}, {"below_tau": "skip"}, {"tau": np.float32(0.25)}]
)
@pytest.mark.parametrize("readout", READOUTS)
def test_settings_that_a_budget_makes_useless_are_warned_of_at_fit(
    params: dict[str, Any], readout: str
) -> None:
    clf = closed_form(readout=readout, budget=0.5, **params)
    with pytest.warns(UserWarning, match=f"{next(iter(params))}=.* is not used"):
        clf.fit(X, Y)
    clf.predict(X_NEW)  # warns no more
    closed_form(readout=readout, budget=0.5, tau=0.9).fit(X, Y)
