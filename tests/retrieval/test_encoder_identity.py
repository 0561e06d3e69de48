"""An encoder is its modules, pooling, prompts, tokenizer and length, too."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch import nn

from skraee import Encoder, RAEEClassifier, clear_backbones, toy
from skraee.exceptions import BackboneChangedError
from skraee.retrieval import encoder_identity
from tests.support.checkpoints import change_settings, small_tokenizer
from tests.support.classifiers import raee
from tests.support.models import tiny_model, toy_objects
from tests.support.stores import NotingStore

pytestmark = pytest.mark.usefixtures("fresh_backbones", "fresh_sweeps")

library = pytest.importorskip("sentence_transformers")
parts = pytest.importorskip("sentence_transformers.sentence_transformer.modules")
base = pytest.importorskip("sentence_transformers.base.modules")

X, Y = toy.reviews(40)
X_NEW, _ = toy.reviews(12, seed=1)
LONG = " ".join(["a lovely film and a dull meal"] * 40)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A checkpoint without modules."""
    model, tokenizer = toy_objects()
    model.bert.save_pretrained(tmp_path / "plain")
    tokenizer.save_pretrained(tmp_path / "plain")
    return tmp_path / "plain"


def encoder_object(plain: Path, pooling: str = "mean", **params: Any) -> Any:
    """A sentence encoder in memory."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        modules = [base.Transformer(str(plain)), parts.Pooling(32, pooling)]
        return library.SentenceTransformer(modules=modules, device="cpu", **params)


classifier = partial(raee, memory="process")


def keys_of(clf: Any) -> Any:
    return clf._fitted.database.keys


# Two encoders of equal weights


def _prompted(model: Any) -> None:
    model.prompts["query"] = "a film "
    model.default_prompt_name = "query"


def _without_lower_case(model: Any) -> None:
    model.tokenizer.backend_tokenizer.normalizer = None


def _left_padding(model: Any) -> None:
    model.tokenizer.padding_side = "left"


OTHERS: dict[str, Callable[[Any], Any]] = {
    "pooling": lambda model: setattr(model[1], "pooling_mode", "max"),
    "normalised": lambda model: model.append(base.Normalize()),
    "prompt": _prompted,
    "length": lambda model: setattr(model, "max_seq_length", 4),
    "truncated": lambda model: setattr(model, "truncate_dim", 7),
    "tokenizer": _without_lower_case,
    "activation": lambda model: model.append(
        base.Dense(32, 32, activation_function=nn.Tanh())
    ),
}


def change(model: Any, name: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        OTHERS[name](model)


@pytest.mark.slow
@pytest.mark.parametrize("memory", ["process", "folder"])
@pytest.mark.parametrize("source", ["objects", "folders"])
@pytest.mark.parametrize("case", OTHERS)
def test_the_second_of_two_encoders_has_keys_of_its_own(
    case: str, source: str, memory: str, plain: Path, tmp_path: Path
) -> None:
    params = {"memory": memory if memory == "process" else tmp_path / "sweeps"}
    one, other = encoder_object(plain), encoder_object(plain)
    change(other, case)
    if source == "folders":
        one.save(str(tmp_path / "one"))
        other.save(str(tmp_path / "other"))
        one, other = tmp_path / "one", tmp_path / "other"
    found = [keys_of(classifier(encoder=e, **params).fit(X, Y)) for e in (one, other)]
    for keys, encoder in zip(found, (one, other), strict=True):
        np.testing.assert_allclose(keys, Encoder(encoder).encode(X), atol=1e-5)
    assert Encoder(one).fingerprint() != Encoder(other).fingerprint()


@pytest.mark.parametrize("case", [*OTHERS, "padding"])
def test_an_object_that_was_changed_has_keys_of_its_own(case: str, plain: Path) -> None:
    model = encoder_object(plain)
    encoder = Encoder(model)
    before = classifier(encoder=encoder).fit(X, Y)
    fingerprint = encoder.fingerprint()
    assert encoder.fingerprint() == fingerprint
    if case == "padding":
        _left_padding(model)
    else:
        change(model, case)
    assert encoder.fingerprint() != fingerprint
    with pytest.raises(BackboneChangedError, match=r"of encoder .* are not those"):
        before.predict(X_NEW)
    again = classifier(encoder=encoder).fit(X, Y)
    np.testing.assert_allclose(keys_of(again), encoder.encode(X), atol=1e-5)


def test_weights_of_an_object_that_were_changed_give_other_keys(plain: Path) -> None:
    model = encoder_object(plain)
    before = classifier(encoder=model).fit(X, Y)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1.5)
    with pytest.raises(BackboneChangedError, match="the weights of encoder"):
        before.predict(X_NEW)
    again = classifier(encoder=model).fit(X, Y)
    np.testing.assert_allclose(keys_of(again), Encoder(model).encode(X), atol=1e-5)


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("config.json", {"hidden_act": "relu"}),
        ("tokenizer_config.json", {"model_max_length": 5}),
    ],
)
def test_settings_of_a_plain_folder_decide_its_keys(
    file: str, changes: dict[str, Any], plain: Path
) -> None:
    before = classifier(encoder=plain).fit(X, Y)
    change_settings(plain, file, **changes)
    with pytest.raises(BackboneChangedError, match="the modules and settings of enc"):
        before.predict(X_NEW)
    again = classifier(encoder=plain).fit(X, Y)
    assert np.abs(keys_of(again) - keys_of(before)).max() > 1e-3


def test_encoding_changes_nothing_that_tells_what_an_encoder_is(plain: Path) -> None:
    model = encoder_object(plain, prompts={"query": "a "}, default_prompt_name="query")
    before = encoder_identity.state_of(model)
    model.encode([*X, LONG])
    assert encoder_identity.state_of(model) == before


def test_the_same_encoder_in_another_folder_is_the_same(
    plain: Path, tmp_path: Path
) -> None:
    for name in ("one", "other"):
        encoder_object(plain).save(str(tmp_path / name))
    found = {Encoder(tmp_path / name).fingerprint() for name in ("one", "other")}
    assert len(found) == 1


# Files and pickles


@pytest.mark.parametrize("how", ["file", "pickle"])
def test_a_saved_estimator_refuses_an_encoder_with_another_pooling(
    how: str, plain: Path, tmp_path: Path
) -> None:
    encoder_object(plain).save(str(tmp_path / "model"))
    clf = classifier(encoder=str(tmp_path / "model")).fit(X, Y)
    clf.save(tmp_path / "clf.skraee")
    data = pickle.dumps(clf)
    encoder_object(plain, "max").save(str(tmp_path / "model"))
    clear_backbones()
    saved = tmp_path / "clf.skraee"
    again = RAEEClassifier.load(saved) if how == "file" else pickle.loads(data)
    with pytest.raises(BackboneChangedError, match="the modules and settings of enc"):
        again.predict(X_NEW)


def test_what_an_older_file_does_not_tell_is_not_asked(plain: Path) -> None:
    now = Encoder(plain).description()
    old = {k: v for k, v in now.items() if k not in ("modules_hash", "library")}
    expected = Encoder(plain).encode(X)
    np.testing.assert_array_equal(Encoder.from_description(old).encode(X), expected)
    oldest = {k: now[k] for k in ("name", "revision", "device", "fingerprint")}
    older = Encoder.from_description(oldest)
    np.testing.assert_array_equal(older.encode(X), expected)
    wrong = Encoder.from_description(oldest | {"fingerprint": "0" * 64})
    with pytest.raises(BackboneChangedError, match="the weights of encoder"):
        wrong.encode(X)


def test_modules_are_compared_within_one_version_of_the_library(plain: Path) -> None:
    now = Encoder(plain).load().identity
    other = replace(now, modules_hash="0" * 64)
    assert other.change_to(now) == "modules and settings"
    assert replace(other, library="transformers 4.0").change_to(now) is None


def test_an_object_whose_name_leads_to_another_pooling_does_not_pickle(
    plain: Path, tmp_path: Path
) -> None:
    encoder_object(plain).save(str(tmp_path / "model"))
    model = library.SentenceTransformer(str(tmp_path / "model"), device="cpu")
    assert len(pickle.dumps(Encoder(model))) < 2000
    model[1].pooling_mode = "max"
    with pytest.raises(pickle.PicklingError, match="does not lead to the same"):
        pickle.dumps(Encoder(model))


# What cannot be told


class Foreign:
    """An object whose vectors depend on what it holds."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def encode(self, texts: list[str]) -> Any:
        return np.array([[self.factor * len(t), t.count("a")] for t in texts])


