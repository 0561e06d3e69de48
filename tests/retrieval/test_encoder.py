"""Sentence encoders: by name, by object, in pickles; and what else makes keys."""

from __future__ import annotations

import gc
import json
import pickle
import sys
import weakref
from copy import deepcopy
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer

from skraee import Backbone, Encoder, clear_backbones, toy
from skraee.exceptions import BackboneChangedError
from skraee.retrieval.keys import encode_texts
from skraee.retrieval.mean_pooled import MeanPooled
from skraee.retrieval.standardizer import Standardizer
from tests.support.classifiers import raee
from tests.support.models import toy_objects

pytestmark = pytest.mark.usefixtures("fresh_backbones")

TEXTS = ["a lovely film", "", "the waiter was cold and slow and clumsy", "a film"]
X, Y = toy.reviews(40)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A plain checkpoint: BERT without a head, and its tokenizer."""
    model, tokenizer = toy_objects()
    model.bert.save_pretrained(tmp_path / "plain")
    tokenizer.save_pretrained(tmp_path / "plain")
    return tmp_path / "plain"


@torch.no_grad()
def plain_means(texts: list[str]) -> np.ndarray:
    model, tokenizer = toy_objects()
    rows = []
    for text in texts:
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        rows.append(model.bert(input_ids=ids).last_hidden_state[0].mean(0).numpy())
    return np.stack(rows)


def test_a_plain_checkpoint_is_averaged_over_its_tokens(folder: Path) -> None:
    found = Encoder(folder).encode(TEXTS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, plain_means(TEXTS), atol=1e-5)


def test_a_pooler_that_the_folder_lacks_is_no_part_of_the_fingerprint(
    folder: Path,
) -> None:
    first = Encoder(folder).fingerprint()
    clear_backbones()
    assert Encoder(folder).fingerprint() == first


def test_an_incomplete_checkpoint_is_told(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["embeddings.word_embeddings.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks weights that .*word_embeddings"):
        Encoder(folder).encode(TEXTS)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that were read."""
    folders: list[Path] = []
    read = MeanPooled.__init__

    def counted(self: Any, folder: Path, device: torch.device) -> None:
        folders.append(folder)
        read(self, folder, device)

    monkeypatch.setattr(MeanPooled, "__init__", counted)
    return folders


def test_an_encoder_is_loaded_once_per_process(folder: Path, reads: list[Path]) -> None:
    Encoder(folder).encode(TEXTS)
    pickle.loads(pickle.dumps(Encoder(str(folder)))).encode(TEXTS)
    assert reads == [folder]


def test_reading_an_encoder_draws_no_random_numbers(folder: Path) -> None:
    before = torch.get_rng_state()
    Encoder(folder).load()
    assert torch.equal(torch.get_rng_state(), before)


def test_clear_backbones_frees_encoders_too(folder: Path, reads: list[Path]) -> None:
    encoder = Encoder(folder)
    encode: Any = encoder.load().encode
    model = weakref.ref(encode.__self__.transformers_model)
    del encode
    gc.collect()
    assert model() is not None
    clear_backbones()
    gc.collect()
    assert model() is None
    encoder.encode(TEXTS)
    assert reads == [folder, folder]


def test_a_backbone_and_an_encoder_of_one_folder_are_two_models(tmp_path: Path) -> None:
    for part in toy_objects():
        part.save_pretrained(tmp_path)
    backbone, encoder = Backbone(tmp_path), Encoder(tmp_path)
    assert backbone.load("float32").has_head
    expected = plain_means(TEXTS)
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-5)
    assert backbone.load("float32").has_head


def test_clone_and_copies_are_the_same_object(folder: Path) -> None:
    encoder = Encoder(folder)
    assert clone(encoder, safe=False) is encoder
    assert deepcopy(encoder) is encoder


def test_a_pickle_is_small_and_notices_changed_weights(folder: Path) -> None:
    encoder = Encoder(folder)
    expected = encoder.encode(TEXTS)
    data = pickle.dumps(encoder)
    assert len(data) < 1000
    np.testing.assert_array_equal(pickle.loads(data).encode(TEXTS), expected)

    toy_model, _ = toy_objects(seed=1)
    toy_model.bert.save_pretrained(folder)
    clear_backbones()
    with pytest.raises(BackboneChangedError, match="weights of encoder"):
        pickle.loads(data).encode(TEXTS)


