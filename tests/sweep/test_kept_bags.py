"""Bags of tokens: kept with the states, carried by sweeps, missing in older ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skraee import LayerSweep, toy
from skraee.sweep.records import Records
from tests.support.answers import assert_same_answers
from tests.support.classifiers import BOTH, closed_form

pytestmark = [
    pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning"),
    pytest.mark.usefixtures("fresh_sweeps"),
]

X, Y = toy.reviews(70)
Y = np.where(np.arange(70) % 9 == 0, np.roll(Y, 1), Y)  # some are wrong
X_NEW, _ = toy.reviews(30, seed=1)


@pytest.mark.parametrize("cls", BOTH)
def test_the_text_has_a_say_beside_its_states(cls: Any) -> None:
    clf = closed_form(cls, memory=None).fit(X, Y)
    ridge = clf._fitted.ridge
    assert ridge.bag is not None
    assert ridge.bag.weight > 0


@pytest.mark.parametrize("cls", BOTH)
def test_sweeps_carry_the_bags_and_one_without_is_read_as_before(
    cls: Any, tmp_path: Path
) -> None:
    whole = closed_form(cls, memory=None).fit(X, Y)
    reader = closed_form(cls, memory=None)
    parts = [reader.sweep(X[:40]), reader.sweep(X[40:])]
    for i, part in enumerate(parts):
        part.save(tmp_path / f"{i}.npz")
    loaded = [LayerSweep.load(tmp_path / f"{i}.npz") for i in range(2)]
    sweep = LayerSweep.concatenate(loaded)
    assert sweep.bags is not None
    assert len(sweep.bags) == 70
    assert_same_answers(closed_form(cls, memory=None).fit_sweep(sweep, Y), whole, X_NEW)

    older = replace(loaded[0], bags=None)
    assert LayerSweep.concatenate([older, loaded[1]]).bags is None
    older.save(tmp_path / "older.npz")
    assert LayerSweep.load(tmp_path / "older.npz").bags is None
    clf = closed_form(cls, memory=None).fit_sweep(replace(sweep, bags=None), Y)
    assert clf._fitted.ridge.bag is None
    assert np.isfinite(clf.predict_proba(X_NEW)).all()
    np.testing.assert_array_equal(clf._fitted.ridge.coef, whole._fitted.ridge.coef)


@pytest.mark.parametrize("cls", BOTH)
def test_records_of_older_releases_are_made_anew(
    cls: Any, monkeypatch: pytest.MonkeyPatch, rows: Counter[str]
) -> None:
    with monkeypatch.context() as older:
        older.setattr(Records, "write_states", write_without_bags)
        closed_form(cls, memory="process").fit(X, Y)
    rows.clear()
    clf = closed_form(cls, memory="process").fit(X, Y)
    assert rows["sweep"] == len(set(X))
    assert clf._fitted.ridge.bag is not None
    assert_same_answers(clf, closed_form(cls, memory=None).fit(X, Y), X_NEW)
    rows.clear()
    closed_form(cls, memory="process").fit(X, Y)
    assert not rows["sweep"]


@pytest.mark.parametrize("cls", BOTH)
def test_more_texts_after_those_of_an_older_release_leave_the_tokens_out(
    cls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(Records, "write_states", write_without_bags)
        clf = closed_form(cls, memory="process").fit(X[:40], Y[:40])
    clf.partial_fit(X[40:], Y[40:])
    assert clf._fitted.ridge.bag is None
    sweep = closed_form(cls, memory=None).sweep(X)
    expected = closed_form(cls, memory=None).fit_sweep(replace(sweep, bags=None), Y)
    assert_same_answers(clf, expected, X_NEW)
    # What is kept of that solution is not taken for one with the tokens.
    assert closed_form(cls, memory="process").fit(X, Y)._fitted.ridge.bag is not None


def write_without_bags(
    records: Any, samples: Any, states: Any, is_cut: Any, bags: Any
) -> None:
    made = [
        {"states": found, "is_cut": np.array(cut)}
        for found, cut in zip(states, is_cut, strict=True)
    ]
    records.write(records._states_kind, records.context, samples, made)
