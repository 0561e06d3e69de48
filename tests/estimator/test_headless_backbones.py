"""A backbone without a head is read by the closed-form readout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from tests.support.answers import assert_same_answers
from tests.support.checkpoints import headless
from tests.support.classifiers import BOTH, closed_form

# Texts with a wrong label are often read wrongly at all depths.
pytestmark = pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning")


def numbered_words(n: int, seed: int) -> tuple[list[str], np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    first = rng.integers(3, 8, n) + 30 * labels
    return [
        f"w{a} w{b}" for a, b in zip(first, rng.integers(50, 60, n), strict=True)
    ], labels


@pytest.mark.parametrize("which", ["elasticbert", "sentence encoder"])
@pytest.mark.parametrize("template", ["{text} w9 {mask}", "{text}"])
@pytest.mark.parametrize("cls", BOTH)
def test_backbones_without_a_head_are_read_by_ridge(
    which: str, template: str, cls: Any, tmp_path: Path
) -> None:
    texts, labels = numbered_words(200, 0)
    new, right = numbered_words(60, 1)
    clf = closed_form(
        backbone=str(headless(tmp_path / "model", which)),
        template=template,
        label_words=None,
        cls=cls,
        budget=0.7,
        dtype="float32",
    ).fit(texts, labels)
    n_kinds = 3 if "mask" in template else 1  # read, text, words around; text
    assert clf.sweep(new).states.shape == (60, 4, n_kinds, 16)
    assert clf.score(new, right) > 0.7
    proba, exits = clf.predict_proba(new, return_exit_layers=True)
    rows = clf.layer_proba(new)[np.arange(60), exits]
    np.testing.assert_allclose(proba, rows, atol=1e-5)
    clf.save(tmp_path / "clf")
    assert_same_answers(type(clf).load(tmp_path / "clf"), clf, texts=new, atol=0)
    joblib.dump(clf, tmp_path / "pickle")
    assert_same_answers(joblib.load(tmp_path / "pickle"), clf, texts=new, atol=0)


def test_a_backbone_without_a_head_has_no_label_words(tmp_path: Path) -> None:
    folder = headless(tmp_path, "sentence encoder")
    clf = closed_form(
        backbone=str(folder),
        template="{text} {mask}",
        label_words=["w3", "w4"],
        readout="lm_head",
        dtype="float32",
    )
    with pytest.raises(ValueError, match=r"no language-model head .*readout='ridge'"):
        clf.fit(*numbered_words(20, 0))
    clf.set_params(readout="ridge").fit(*numbered_words(20, 0))
