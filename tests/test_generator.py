"""The generator: its depths, its texts, and scikit-learn's contract for it, counted."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks as checks
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skraee import RAEEClassifier, RAEEGenerator, toy
from skraee.engine.decoding import teacher_forcing
from skraee.engine.decoding.decoder import Decoder
from skraee.exceptions import (
    FileFormatError,
    InputWarning,
    TruncationWarning,
    UndecidedWarning,
)
from skraee.generation import rouge
from skraee.sweep.memory_store import MemoryStore
from tests.support.generators import DEPTHS, N_NEW, generator, told

KINDS: tuple[toy.Kind, ...] = ("causal", "seq2seq")
X, Y, OWN_DEPTHS = told()
X_NEW, Y_NEW, _ = told(seed=1)


@pytest.fixture(scope="module")
def fitted() -> RAEEGenerator:
    return generator().fit(X, Y)


def same(found: Any, expected: Any) -> None:
    assert found.tolist() == list(expected)


# What it does


@pytest.mark.parametrize("kind", KINDS)
def test_own_neighbour_leads_to_the_depth_that_says_the_target(kind: toy.Kind) -> None:
    texts, targets, _ = told(kind)
    gen = generator(kind, k=1, margin=0.0).fit(texts, targets)
    same(gen.predict(texts), targets)


@pytest.mark.parametrize("kind", KINDS)
def test_readings_say_that_the_own_depth_names_every_token(kind: toy.Kind) -> None:
    texts, targets, depths = told(kind)
    gen = generator(kind).fit(texts, targets)
    shares = gen._fitted.database.proba[:, :, 0]
    n_bytes = fitted._fitted.database.keys.nbytes
    assert len(pickle.dumps(fitted)) < 20_000 + n_bytes  # no weights


def test_check_clone_on_texts(fitted: Any) -> None:
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError, match="is not fitted"):
        check_is_fitted(copy)


@pytest.mark.parametrize("make", [list, np.array, pd.Series, tuple])
def test_check_containers_give_the_same_on_texts(make: Any, fitted: Any) -> None:
    gen = generator().fit(make(X), make(Y))
    same(gen.predict(make(X_NEW)), fitted.predict(X_NEW))


def test_check_pipeline_on_texts(fitted: Any) -> None:
    piped = make_pipeline(FunctionTransformer(), generator()).fit(X, Y)
    same(piped.predict(X_NEW), fitted.predict(X_NEW))


def test_check_subset_invariance_on_texts(fitted: Any) -> None:
    halves = [fitted.predict(X_NEW[::2]), fitted.predict(X_NEW[1::2])]
    whole = fitted.predict(X_NEW)
    same(halves[0], whole[::2])
    same(halves[1], whole[1::2])


def test_check_set_params_takes_effect_on_texts(fitted: Any) -> None:
    gen = clone(fitted).fit(X, Y).set_params(max_new_tokens=1)
    assert (gen.generate(X_NEW).n_tokens == 1).all()


# Files


@pytest.mark.parametrize("kind", KINDS)
def test_file_gives_the_same_texts(kind: toy.Kind, tmp_path: Any) -> None:
    texts, targets, _ = told(kind)
    for settings in ({}, {"budget": 0.7}, {"database": "correct", "stop": ["was"]}):
        gen = generator(kind, **settings).fit(texts, targets)
        gen.save(tmp_path / "one.skraee")
        again = RAEEGenerator.load(tmp_path / "one.skraee")
        same(again.predict(texts), gen.predict(texts))
        assert again.get_params().keys() == gen.get_params().keys()
        np.testing.assert_array_equal(again.layer_scores_, gen.layer_scores_)
        again.save(tmp_path / "two.skraee")
        same(
            RAEEGenerator.load(tmp_path / "two.skraee").predict(texts),
            gen.predict(texts),
        )


def test_file_of_another_class_is_refused(fitted: Any, tmp_path: Any) -> None:
    fitted.save(tmp_path / "gen.skraee")
    with pytest.raises(FileFormatError, match=r"read it with RAEEGenerator\.load"):
        RAEEClassifier.load(tmp_path / "gen.skraee")


def test_signed_file_needs_its_key(fitted: Any, tmp_path: Any) -> None:
    fitted.save(tmp_path / "gen.skraee", key=b"0123456789abcdef")
    again = RAEEGenerator.load(tmp_path / "gen.skraee", key=b"0123456789abcdef")
    same(again.predict(X_NEW), fitted.predict(X_NEW))


# What is refused

WRONG = {
    "k": (0, ValueError, "k must be at least 1"),
    "tau": (1.5, ValueError, "tau must lie between 0 and 1"),
    "margin": (-0.1, ValueError, "margin must lie between 0 and 1"),
    "max_new_tokens": (0, ValueError, "max_new_tokens must be at least 1"),
    "draft_tokens": (0, ValueError, "draft_tokens must be at least 1"),
    "temperature": (-1.0, ValueError, "temperature must be finite and at least 0"),
    "top_k": (0, ValueError, "top_k must be at least 1"),
    "top_p": (0.0, ValueError, "top_p must be above 0 and at most 1"),
    "stop": ("", ValueError, "stop must be None, a string or a list of strings"),
    "speculative": (1, TypeError, "speculative must be True or False"),
    "long_texts": ("mean", ValueError, "long_texts must be one of 'cut', 'head_tail'"),
    "budget": (0.0, ValueError, "budget must be above 0"),
    "min_exit": (5, ValueError, "min_exit must be at most 4"),
    "below_tau": ("none", ValueError, "below_tau must be one of"),
    "database": ("some", ValueError, "database must be one of"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_parameter_is_refused(name: str) -> None:
    value, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        generator(**{name: value}).fit(X, Y)


def test_drafts_of_drawn_tokens_are_refused() -> None:
    with pytest.raises(ValueError, match=r"draws none, got temperature=0.5; set one"):
        generator(speculative=True, temperature=0.5).fit(X, Y)


def test_settings_that_change_nothing_are_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"top_k=3 is not used: temperature=0 takes"):
        generator(top_k=3).fit(X, Y)
    with pytest.warns(UserWarning, match=r"draft_tokens=3 is not used: speculative=Fa"):
        generator(draft_tokens=3).fit(X, Y)


def test_masked_backbone_is_refused() -> None:
    with pytest.raises(ValueError, match=r"fills masks and generates no text; choose"):
        RAEEGenerator(toy.backbone(), "{text} it was {mask}.").fit(X, Y)


def test_targets_that_are_none_are_refused() -> None:
    for y, message in (
        (Y[:-1], r"X and y must be of the same length, got 113 texts and 112"),
        ([*Y[:-1], ""], r"a target must not be empty, got '' at position 112"),
        ([*Y[:-1], 3], r"a target must be a string or a list of strings, got 3 at"),
        ([*Y[:-1], []], r"a target must be a string or a list of strings, got \[\] at"),
        ("one string", r"y must be a list, array or Series of target texts"),
    ):
        with pytest.raises(ValueError, match=message):
            generator().fit(X, y)
    with pytest.raises(TypeError, match="y must be a list, array or Series"):
        generator().fit(X, dict.fromkeys(Y))


def test_targets_beyond_the_most_tokens_are_warned_of() -> None:
    with pytest.warns(TruncationWarning, match=r"^1 target\(s\) have more than max"):
        generator().fit(X[:3], [*Y[:2], f"{Y[2]} and more"])


def test_empty_texts_are_warned_of() -> None:
    with pytest.warns(InputWarning, match=r"1 of 3 texts are empty"):
        generator().fit([*X[:2], " "], Y[:3])


def test_prompts_leave_room_for_new_tokens() -> None:
    long = " ".join(["film"] * 200)
    gen = generator(max_new_tokens=100)
    with pytest.warns(TruncationWarning, match=r"1 text\(s\) were cut to fit prompts"):
        gen.fit([*X, long], [*Y, Y[0]])
    with pytest.warns(TruncationWarning, match=r"of 28 tokens; raise max_length"):
        assert gen.generate([long]).n_tokens[0] <= 100
    gen.set_params(max_new_tokens=101)
    with pytest.raises(ValueError, match=r"is more than this fit leaves room for"):
        gen.predict(X[:1])
    with pytest.raises(ValueError, match=r"max_new_tokens must leave room for a"):
        generator(max_new_tokens=128).fit(X, Y)


def test_answer_of_bfloat16_is_finite_and_repeatable() -> None:
    gen = generator(dtype="bfloat16").fit(X, Y)
    same(gen.predict(X_NEW[:5]), gen.predict(X_NEW[:5]))
    assert gen._fitted.sweep_settings.dtype == "bfloat16"
    assert torch.get_default_dtype() == torch.float32
    assert DEPTHS["positive"] == gen.n_layers_
