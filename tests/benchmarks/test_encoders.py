"""Keys of prompts, and encoders in the numbers of a backbone."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from benchmarks.paper.encoders import InDtype, OfPrompts
from skraee import Encoder, RAEEClassifier, toy
from tests.benchmarks.tiny import save_encoder, save_sentence_encoder

TEXTS = ["a lovely film", "the waiter was cold and slow"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    save_encoder(folder)
    return folder


def test_keys_of_prompts_are_those_of_the_filled_template(folder: Path) -> None:
    encoder = Encoder(folder)
    found = OfPrompts(encoder, "{text} it was {mask}.")(TEXTS)
    prompts = [f"{text} it was [MASK]." for text in TEXTS]
    np.testing.assert_array_equal(found, encoder.encode(prompts))
    assert np.abs(found - encoder.encode(TEXTS)).max() > 1e-3


def test_keys_of_prompts_go_with_a_pickle(folder: Path) -> None:
    X, y = toy.reviews(20)
    template = toy.TEMPLATES["masked"]
    clf = RAEEClassifier(
        toy.backbone(),
        template,
        label_words=toy.LABEL_WORDS,
        encoder=OfPrompts(Encoder(folder), template),
    ).fit(X, y)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.kneighbors(TEXTS)[0], clf.kneighbors(TEXTS)[0])


def test_encoder_computes_in_the_dtype_that_is_asked_for(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    save_sentence_encoder(tmp_path)
    exact = Encoder(tmp_path).encode(TEXTS)
    same = InDtype(str(tmp_path), "float32", "cpu").encode(TEXTS)
    np.testing.assert_allclose(same, exact, atol=1e-6)
    rounded = InDtype(str(tmp_path), "bfloat16", "cpu").encode(TEXTS)
    assert rounded.dtype == np.float32
    np.testing.assert_allclose(rounded, exact, atol=0.05)
    assert np.abs(rounded - exact).max() > 1e-6
    np.testing.assert_array_equal(Encoder(tmp_path).encode(TEXTS), exact)