class ForeignModule(nn.Linear):
    """One with weights, of which they are not all."""

    factor = 1.0

    def encode(self, texts: list[str]) -> Any:
        return np.array([[self.factor * len(t), t.count("a")] for t in texts])


def test_keys_of_a_foreign_object_are_never_stored(tmp_path: Path) -> None:
    store = NotingStore()
    for factor in (1.0, 2.0):
        encoder = Foreign(factor)  # the second may get the id of the first
        clf = classifier(encoder=encoder, memory=store).fit(X, Y)
        np.testing.assert_allclose(keys_of(clf), encoder.encode(X))
        del encoder, clf
        clear_backbones()
    assert store.written
    assert not any("key" in record for record in store.written.values())
    assert Encoder(Foreign(1.0)).fingerprint() is None


@pytest.mark.parametrize("memory", ["process", "folder"])
def test_a_foreign_object_that_was_changed_has_keys_of_its_own(
    memory: str, tmp_path: Path
) -> None:
    params = {"memory": memory if memory == "process" else tmp_path}
    for encoder in (Foreign(1.0), ForeignModule(2, 2)):
        classifier(encoder=encoder, **params).fit(X, Y)
        encoder.factor = 3.0
        clf = classifier(encoder=encoder, **params).fit(X, Y)
        np.testing.assert_allclose(keys_of(clf), encoder.encode(X))


