"""Keys in float16: half the room, the same life as keys in float32."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skraee import RAEEClassifier, RAEEGenerator, toy
from skraee.persistence import archive
from tests.support.classifiers import raee, raee_cv
from tests.support.generators import generator

X, Y = toy.reviews(60)
X_NEW, _ = toy.reviews(30, seed=1)


def keys_of(clf: Any) -> Any:
    return clf._fitted.database.keys


def assert_same_answers(one: Any, other: Any) -> None:
    for method in ("predict_proba", "exit_layers", "kneighbors"):
        expected, found = getattr(one, method)(X_NEW), getattr(other, method)(X_NEW)
        np.testing.assert_array_equal(found, expected, strict=True)


@pytest.mark.parametrize("make", [raee, raee_cv])
@pytest.mark.parametrize("encoder", [None, 2])
def test_float16_keys_are_those_of_float32_rounded(make: Any, encoder: Any) -> None:
    whole = make(encoder=encoder).fit(X, Y)
    half = make(encoder=encoder, key_dtype="float16").fit(X, Y)
    np.testing.assert_array_equal(keys_of(half), keys_of(whole).astype(np.float16))
    found, expected = half.kneighbors(X_NEW, 5)[1], whole.kneighbors(X_NEW, 5)[1]
    assert np.mean(found == expected) > 0.95
    assert (half.kneighbors(X, 1)[0] == 0).all()


@pytest.mark.parametrize("mmap_mode", [None, "r"])
def test_float16_keys_are_saved_in_half_the_room(
    mmap_mode: Any, tmp_path: Path
) -> None:
    path = tmp_path / "clf.skraee"
    clf = raee(key_dtype="float16").fit(X, Y)
    clf.save(path)
    saved = archive.read(path)[1]["database/keys"]
    assert saved.nbytes == len(X) * saved.shape[1] * 2
    loaded = RAEEClassifier.load(path, mmap_mode=mmap_mode)
    assert loaded.key_dtype == "float16"
    assert keys_of(loaded).dtype == np.float16
    assert_same_answers(clf, loaded)
    assert_same_answers(clf, pickle.loads(pickle.dumps(clf)))


def test_generator_stores_float16_keys() -> None:
    gen = generator(key_dtype="float16").fit(X[:12], ["good good"] * 12)
    assert isinstance(gen, RAEEGenerator)
    assert keys_of(gen).dtype == np.float16
    assert len(gen.predict(X[:2])) == 2


@pytest.mark.parametrize("encoder", [None, 2])
def test_texts_that_are_added_are_stored_as_the_first_ones_are(encoder: Any) -> None:
    clf = raee(encoder=encoder, key_dtype="float16").fit(X[:40], Y[:40])
    clf.set_params(key_dtype="float32").partial_fit(X[40:], Y[40:])
    assert keys_of(clf).dtype == np.float16
    whole = raee(encoder=encoder, key_dtype="float16").fit(X, Y)
    np.testing.assert_allclose(
        keys_of(clf).astype(float), keys_of(whole).astype(float), atol=5e-3
    )


def test_keys_beyond_float16_are_refused_and_the_estimator_stays_as_it_was() -> None:
    def encoder(texts: list[str]) -> Any:
        return np.full((len(texts), 2), 1e5)

    with pytest.raises(ValueError, match=r"up to 65504, and keys .* reach 1e\+05; lea"):
        raee(encoder=encoder, key_dtype="float16").fit(X, Y)


def test_other_key_dtypes_are_refused() -> None:
    with pytest.raises(
        ValueError, match="key_dtype must be one of 'float32', 'float16'"
    ):
        raee(key_dtype="bfloat16").fit(X, Y)
