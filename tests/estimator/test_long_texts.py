"""Both classifiers with texts that are longer than a prompt may be."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import GridSearchCV

from skraee import EarlyExitClassifier, LayerSweep, toy
from skraee.exceptions import TruncationWarning
from skraee.readout.ridge import fit_ridge
from skraee.sweep.layer_sweep import softmax
from skraee.text.token_bags import TokenBags
from tests.support.answers import assert_same_answers
from tests.support.classifiers import WAYS, closed_form, raee, raee_cv
from tests.support.prompts import encoder
from tests.support.references import (
    embedding_output,
    full_head,
    normed_states,
    readout_states,
    reference_states,
)
from tests.support.reviews import noisy_reviews

pytestmark = pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning")

SHORT, Y = noisy_reviews(60)


def long_reviews(n: int, seed: int) -> list[str]:
    """Make texts of one to four reviews, of as many words as prompts have or more."""
    texts, _ = noisy_reviews(4 * n, seed)
    return [" , ".join(texts[i : 4 * n : n][: 1 + i % 4]) for i in range(n)]


X, X_NEW = long_reviews(60, 0), long_reviews(20, 1)
LENGTH = 16
CLASSES = ["negative", "positive"]


def limited(long_texts: str = "mean", **params: Any) -> Any:
    return closed_form(max_length=LENGTH, long_texts=long_texts, **params)


def prompts_of(kind: str, texts: list[str]) -> Any:
    backbone = toy.backbone(kind).load("float32", "cpu")
    made = encoder(
        toy.TEMPLATES[kind],
        backbone.tokenizer,
        kind,
        max_length=LENGTH,
        long_texts="mean",
    )
    return backbone, made.encode([(text,) for text in texts])


def mean_states(kind: str, texts: list[str]) -> np.ndarray:
    """Average the features of the windows of each text, by the model's own forward."""
    backbone, prompts = prompts_of(kind, texts)
    return np.stack(
        [
            np.mean([readout_states(backbone, w) for w in prompt.windows], axis=0)
            for prompt in prompts
        ]
    ).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("kind", toy.TEMPLATES)
