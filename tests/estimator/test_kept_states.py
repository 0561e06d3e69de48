"""States that were read before, from the store or a sweep, are not read again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skraee import EarlyExitClassifier, LayerSweep, RAEEClassifierCV, clear_sweeps
from tests.support.answers import assert_same_answers
from tests.support.classifiers import BOTH, closed_form
from tests.support.reviews import noisy_reviews

# Texts with a wrong label are often read wrongly at all depths.
pytestmark = pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning")

X, Y = noisy_reviews(90)
X_NEW, Y_NEW = noisy_reviews(50, seed=1)


@pytest.mark.usefixtures("fresh_sweeps")
@pytest.mark.parametrize("where", ["process", "folder"])
def test_known_texts_are_not_run_again(
    where: str, rows: Counter[str], tmp_path: Path
) -> None:
    memory = "process" if where == "process" else tmp_path
    clf = closed_form(memory=memory).fit(X, Y)
    assert rows["sweep"] == len(set(X))
    expected = closed_form().fit(X, Y)
    rows.clear()
    assert_same_answers(clf, expected, texts=X[:20], atol=1e-5)
    assert rows["sweep"] == 0  # only the twin, which has no memory, ran
    assert rows["run"] == len(set(X[:20]))
    rows.clear()
    confident = closed_form(EarlyExitClassifier, memory=memory).fit(X, Y)
    confident.predict(X)
    confident.set_params(budget=0.4, threshold=None).fit(X, Y).predict(X)
    clf.set_params(budget=0.4, tau=0.9).fit(X, Y).predict(X)
    closed_form(cls=RAEEClassifierCV, memory=memory).fit(X, Y)
    assert not +rows
    if where == "folder":
        clear_sweeps()
        closed_form(memory=tmp_path).fit(X[:40], Y[:40])
        assert not +rows


def test_predict_writes_nothing_to_the_memory(
    tmp_path: Path, rows: Counter[str]
) -> None:
    for cls in BOTH:
        clf = closed_form(cls, memory=tmp_path).fit(X, Y)
        files = sorted(tmp_path.rglob("*"))
        rows.clear()
        for _ in range(2):
            clf.predict(X_NEW)
        assert sorted(tmp_path.rglob("*")) == files
        assert rows["run"] == 2 * len(set(X_NEW) - set(X))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_states_in_half_precision_come_back_from_a_folder_as_they_were(
    dtype: str, tmp_path: Path, rows: Counter[str]
) -> None:
    first = closed_form(dtype=dtype, memory=tmp_path).fit(X, Y)
    rows.clear()
    again = closed_form(dtype=dtype, memory=tmp_path).fit(X, Y)
    assert not +rows
    depths = first.layer_proba(X_NEW)
    np.testing.assert_array_equal(again.layer_proba(X_NEW), depths)
    alone = closed_form(dtype=dtype).fit(X, Y)
    np.testing.assert_array_equal(alone.layer_proba(X_NEW), depths)
    proba, exits = first.predict_proba(X_NEW, return_exit_layers=True)
    np.testing.assert_allclose(proba, depths[np.arange(50), exits], atol=0.02)


@pytest.mark.parametrize("cls", BOTH)
def test_fit_sweep_with_states_equals_fit(cls: Any, tmp_path: Path) -> None:
    clf = closed_form(cls, label_words=None)
    parts = [clf.sweep(X[:50]), clf.sweep(X[50:])]
    assert parts[0].states is not None
    assert parts[0].states.shape == (50, 5, 3, 32)
    LayerSweep.concatenate(parts).save(tmp_path / "sweep.npz")
    sweep = LayerSweep.load(tmp_path / "sweep.npz")
    assert_same_answers(clf.fit_sweep(sweep, Y), closed_form(cls).fit(X, Y), X_NEW)


def test_fit_sweep_without_states_is_a_clear_error() -> None:
    sweep = closed_form(readout="lm_head").sweep(X)
    assert sweep.states is None
    with pytest.raises(
        ValueError, match="no states, which a closed-form readout reads"
    ):
        closed_form().fit_sweep(sweep, Y)


def test_a_sweep_with_states_alone_does_not_fit_label_words() -> None:
    sweep = closed_form(label_words=None).sweep(X)
    with pytest.raises(ValueError, match="holds no logits for the label-word tokens"):
        closed_form(readout="lm_head").fit_sweep(sweep, Y)
