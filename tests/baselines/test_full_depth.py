"""Full depth against the model's own forward."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from skraee.baselines import FullDepthClassifier
from tests.baselines.plain import (
    CLASSES,
    FAMILIES,
    LABELS,
    NEW,
    TEXTS,
    WORDS,
    check_run,
    plain,
    plain_of,
)
from tests.support.checkpoints import headless
from tests.support.prompts import LABEL_IDS


@pytest.mark.parametrize("name", FAMILIES)
def test_full_depth_is_the_softmax_of_the_label_words_behind_the_last_layer(
    name: str,
) -> None:
    model = plain(name)
    clf = model.estimator(FullDepthClassifier).fit(TEXTS, CLASSES * 8)
    logits = plain_of(name, "new")[1]
    last = np.full(len(NEW), model.n_layers)
    check_run(clf, model, last, softmax(logits[:, -1, LABEL_IDS], axis=1))
    assert clf.n_layers_ == model.n_layers


def test_full_depth_fits_without_running_a_text(rows: Counter[str]) -> None:
    plain("bert").estimator(FullDepthClassifier).fit(TEXTS, LABELS)
    assert not rows


def test_label_words_without_a_head_are_refused(tmp_path: Path) -> None:
    folder = headless(tmp_path / "model", "sentence encoder")
    clf = FullDepthClassifier(str(folder), "{text} {mask}", label_words=WORDS)
    with pytest.raises(ValueError, match=r"no language-model head; .*DeeBERT"):
        clf.fit(TEXTS, LABELS)
