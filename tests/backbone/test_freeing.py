"""A model that was given as an object goes with the last that uses it."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch

from skraee import Backbone, Encoder, clear_backbones, toy
from skraee.backbone.registry import Registry, loaded_models
from tests.support.classifiers import BOTH, make_classifier
from tests.support.models import toy_objects

X, Y = toy.reviews(40)


@pytest.fixture(autouse=True)
def _no_models() -> None:
    clear_backbones()


def given() -> tuple[Any, Any]:
    """Return a backbone of objects, and what tells whether its model is there."""
    model, tokenizer = toy_objects("masked")
    return Backbone(model, tokenizer), weakref.ref(model)


@pytest.mark.parametrize("cls", BOTH)
def test_model_goes_with_the_last_estimator_that_uses_it(cls: Any) -> None:
    backbone, model = given()
    first = make_classifier(cls, backbone=backbone, memory="process").fit(X, Y)
    second = make_classifier(cls, backbone=backbone, memory=None).fit(X, Y)
    del backbone, first
    gc.collect()
    assert model() is not None
    second.predict(X)
    del second
    gc.collect()
    assert model() is None
    assert len(loaded_models) == 0


def test_copy_in_another_dtype_goes_too() -> None:
    backbone, model = given()
    copy = weakref.ref(backbone.load("bfloat16").model)
    assert copy() is not model()
    del backbone
    gc.collect()
    assert (model(), copy(), len(loaded_models)) == (None, None, 0)


def test_handles_on_the_same_objects_share_a_load_until_both_are_gone() -> None:
    model, tokenizer = toy_objects("masked")
    first, second = Backbone(model, tokenizer), Backbone(model, tokenizer)
    loaded = first.load()
    assert second.load() is loaded
    del first
    gc.collect()
    assert second.load() is loaded
    del second, loaded
    gc.collect()
    assert len(loaded_models) == 0


def test_encoder_of_an_object_goes_with_its_handle() -> None:
    class Encoding(torch.nn.Module):
        def encode(self, texts: list[str]) -> Any:
            return torch.ones(len(texts), 3).numpy()

    model = Encoding()
    gone = weakref.ref(model)
    encoder = Encoder(model)
    encoder.encode(["a film"])
    del model, encoder
    gc.collect()
    assert gone() is None


def test_model_by_name_stays_for_the_next_handle() -> None:
    loaded = toy.backbone().load()
    gc.collect()
    assert toy.backbone().load() is loaded


def test_user_that_ends_while_models_are_cleared_takes_nothing_else() -> None:
    class User:
        pass

    registry, first, second = Registry(), User(), User()
    registry.get("a", lambda: 1, user=first)
    registry.clear()
    registry.get("a", lambda: 2, user=second)
    del first
    gc.collect()
    assert registry.get("a", lambda: 3, user=second) == 2
    del second
    gc.collect()
    assert len(registry) == 0
