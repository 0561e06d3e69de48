"""The plain peers, on toy reviews and toy backbones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.peers import (
    NEIGHBORS,
    PROBE_C,
    LinearProbe,
    features_at,
    on_vectors,
    regression,
    sentence_encoder,
    votes_by_folds,
    words_and_regression,
    words_letters_and_regression,
)
from skraee import EarlyExitClassifier, RAEEClassifier, toy
from tests.benchmarks.tiny import save_sentence_encoder

X, Y = toy.reviews(100)
NEW, SAID = toy.reviews(40, seed=1)


def reader() -> EarlyExitClassifier:
    return EarlyExitClassifier(toy.backbone(), dtype="float32")


# TF-IDF and neighbours


def test_letters_tell_words_that_were_not_seen() -> None:
    """Endings of a few letters decide, of words that are all new."""
    stems = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnr"]
    texts = [f"so {stem}{ending}" for stem in stems for ending in ("ous", "ing")]
    labels = np.array(["adjective", "verb"] * len(stems))
    with_letters = words_letters_and_regression(None).fit(texts, labels)
    assert with_letters.predict(["so zupous", "so zuping"]).tolist() == [
        "adjective",
        "verb",
    ]


def test_letters_are_beside_the_words_and_not_in_their_place() -> None:
    both = words_letters_and_regression(None).fit(X, Y).best_estimator_
    words = words_and_regression(None).fit(X, Y).best_estimator_
    names = both[0].get_feature_names_out()
    of_words = [n for n in names if n.startswith("tfidfvectorizer-1__")]
    assert len(of_words) == len(words[0].get_feature_names_out())
    assert len(names) > len(of_words)


@pytest.mark.parametrize("make", [words_letters_and_regression, regression])
def test_class_weight_reaches_the_regression_and_the_score_of_its_folds(
    make: Callable[[str], GridSearchCV],
) -> None:
    found = make("balanced")
    weights = [v for k, v in found.get_params().items() if k.endswith("class_weight")]
    assert weights == ["balanced"]
    assert found.scoring == "balanced_accuracy"


def test_number_of_neighbours_follows_the_folds() -> None:
    rng = np.random.default_rng(0)
    # Two at a place, in two folds: the nearest has the class, the next ones any.
    places = np.tile(np.arange(60.0), 2)[:, None] + rng.normal(0, 0.01, (120, 1))
    classes = np.tile(rng.integers(0, 2, 60), 2)
    assert votes_by_folds(120).fit(places, classes).best_params_ == {"n_neighbors": 1}
    noisy = rng.normal(size=(200, 1))
    side = (noisy[:, 0] > 0) ^ (rng.random(200) < 0.3)
    assert votes_by_folds(200).fit(noisy, side).best_params_["n_neighbors"] > 4


@pytest.mark.parametrize("n", [11, 16, 60])
def test_neighbours_are_no_more_than_a_fold_leaves(n: int) -> None:
    vote = votes_by_folds(n).fit(np.arange(n, dtype=float)[:, None], np.arange(n) % 2)
    assert np.isfinite(vote.cv_results_["mean_test_score"]).all()
    tried = vote.param_grid["n_neighbors"]
    assert tried == [k for k in NEIGHBORS if k <= n - np.ceil(n / 5)]


# Encoders


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_sentence_encoder_runs_in_the_dtype_that_is_asked(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    pytest.importorskip("sentence_transformers")
    save_sentence_encoder(tmp_path / "encoder")
    encode = sentence_encoder(tmp_path / "encoder", dtype, torch.device("cpu"))
    vectors = encode(X)
    assert vectors.dtype == np.float32
    as_bfloat16 = torch.from_numpy(vectors).bfloat16().float().numpy()
    assert np.array_equal(vectors, as_bfloat16) == (dtype == torch.bfloat16)
    on_vectors(encode, regression(None)).fit(X, Y).predict(NEW)


# Linear probes


def reference(states: np.ndarray) -> np.ndarray:
    """Scale each part of each text, one by one."""
    rows = []
    for text in states:
        parts = [part / np.sqrt(np.mean(part**2)) for part in text]
        rows.append(np.concatenate(parts))
    return np.array(rows)


def test_features_are_the_parts_of_a_depth_scaled_one_by_one() -> None:
    states = np.random.default_rng(0).normal(size=(3, 2, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(
        features_at(states, 1), reference(states[:, 1]), rtol=1e-5
    )


def test_features_of_bfloat16_bits_are_those_of_its_numbers() -> None:
    numbers = torch.randn(3, 2, 1, 8, generator=torch.Generator().manual_seed(0))
    bits = numbers.bfloat16().view(torch.int16).numpy().view(np.uint16)
    rounded = numbers.bfloat16().float().numpy()
    np.testing.assert_array_equal(features_at(bits, 0), features_at(rounded, 0))


def test_features_of_a_state_of_zeros_are_zeros() -> None:
    assert not features_at(np.zeros((1, 1, 2, 4), np.float32), 0).any()


def test_probe_of_the_last_depth_is_a_regression_on_its_standardised_states() -> None:
    probe = LinearProbe(reader(), "last").fit(X, Y)
    assert probe.depth_ == 4
    scaler = StandardScaler()
    before = scaler.fit_transform(features_at(reader().sweep(X).states, 4))
    after = scaler.transform(features_at(reader().sweep(NEW).states, 4))
    linear = LogisticRegression(C=probe.C_, max_iter=2_000).fit(before, Y)
    np.testing.assert_allclose(
        probe.predict_proba(NEW), linear.predict_proba(after), atol=1e-6
    )
    assert probe.predict(NEW).tolist() == linear.predict(after).tolist()
    assert probe.score(NEW, SAID) > 0.7


def test_best_depth_is_the_one_that_a_held_out_fifth_finds() -> None:
    by_chance = np.random.default_rng(3).permutation(Y)
    probe = LinearProbe(reader(), "best").fit(X, by_chance)
    states = reader().sweep(X).states
    fitted, held_out = train_test_split(
        np.arange(100), test_size=20, random_state=0, stratify=by_chance
    )
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=PROBE_C))
    scores = []
    for depth in range(5):
        features = features_at(states, depth)
        linear.fit(features[fitted], by_chance[fitted])
        scores.append(linear.score(features[held_out], by_chance[held_out]))
    assert probe.depth_ == np.argmax(scores) == 3
    assert sorted(scores)[-2] < scores[3]


def test_best_depth_is_found_where_a_class_has_one_text() -> None:
    rare = np.array([*Y[:-1], "neither"])
    with pytest.warns(UserWarning, match="least populated class"):
        assert LinearProbe(reader(), "best").fit(X, rare).depth_ in range(5)


def test_depth_can_be_given_and_changes_what_is_said() -> None:
    first, third = (LinearProbe(reader(), d).fit(X, Y) for d in (0, 3))
    assert (first.depth_, third.depth_) == (0, 3)
    assert not np.allclose(first.predict_proba(NEW), third.predict_proba(NEW))


def test_probe_is_cloned_with_its_reader_and_weighs_classes() -> None:
    few = np.array(["positive"] * 85 + ["negative"] * 15)
    texts = [*X[1::2], *X[1::2][:35], *X[0::2][:15]]
    plain = LinearProbe(reader(), "last")
    balanced = clone(plain).set_params(class_weight="balanced")
    assert balanced.reader is not plain.reader
    said = [
        p.fit(texts, few).predict_proba(NEW)[:, 0].mean() for p in (plain, balanced)
    ]
    assert said[1] > said[0]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_probe_reads_the_backbone_in_its_dtype(dtype: str) -> None:
    own = EarlyExitClassifier(toy.backbone(), dtype=dtype)
    probe = LinearProbe(own, "last").fit(X, Y)
    wide = LinearProbe(reader(), "last").fit(X, Y)
    difference = np.abs(probe.predict_proba(NEW) - wide.predict_proba(NEW)).max()
    assert (difference == 0) == (dtype == "float32")
    assert difference < 0.2


def test_probe_of_a_reader_without_states_says_what_to_give() -> None:
    words = RAEEClassifier(
        toy.backbone(), toy.TEMPLATES["masked"], label_words=toy.LABEL_WORDS
    )
    with pytest.raises(ValueError, match="readout='ridge'"):
        LinearProbe(words).fit(X, Y)


def test_texts_pass_the_backbone_once_for_all_probes(
    monkeypatch: pytest.MonkeyPatch, fresh_sweeps: None
) -> None:
    own = reader()
    LinearProbe(own, "last").fit(X, Y)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the backbone ran")

    monkeypatch.setattr("skraee.engine.engine.Engine.run", refuse)
    LinearProbe(own, "best").fit(X, Y)
