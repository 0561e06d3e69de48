"""What predict holds on to does not grow with the number of texts."""

from __future__ import annotations

import tracemalloc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import skraee
from skraee import toy
from skraee.baselines import FullDepthClassifier
from skraee.estimator.contract import gathered
from skraee.exceptions import UndecidedWarning
from skraee.sweep import chunks
from skraee.sweep.chunks import distinct
from skraee.text.inputs import check_texts
from tests.support.classifiers import early_exit, make_classifier, raee

PART = 32
X, Y = toy.reviews(80)
Y = (Y == "positive").astype(np.int8)  # so that what is returned is small
X_NEW = [f"{text} {i:04d}" for i, text in enumerate(toy.reviews(20 * PART, seed=1)[0])]
WORDS = list(toy.LABEL_WORDS.values())
FOLDER = Path(skraee.__file__).parent
# Where texts and answers are kept. What the backbone's lines ask attributes by, Python
# remembers for a while.
OURS = [
    tracemalloc.Filter(True, str(FOLDER / "*")),
    tracemalloc.Filter(False, str(FOLDER / "backbone" / "*")),
    tracemalloc.Filter(False, str(FOLDER / "engine" / "*")),
]


@pytest.mark.parametrize(
    "container",
    [list, tuple, np.array, lambda texts: pd.Series(texts, dtype=object)],
    ids=["list", "tuple", "array", "Series"],
)
def test_check_texts_copies_nothing(container: Any) -> None:
    many = container(X_NEW)
    check_texts(many)
    tracemalloc.start()
    samples = check_texts(many)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < len(X_NEW) * 4  # half of a list
    assert list(samples) == [(text,) for text in X_NEW]


@pytest.mark.parametrize("keywords", [{}, {"return_exit_layers": True}])
@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_predict_holds_no_more_for_twenty_parts_than_for_two(
    method: str, keywords: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    clf = raee(label_words=WORDS).fit(X, Y)
    assert_held_alike(getattr(clf, method), keywords, monkeypatch)


@pytest.mark.parametrize("method", ["predict_log_proba", "exit_layers", "kneighbors"])
def test_other_methods_hold_no_more_for_twenty_parts_than_for_two(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clf = raee(label_words=WORDS).fit(X, Y)
    assert_held_alike(getattr(clf, method), {}, monkeypatch)


def test_confident_exits_hold_no_more_for_twenty_parts_than_for_two(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clf = early_exit(threshold=0.7).fit(X, Y)
    assert_held_alike(clf.exit_layers, {}, monkeypatch)


def test_baseline_holds_no_more_for_twenty_parts_than_for_two(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clf = make_classifier(FullDepthClassifier, label_words=WORDS).fit(X, Y)
    assert_held_alike(clf.predict, {}, monkeypatch)


def assert_held_alike(
    call: Any, keywords: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compare what lines of this package hold where the last part begins."""
    monkeypatch.setattr(chunks, "CHUNK_SIZE", PART)
    call(X_NEW, **keywords)  # what is made once is made now
    few, many = (held(call, n, keywords, monkeypatch) for n in (2, 20))
    assert abs(many - few) < 18 * PART * 10  # bytes a text; an object has 50


def held(
    call: Any, n_parts: int, keywords: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> int:
    """Return the bytes held beyond what is returned."""
    sizes = []

    def spy(samples: Any) -> Any:
        assert len(samples) == PART
        ours = tracemalloc.take_snapshot().filter_traces(OURS)
        sizes.append(sum(trace.size for trace in ours.traces))
        return distinct(samples)

    monkeypatch.setattr(chunks, "distinct", spy)
    tracemalloc.start()
    out = call(X_NEW[: n_parts * PART], **keywords)
    tracemalloc.stop()
    assert len(sizes) == n_parts
    arrays = out if isinstance(out, tuple) else (out,)
    return sizes[-1] - sum(array.nbytes for array in arrays)


def test_gathered_joins_parts_and_keeps_none() -> None:
    alive = []

    def parts() -> Any:
        for start, stop in [(0, 3), (3, 4), (4, 9)]:
            some = np.arange(start, stop)
            alive.append(weakref.ref(some))
            yield some, some[:, None] / 2
            del some
            # The consumer's own hold on what came last.
            assert sum(part() is not None for part in alive) <= 1

    nothing = np.zeros(0, np.int64), np.zeros((0, 1))
    whole, halves = gathered(9, parts(), nothing)
    np.testing.assert_array_equal(whole, np.arange(9))
    np.testing.assert_array_equal(halves, np.arange(9)[:, None] / 2)
    assert whole.dtype == np.int64
    assert gathered(0, iter(()), nothing) == nothing


def test_undecided_warning_points_to_the_caller() -> None:
    clf = raee(label_words=WORDS, tau=1.0, below_tau="skip").fit(X, Y)
    for method in (clf.predict, clf.predict_proba, clf.predict_log_proba):
        with pytest.warns(UndecidedWarning) as caught:
            method(X_NEW[:3])
        assert [warning.filename for warning in caught] == [__file__]
    with pytest.warns(UndecidedWarning) as caught:
        clf.explain(X_NEW[0])
    assert [warning.filename for warning in caught] == [__file__]