@pytest.mark.parametrize("how", ["method", "hook", "module", "subclass"])
def test_an_encoder_whose_code_is_not_the_librarys_is_not_stored(
    how: str, plain: Path
) -> None:
    class Own(library.SentenceTransformer):
        pass

    class Halved(nn.Module):
        def forward(self, features: Any) -> Any:
            features["sentence_embedding"] = features["sentence_embedding"] / 2
            return features

    model = encoder_object(plain)
    assert Encoder(model).fingerprint() is not None
    if how == "method":
        encode = model.encode
        model.encode = lambda *args, **keywords: 2 * encode(*args, **keywords)
    elif how == "hook":
        model[1].register_forward_hook(lambda *args: None)
    elif how == "module":
        model.append(Halved())
    else:
        model.__class__ = Own
    assert Encoder(model).fingerprint() is None
    clf = classifier(encoder=model).fit(X, Y)
    np.testing.assert_allclose(keys_of(clf), model.encode(X), atol=1e-5)


# Positions, tokens, flags


def save_roberta(folder: Path, **settings: Any) -> Any:
    """A RoBERTa whose tokenizer does not say how long texts may be."""
    model = tiny_model("roberta")
    model.roberta.save_pretrained(folder)
    small_tokenizer().save_pretrained(folder)
    change_settings(folder, **settings)
    return model.roberta


@torch.no_grad()
def test_roberta_as_an_encoder_ends_two_positions_early(tmp_path: Path) -> None:
    model = save_roberta(tmp_path)
    encoder = Encoder(tmp_path)
    found = encoder.encode(["w3 " * 400, "w3 " * 158])
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
    states = model(input_ids=torch.full((1, 158), 3)).last_hidden_state
    np.testing.assert_allclose(found[0], states[0].mean(0), atol=1e-5)


def sentence_roberta(tmp_path: Path, length: int | None) -> Any:
    save_roberta(tmp_path / "plain")
    transformer = base.Transformer(str(tmp_path / "plain"))
    modules = [transformer, parts.Pooling(16, "mean")]
    model = library.SentenceTransformer(modules=modules, device="cpu")
    model.max_seq_length = length
    return model


@pytest.mark.parametrize("length", [159, 160, 512])
def test_a_sentence_encoders_length_ends_with_its_positions(
    length: int, tmp_path: Path
) -> None:
    sentence_roberta(tmp_path, length).save(str(tmp_path / "model"))
    found = Encoder(tmp_path / "model").encode(["w3 " * 400, "w3 " * 158])
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)


def test_an_object_that_takes_more_tokens_than_it_has_positions_is_refused(
    tmp_path: Path,
) -> None:
    model = sentence_roberta(tmp_path, 160)
    with pytest.raises(ValueError, match=r"of 160 tokens .*positions for 158; set its"):
        Encoder(model).encode(["w3"])
    model.max_seq_length = 158
    Encoder(model).encode(["w3 " * 400])


@pytest.mark.parametrize(
    "flags",
    [
        {"return_dict": False},
        {"output_hidden_states": True},
        {"output_attentions": True},
    ],
)
def test_output_flags_of_an_encoders_configuration_change_nothing(
    flags: dict[str, Any], plain: Path
) -> None:
    expected = Encoder(plain).encode(X)
    change_settings(plain, **flags)
    clear_backbones()
    np.testing.assert_array_equal(Encoder(plain).encode(X), expected)


def test_an_encoders_tokenizer_with_more_tokens_than_it_embeds_is_refused(
    plain: Path,
) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(plain)
    n = len(tokenizer)
    tokenizer.add_tokens(["film and"])
    tokenizer.save_pretrained(plain)
    with pytest.raises(ValueError, match=rf"makes {n + 1} token ids.*for {n};"):
        Encoder(plain).encode(X)