def test_readout_of_windows_is_that_of_the_mean_of_their_features(kind: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is cut
        clf = limited(kind=kind, cls=EarlyExitClassifier).fit(X, Y)
        proba, exits = clf.predict_proba(X_NEW, return_exit_layers=True)
        found = clf.layer_proba(X_NEW)
    codes = np.searchsorted(clf.classes_, Y)
    bags, new_bags = (TokenBags.of(prompts_of(kind, part)[1]) for part in (X, X_NEW))
    assert bags.ends[-1] > len(set(bags.buckets.tolist()))  # of all windows
    ridge, _ = fit_ridge(mean_states(kind, X), codes, 2, np.ones(len(X)), bags=bags)
    expected = softmax(ridge.scores(mean_states(kind, X_NEW), new_bags))
    np.testing.assert_allclose(found, expected, atol=2e-4)
    np.testing.assert_allclose(proba, expected[np.arange(20), exits], atol=2e-4)
    sure = expected.max(axis=2) >= clf.threshold
    sure[:, -1] = True
    clear = (np.abs(expected.max(axis=2) - clf.threshold) > 1e-3).all(axis=1)
    np.testing.assert_array_equal(exits[clear], sure.argmax(axis=1)[clear])
    assert clear.sum() > 10


@pytest.mark.parametrize("kind", toy.TEMPLATES)
def test_words_of_windows_have_the_mean_of_their_log_probabilities(kind: Any) -> None:
    clf = raee(kind, max_length=LENGTH, long_texts="mean").fit(X, Y)
    backbone, prompts = prompts_of(kind, X_NEW)
    words = list(clf._fitted.token_ids)

    @torch.no_grad()
    def log_proba(window: Any) -> np.ndarray:
        heads = [full_head(backbone.model, s) for s in normed_states(backbone, window)]
        return torch.stack(heads)[:, words].log_softmax(-1).numpy()

    for found, prompt in zip(clf.layer_proba(X_NEW), prompts, strict=True):
        mean = np.mean([log_proba(window) for window in prompt.windows], axis=0)
        np.testing.assert_allclose(found, softmax(mean), atol=1e-5)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_texts_that_fit_are_answered_to_the_bit_as_with_cut(way: Any) -> None:
    cut, *others = [
        closed_form(**way, long_texts=how).fit(SHORT, Y)
        for how in ("cut", "head_tail", "mean")
    ]
    for other in others:
        assert_same_answers(other, cut, X_NEW[::4], atol=0)
        np.testing.assert_array_equal(cut.layer_scores_, other.layer_scores_)


@pytest.mark.filterwarnings("ignore::skraee.exceptions.TruncationWarning")
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_cut_is_the_default_and_reads_nothing_of_the_end(way: Any) -> None:
    default, cut = (
        closed_form(**way, max_length=LENGTH, **how).fit(X, Y)
        for how in ({}, {"long_texts": "cut"})
    )
    np.testing.assert_array_equal(
        default.predict_proba(X_NEW), cut.predict_proba(X_NEW)
    )
    longer = [f"{text} , {SHORT[0]} , {SHORT[1]}" for text in X_NEW[3::4]]
    np.testing.assert_allclose(
        cut.predict_proba(longer), cut.predict_proba(X_NEW[3::4]), atol=1e-6
    )
    by_window = closed_form(**way, max_length=LENGTH, long_texts="mean").fit(X, Y)
    changed = by_window.predict_proba(longer) != by_window.predict_proba(X_NEW[3::4])
    assert changed.any()


@pytest.mark.parametrize("how", ["cut", "head_tail", "mean"])
def test_warning_counts_the_texts_that_lost_something(how: str) -> None:
    clf = closed_form(max_length=LENGTH, long_texts=how).fit(SHORT[:20], Y[:20])
    texts = [SHORT[0], "lovely " * 40, "so bad " * 400]
    told = {"mean": r"^1 text\(s\) .* 16 prompts of 16 tok"}.get(how, r"^2 text\(s\)")
    with pytest.warns(TruncationWarning, match=told) as caught:
        clf.predict(texts)
    assert len(caught) == 1


@pytest.mark.filterwarnings("ignore::skraee.exceptions.TruncationWarning")
@pytest.mark.usefixtures("fresh_sweeps")
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_store_shares_the_texts_that_fit_and_no_other(
    way: Any, rows: Counter[str]
) -> None:
    n_long = sum(
        len(prompt.windows) > 1 for prompt in prompts_of("masked", sorted({*X}))[1]
    )
    assert 0 < n_long < len({*X})
    makes = {"memory": "process", "max_length": LENGTH, **way}
    fresh = {}
    for how in ("cut", "head_tail", "mean"):
        rows.clear()
        clf = closed_form(long_texts=how, **makes).fit(X, Y)
        assert rows["sweep"] == (len({*X}) if how == "cut" else n_long)
        fresh[how] = clf.layer_proba(X)
        rows.clear()
        again = closed_form(long_texts=how, **makes).fit(X, Y)
        assert not rows
        np.testing.assert_array_equal(again.layer_proba(X), fresh[how])
        alone = closed_form(long_texts=how, **{**makes, "memory": None}).fit(X, Y)
        np.testing.assert_allclose(alone.layer_proba(X), fresh[how], atol=1e-5)
    assert not np.allclose(fresh["cut"], fresh["mean"])
    assert not np.allclose(fresh["cut"], fresh["head_tail"])


@pytest.mark.usefixtures("fresh_sweeps")
@pytest.mark.parametrize("depth", [None, 2])
def test_keys_of_long_texts_are_means_of_those_of_their_windows(
    depth: int | None, rows: Counter[str]
) -> None:
    clf = limited(memory="process", encoder=depth, readout="lm_head").fit(X, Y)
    backbone, prompts = prompts_of("masked", X)

    def key(window: Any) -> np.ndarray:
        if depth is not None:
            return reference_states(backbone, window)[depth].numpy()
        [(start, stop)] = window.spans
        return embedding_output(backbone, window)[start:stop].mean(axis=0)

    expected = [np.mean([key(w) for w in p.windows], axis=0) for p in prompts]
    rows.clear()
    np.testing.assert_allclose(clf.sweep(X).keys, expected, atol=1e-5)
    assert clf.kneighbors(X, 1)[0].max() < 1e-6
    assert not rows


def test_foreign_encoders_get_the_whole_text() -> None:
    seen: list[str] = []

    def lengths(texts: list[str]) -> Any:
        seen.extend(texts)
        return np.array([[len(text), 1] for text in texts])

    clf = limited(encoder=lengths).fit(X, Y)
    assert {*X} == {*seen}
    seen.clear()
    clf.predict(X_NEW)
    assert {*X_NEW} == {*seen}
    limited(encoder=CountVectorizer()).fit(X, Y).predict(X_NEW)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_every_method_takes_long_texts(way: Any, tmp_path: Path) -> None:
    clf = limited(**way).fit(X, Y)
    labels, exits = clf.predict(X_NEW, return_exit_layers=True)
    streamed = np.concatenate(list(clf.predict_iter(iter(X_NEW), chunk_size=7)))
    np.testing.assert_array_equal(streamed, labels)
    np.testing.assert_array_equal(clf.exit_layers(X_NEW), exits)
    assert clf.timings(X_NEW).n_texts == len(X_NEW)
    told = clf.explain(X_NEW[3])
    assert (told.label, told.exit_layer) == (labels[3], exits[3])
    parts = [clf.sweep(some) for some in (X[:20], X[20:])]
    from_sweep = limited(**way).fit_sweep(LayerSweep.concatenate(parts), Y)
    np.testing.assert_allclose(
        from_sweep.predict_proba(X_NEW), clf.predict_proba(X_NEW), atol=1e-4
    )
    clf.save(tmp_path / "model.skraee")
    loaded = type(clf).load(tmp_path / "model.skraee")
    assert loaded.long_texts == "mean"
    np.testing.assert_array_equal(loaded.predict_proba(X_NEW), clf.predict_proba(X_NEW))


@pytest.mark.usefixtures("fresh_sweeps")
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_partial_fit_of_long_texts_is_a_fit_of_all(way: Any) -> None:
    makes = {"memory": "process", **way}
    whole = limited(**makes).fit(X, Y)
    parts = limited(**makes).partial_fit(
        X[:30], Y[:30], classes=["negative", "positive"]
    )
    parts.partial_fit(X[30:], Y[30:])
    np.testing.assert_allclose(
        parts.predict_proba(X_NEW), whole.predict_proba(X_NEW), atol=1e-4
    )


@pytest.mark.filterwarnings("ignore::skraee.exceptions.TruncationWarning")
def test_search_over_what_is_done_with_long_texts() -> None:
    grid = {"long_texts": ["cut", "head_tail", "mean"]}
    search = GridSearchCV(limited(memory="process"), grid, cv=2).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    clf = raee_cv(max_length=LENGTH, long_texts="mean", ks=(3, 5)).fit(X, Y)
    assert clf.predict(X_NEW).shape == (20,)