def test_sentence_transformers_folders_go_through_their_library(
    folder: Path,
) -> None:
    library = pytest.importorskip("sentence_transformers")
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Norm", "Normalize")]
    modules = [
        {
            "idx": i,
            "name": str(i),
            "path": path,
            "type": f"sentence_transformers.models.{kind}",
        }
        for i, (path, kind) in enumerate(kinds)
    ]
    pooling = {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True}
    for path, content in [
        ("modules.json", modules),
        ("1_Pooling/config.json", pooling),
        ("2_Norm/config.json", {}),
        ("sentence_bert_config.json", {"max_seq_length": 64}),
    ]:
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(json.dumps(content))
    found = Encoder(folder).encode(TEXTS)
    model = library.SentenceTransformer(str(folder), device="cpu")
    means = plain_means(TEXTS)
    expected = means / np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(Encoder(model).encode(TEXTS), expected, atol=1e-5)


def test_without_that_library_the_error_names_the_extra(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "modules.json").write_text("[]")
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ImportError, match=r"pip install 'skraee\[encoder\]'"):
        Encoder(folder).encode(TEXTS)


class Lengths:
    """A foreign encoder: no folder, no weights."""

    def encode(self, texts: list[str]) -> np.ndarray:
        return np.array([[len(text), text.count("a")] for text in texts])


def test_a_bare_object_with_encode_serves_but_cannot_be_pickled() -> None:
    clf = raee(encoder=Lengths()).fit(X, Y)
    distances, _ = clf.kneighbors(["x" * 50], 1)
    longest = max(len(text) for text in X)
    assert distances[0, 0] >= (50 - longest) ** 2
    with pytest.raises(pickle.PicklingError, match="pass the folder"):
        pickle.dumps(clf)


def test_a_named_encoder_serves_the_classifier_and_its_pickle(
    folder: Path, tmp_path: Path
) -> None:
    clf = raee(encoder=folder).fit(X, Y)
    keys, query = plain_means(X), plain_means(["a dull hotel"])
    expected = ((keys.astype(float) - query) ** 2).sum(1)
    distances, _ = clf.kneighbors(["a dull hotel"], 3)
    np.testing.assert_allclose(distances[0], np.sort(expected)[:3], rtol=1e-3)
    joblib.dump(clf, tmp_path / "clf.joblib")
    again = joblib.load(tmp_path / "clf.joblib")
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))


def test_no_encoder_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="object with an encode method, got int"):
        Encoder(3)


def test_keys_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, d\) for 2 texts, got shape \(2,"):
        encode_texts(lambda texts: np.zeros(len(texts)), ["a", "b"])


def test_sparse_keys_become_dense_unless_they_are_huge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoder = TfidfVectorizer().fit(X)
    dense = encode_texts(encoder, X)
    np.testing.assert_allclose(dense, encoder.transform(X).toarray(), rtol=1e-6)
    monkeypatch.setattr("skraee.retrieval.keys._LARGEST_DENSE", 100)
    with pytest.raises(ValueError, match="TruncatedSVD"):
        encode_texts(encoder, X)


def test_standardizer_leaves_constant_components_alone() -> None:
    keys = np.array([[1.0, 5.0], [3.0, 5.0]], dtype=np.float32)
    standardize = Standardizer.fit(keys)
    np.testing.assert_allclose(standardize(keys), [[-1, 0], [1, 0]])
    np.testing.assert_allclose(standardize(keys + 1), [[0, 1], [2, 1]])
    np.testing.assert_allclose(standardize.undo(standardize(keys)), keys)


def test_standardizers_join_to_that_of_all_keys() -> None:
    keys = np.random.default_rng(0).normal(3, 2, size=(50, 4)).astype(np.float32)
    joined = Standardizer.fit(keys[:20]).joined(Standardizer.fit(keys[20:]))
    whole = Standardizer.fit(keys)
    np.testing.assert_allclose(joined.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(joined.scale, whole.scale, rtol=1e-12)
    assert joined.count == 50
