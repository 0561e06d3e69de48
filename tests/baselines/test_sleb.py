"""SLEB against its model with blocks skipped by hooks."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.model_selection import cross_val_score

from skraee import Backbone, toy
from skraee.baselines import SLEBClassifier
from skraee.baselines.sleb import classifier as sleb_classifier
from skraee.baselines.sleb.block_removal import removable_blocks
from skraee.baselines.sleb.exercises import exercises_for
from skraee.sweep.sweeper import open_sweeper
from tests.baselines.skipped_blocks import (
    KINDS,
    counted_calls,
    deep_model,
    loss_by_hand,
    skipping,
)
from tests.support.checkpoints import small_tokenizer
from tests.support.references import soft


def classifier(kind: toy.Kind = "masked", **more: Any) -> SLEBClassifier:
    return SLEBClassifier(
        toy.backbone(kind), toy.TEMPLATES[kind], label_words=toy.LABEL_WORDS, **more
    )


@pytest.mark.parametrize("kind", KINDS)
def test_classifier_equals_the_model_without_the_removed_blocks(kind: toy.Kind) -> None:
    X, y = toy.reviews(30)
    clf = classifier(kind).fit(X, y)
    n_blocks = 8 if kind == "seq2seq" else 4
    assert len(clf.removal_order_) == len(clf.removal_losses_) == int(0.6 * n_blocks)
    sweeper = open_sweeper(clf._fitted.sweep_settings, "cpu", "auto")
    backbone = sweeper.backbone
    ids = [
        backbone.tokenizer.plain([f" {w}"], first=False)[0][0]
        for w in ("terrible", "great")
    ]
    expected = []
    for prompt in sweeper.prompts.encode([(text,) for text in X]):
        inputs = {"input_ids": torch.tensor([prompt.ids])}
        read = prompt.read
        if kind == "seq2seq":
            start = backbone.model.config.decoder_start_token_id
            inputs["decoder_input_ids"] = torch.tensor([[start]])
            read = 0
        with skipping(backbone, clf.removal_order_.tolist()), torch.no_grad():
            expected.append(soft(backbone.model(**inputs).logits[0, read, ids]))
    proba, exits = clf.predict_proba(X, return_exit_layers=True)
    np.testing.assert_allclose(proba, expected, atol=1e-5)
    assert exits.tolist() == [n_blocks - int(0.6 * n_blocks)] * len(X)


@pytest.mark.parametrize("kind", KINDS)
def test_fit_searches_greedily_on_the_training_texts(kind: toy.Kind) -> None:
    X, y = toy.reviews(10)
    clf = classifier(kind, n_remove=2, random_state=3).fit(X, y)
    backbone = open_sweeper(clf._fitted.sweep_settings, "cpu", "auto").backbone
    random = np.random.RandomState(3)
    texts = [X[i] for i in random.permutation(10)]
    exercises = exercises_for(backbone, texts, random)
    gone: list[int] = []
    for loss in clf.removal_losses_:
        tried = {
            block: loss_by_hand(backbone, [*gone, block], exercises)
            for block in removable_blocks(backbone)
            if block not in gone
        }
        gone.append(min(tried, key=lambda block: tried[block]))
        assert loss == pytest.approx(tried[gone[-1]], abs=1e-5)
    assert clf.removal_order_.tolist() == gone


def test_calibration_is_a_seeded_sample_of_the_texts_or_what_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X, y = toy.reviews(50)
    seen: list[list[str]] = []

    def noting(backbone: Any, texts: Any, *rest: Any) -> Any:
        seen.append(list(texts))
        return exercises_for(backbone, texts, *rest)

    monkeypatch.setattr(sleb_classifier, "exercises_for", noting)
    for seed in (0, 0, 1):
        classifier(n_calibration=20, random_state=seed).fit(X, y)
    assert seen[0] == seen[1] != seen[2]
    assert len(seen[0]) == 20
    assert Counter(seen[0]) <= Counter(X)
    classifier(calibration_texts=["other words", "and more"]).fit(X, y)
    assert seen[3] == ["other words", "and more"]


def test_predict_runs_the_blocks_that_are_left_and_no_other() -> None:
    X, y = toy.reviews(30)
    clf = classifier(n_remove=2).fit(X, y)
    backbone = open_sweeper(clf._fitted.sweep_settings, "cpu", "auto").backbone
    with counted_calls(backbone) as calls:
        clf.predict(X[:1])
    removed = clf.removal_order_.tolist()
    assert [calls[block] for block in range(4)] == [
        int(b not in removed) for b in range(4)
    ]


def test_removal_order_handed_over_is_not_searched_and_answers_alike() -> None:
    X, y = toy.reviews(30)
    searched = classifier(n_remove=2).fit(X, y)
    given = classifier(n_remove=2, removal_order=searched.removal_order_)
    backbone = toy.backbone().load()
    with counted_calls(backbone) as calls:
        given.fit(X, y)
    assert not calls
    assert given.removal_order_.tolist() == searched.removal_order_.tolist()
    assert len(given.removal_losses_) == 0
    np.testing.assert_array_equal(given.predict_proba(X), searched.predict_proba(X))
    fewer = classifier(n_remove=1, removal_order=searched.removal_order_).fit(X, y)
    assert fewer.removal_order_.tolist() == searched.removal_order_[:1].tolist()
    assert (fewer.exit_layers(X) == 3).all()


def test_model_object_is_left_as_it_was() -> None:
    model = deep_model("gemma3_text")
    before = deepcopy(model.state_dict())
    config = model.config.to_dict()
    modules = {path: id(module) for path, module in model.named_modules()}
    numbers = [layer.self_attn.layer_idx for layer in model.model.layers]
    clf = SLEBClassifier(
        Backbone(model, small_tokenizer()),
        "{text} w5",
        label_words={"a": "w7", "b": "w9"},
        n_remove=2,
    )
    clf.fit(["w3 w4 w8", "w5 w6 w9"], ["a", "b"]).predict(["w3 w10"])
    assert {path: id(module) for path, module in model.named_modules()} == modules
    assert model.config.to_dict() == config
    assert [layer.self_attn.layer_idx for layer in model.model.layers] == numbers
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])


@pytest.mark.parametrize(
    ("name", "n_layers", "n_left"),
    [("bert", 6, 3), ("bert", 3, 2), ("bert", 2, 2)],  # 60 % of 3 were 1, of 2 were 1
)
def test_60_percent_of_the_blocks_go_as_far_as_they_may(
    name: str, n_layers: int, n_left: int
) -> None:
    clf = SLEBClassifier(
        Backbone(deep_model(name, n_layers), small_tokenizer()),
        "{text} {mask}",
        label_words={"a": "w7", "b": "w9"},
    )
    texts = ["w3 w4 w8", "w5 w6 w9"]
    assert clf.fit(texts, ["a", "b"]).exit_layers(texts).tolist() == [n_left] * 2


def test_none_removed_is_full_depth() -> None:
    X, y = toy.reviews(20)
    clf = classifier(n_remove=0).fit(X, y)
    assert (clf.exit_layers(X) == 4).all()
    assert clf.removal_order_.tolist() == []


def test_cross_validation_runs_the_same_blocks_with_an_order_handed_over() -> None:
    X, y = toy.reviews(60)
    order = classifier(n_remove=1).fit(X, y).removal_order_
    clf = classifier(n_remove=1, removal_order=order)
    scores = cross_val_score(clf, X, y, cv=3)
    assert scores.mean() > 0.55


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"n_remove": 3}, ValueError, "at most 2 for this backbone of 4 blocks.*got 3"),
        ({"n_remove": -1}, ValueError, "n_remove must be at least 0, got -1"),
        ({"n_remove": 0.6}, TypeError, "n_remove must be a whole number, got 0.6"),
        (
            {"removal_order": [0, 1]},
            ValueError,
            r"blocks of \[1, 2\] once each.*\[0, 1\]",
        ),
        (
            {"removal_order": [1, 1]},
            ValueError,
            r"blocks of \[1, 2\] once each.*\[1, 1\]",
        ),
        (
            {"removal_order": [1.0]},
            TypeError,
            "every block of removal_order must be a w",
        ),
        ({"removal_order": [2]}, ValueError, "names 1 blocks and 2 are to be removed"),
        ({"n_calibration": 0}, ValueError, "n_calibration must be at least 1, got 0"),
        ({"calibration_texts": "one"}, ValueError, "expected a sequence of texts"),
    ],
)
def test_wrong_parameters_are_refused_by_fit(
    changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    X, y = toy.reviews(10)
    clf = classifier().set_params(**changes)
    with pytest.raises(error, match=message):
        clf.fit(X, y)
    assert not hasattr(clf, "classes_")


def test_removal_changed_after_fit_is_refused_by_predict() -> None:
    X, y = toy.reviews(10)
    clf = classifier(n_remove=1).fit(X, y).set_params(n_remove=2)
    with pytest.raises(ValueError, match="n_remove was 1 at fit and is 2 now"):
        clf.predict(X)
