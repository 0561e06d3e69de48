"""What was fitted is the same from a pickle and from a file, and as small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from skraee import EarlyExitClassifier, RAEEClassifier, RAEEClassifierCV
from tests.support.answers import assert_same_answers
from tests.support.classifiers import WAYS, closed_form
from tests.support.reviews import noisy_reviews

# Texts with a wrong label are often read wrongly at all depths.
pytestmark = pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning")

X, Y = noisy_reviews(90)
X_NEW, Y_NEW = noisy_reviews(50, seed=1)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("budget", [None, 0.4])
@pytest.mark.parametrize("how", ["joblib", "file"])
def test_what_was_fitted_survives_both_ways_of_keeping_it(
    way: Any, budget: Any, how: str, tmp_path: Path
) -> None:
    clf = closed_form(budget=budget, **way).fit(X, Y)
    path = tmp_path / "clf"
    if how == "joblib":
        joblib.dump(clf, path)
        again = joblib.load(path)
    else:
        clf.save(path)
        again = type(clf).load(path)
    assert_same_answers(again, clf, X_NEW, atol=0)
    np.testing.assert_array_equal(again.layer_proba(X_NEW), clf.layer_proba(X_NEW))
    np.testing.assert_array_equal(again.cost_, clf.cost_)
    for name in ("lambda_", "threshold_"):
        assert vars(again).get(name) == vars(clf).get(name)
    with pytest.raises(ValueError, match=r"budget was .* at fit and is 0.7 now"):
        again.set_params(budget=0.7).predict(X_NEW)


@pytest.mark.parametrize("budgets", [None, (0.3, 0.6), np.array([0.3, 0.6])])
def test_a_search_survives_its_file(budgets: Any, tmp_path: Path) -> None:
    clf = closed_form(cls=RAEEClassifierCV, budgets=budgets).fit(X, Y)
    clf.save(tmp_path / "clf")
    again = RAEEClassifierCV.load(tmp_path / "clf")
    assert_same_answers(again, clf, X_NEW, atol=0)
    assert again.best_params_ == clf.best_params_
    assert again.best_score_ == clf.best_score_


@pytest.mark.parametrize("how", ["joblib", "file"])
def test_states_are_never_in_what_is_kept(how: str, tmp_path: Path) -> None:
    texts, labels = noisy_reviews(400)
    sizes = {}
    for name, cls in (("keys", RAEEClassifier), ("none", EarlyExitClassifier)):
        clf = closed_form(cls, memory="process").fit(texts, labels)
        vars(clf).pop("exit_report_", None)  # which is large beside these few texts
        path = tmp_path / name
        if how == "joblib":
            joblib.dump(clf, path)
        else:
            clf.save(path)
        sizes[name] = path.stat().st_size
    states = 400 * 5 * 3 * 32 * 4
    assert sizes["keys"] < 0.25 * states
    assert sizes["none"] < 0.15 * states
    assert sizes["none"] + 400 * 32 * 2 < sizes["keys"]
