"""partial_fit where a readout is solved anew from the states of earlier texts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from skraee import RAEEClassifier, RAEEClassifierCV, clear_sweeps, toy
from tests.support.answers import assert_same_answers
from tests.support.classifiers import BOTH, closed_form
from tests.support.reviews import noisy_reviews

# Texts with a wrong label are often read wrongly at all depths.
pytestmark = [
    pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning"),
    pytest.mark.usefixtures("fresh_sweeps"),
]

KINDS = list(toy.TEMPLATES)
X, Y = noisy_reviews(90)
X_NEW, Y_NEW = noisy_reviews(50, seed=1)
CLASSES = ["negative", "positive"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("params", [{}, {"budget": 0.5}, {"class_weight": "balanced"}])
def test_partial_fit_equals_fit_on_all_texts(
    kind: str, cls: Any, params: Any, rows: Counter[str]
) -> None:
    params = {"cls": cls, "memory": "process", **params}
    parts = closed_form(kind=kind, **params)
    parts.partial_fit(X[:30], Y[:30], classes=CLASSES)
    rows.clear()
    parts.partial_fit(X[30:31], Y[30:31]).partial_fit(X[31:], Y[31:])
    assert rows["sweep"] == len(set(X) - set(X[:30]))
    assert set(rows) <= {"sweep"}
    whole = closed_form(kind=kind, **params).fit(X, Y)
    assert_same_answers(parts, whole, X_NEW)
    np.testing.assert_allclose(parts.layer_scores_, whole.layer_scores_)
    assert parts.n_samples_fit_ == 90
    for name in ("lambda_", "threshold_"):
        assert vars(parts).get(name) == pytest.approx(vars(whole).get(name))
    np.testing.assert_allclose(
        parts.layer_proba(X_NEW), whole.layer_proba(X_NEW), atol=1e-6
    )


@pytest.mark.parametrize("budget", [None, 0.4])
def test_partial_fit_of_label_words_equals_fit_and_needs_no_memory(budget: Any) -> None:
    params = {"readout": "lm_head", "budget": budget}
    parts = closed_form(**params).fit(X[:30], Y[:30])
    parts.partial_fit(X[30:], Y[30:])
    assert_same_answers(parts, closed_form(**params).fit(X, Y), X_NEW)


def test_partial_fit_of_a_search_chooses_anew() -> None:
    params = {"memory": "process", "budgets": (0.3, 0.7)}
    parts = closed_form(cls=RAEEClassifierCV, **params).fit(X[:40], Y[:40])
    parts.partial_fit(X[40:], Y[40:])
    whole = closed_form(cls=RAEEClassifierCV, **params).fit(X, Y)
    assert parts.best_params_ == whole.best_params_
    assert parts.best_score_ == pytest.approx(whole.best_score_)
    assert_same_answers(parts, whole, X_NEW)


@pytest.mark.parametrize("lost", ["no memory", "forgotten"])
@pytest.mark.parametrize("cls", BOTH)
def test_partial_fit_without_the_states_of_old_texts_is_a_clear_error(
    lost: str, cls: Any
) -> None:
    memory = None if lost == "no memory" else "process"
    clf = closed_form(cls, memory=memory).fit(X[:30], Y[:30])
    clear_sweeps()
    expected, before = clf.predict_proba(X_NEW), joblib.hash(clf)
    with pytest.raises(ValueError, match=r"set memory= to a folder .*call fit on all"):
        clf.partial_fit(X[30:], Y[30:])
    assert joblib.hash(clf) == before
    np.testing.assert_array_equal(clf.predict_proba(X_NEW), expected)


@pytest.mark.parametrize("how", ["joblib", "file"])
def test_partial_fit_goes_on_in_another_process_with_a_folder(
    how: str, tmp_path: Path, rows: Counter[str]
) -> None:
    clf = closed_form(memory=tmp_path / "memory").fit(X[:40], Y[:40])
    if how == "joblib":
        joblib.dump(clf, tmp_path / "clf")
        again = joblib.load(tmp_path / "clf")
    else:
        clf.save(tmp_path / "clf")
        again = RAEEClassifier.load(tmp_path / "clf")
    clear_sweeps()
    again.predict(X_NEW)
    rows.clear()
    again.partial_fit(X[40:], Y[40:])
    assert rows["sweep"] == len(set(X) - set(X[:40]))
    assert_same_answers(again, closed_form().fit(X, Y), X_NEW, atol=1e-5)


def test_partial_fit_after_fit_sweep_is_a_clear_error() -> None:
    clf = closed_form(memory="process")
    clf.fit_sweep(clf.sweep(X[:30]), Y[:30])
    with pytest.raises(
        ValueError, match="after fit_sweep they are not known, nor after"
    ):
        clf.partial_fit(X[30:], Y[30:])


@pytest.mark.parametrize("params", [{"readout": "ridge"}, {"budget": 0.5}])
def test_partial_fit_where_the_database_has_forgotten_texts_is_a_clear_error(
    params: Any,
) -> None:
    params = {"readout": "lm_head", **params}
    clf = closed_form(database="correct", memory="process", **params)
    clf.fit(X[:40], Y[:40])
    assert clf.predict(X_NEW).shape == (50,)
    with pytest.raises(ValueError, match=r"database='correct' .*call fit on all texts"):
        clf.partial_fit(X[40:], Y[40:])


def test_partial_fit_may_begin_without_some_class() -> None:
    clf = closed_form(memory="process")
    first = Y == "positive"
    texts = np.array(X, dtype=object)
    clf.partial_fit(texts[first], Y[first], classes=CLASSES)
    assert set(clf.predict(X_NEW)) == {"positive"}
    clf.partial_fit(texts[~first], Y[~first])
    assert set(clf.predict(X_NEW)) == set(CLASSES)
