"""Suggested templates and label words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skraee import EarlyExitClassifier, RAEEClassifier, templates, toy
from skraee.templates.label_sets import LABEL_SETS, OTHER, LabelSet, label_set_of
from skraee.templates.words import words_of
from skraee.text.label_tokens import word_ids
from skraee.text.template import Template
from tests.support.sentence_folders import sentence_folder

BINARY = ["negative", "positive"]
KINDS = ("masked", "causal", "seq2seq")


@pytest.mark.parametrize("kind", KINDS)
def test_every_suggestion_can_be_fitted_as_it_is(kind: Any) -> None:
    X, y = toy.reviews(24)
    found = templates.suggest(toy.backbone(kind), BINARY)
    assert found.kind == kind
    assert len(found) >= 3
    for prompt in found:
        if prompt.label_words is None:
            clf = EarlyExitClassifier(
                toy.backbone(kind), prompt.template, threshold=0.9
            )
        else:
            clf = RAEEClassifier(
                toy.backbone(kind), prompt.template, label_words=prompt.label_words
            )
        clf.fit(X, y).predict(X[:2])


@pytest.mark.parametrize("kind", KINDS)
def test_examples_order_templates_by_what_the_words_alone_answer(kind: Any) -> None:
    X, y = toy.reviews(40)
    found = templates.suggest(toy.backbone(kind), BINARY, (X, y))
    *with_words, plain = found
    assert plain.template == "{text}"
    assert plain.accuracy is None
    accuracies = [prompt.accuracy for prompt in with_words]
    assert accuracies == sorted(accuracies, reverse=True)
    best = found[0]
    clf = RAEEClassifier(
        toy.backbone(kind), best.template, label_words=best.label_words
    ).fit(X, y)
    at_full_depth = clf.layer_proba(X)[:, -1].argmax(axis=1)
    assert best.accuracy == np.mean(clf.classes_[at_full_depth] == y)


def test_numbers_are_named_by_a_mapping() -> None:
    names = {np.int64(0): "negative", np.int64(1): "positive"}
    found = templates.suggest(toy.backbone(), names, (["a lovely film"], [np.int64(1)]))
    assert found[0].label_words == {0: "terrible", 1: "great"}
    assert [type(word.name) for word in found.words] == [int, int]


def test_words_share_no_first_token() -> None:
    found = templates.suggest(toy.backbone(), ["good", "great", "bad"])
    assert found[0].label_words == {"good": "good", "great": "great", "bad": "bad"}
    twice = templates.suggest(toy.backbone(), {"a": "good", "b": "good"})
    assert [word.word for word in twice.words] == ["good", None]


def test_class_without_a_word_leaves_what_needs_none() -> None:
    found = templates.suggest(toy.backbone(), ["good", "zxqv"])
    assert [prompt.template for prompt in found] == ["{text}"]
    assert "zxqv: none is one token; name a word of yours" in str(found)


def test_causal_model_says_the_first_of_several_tokens() -> None:
    found = templates.suggest(toy.backbone("causal"), ["good", "zxqv"])
    assert found[0].label_words == {"good": "good", "zxqv": "zxqv"}
    assert found.words[1].n_tokens > 1
    assert "zxqv: zxqv (4 tokens, the first is read)" in str(found)


def test_word_that_is_not_offered_is_named_with_its_several_tokens() -> None:
    backbone = toy.backbone()
    tokenizer = backbone.load().tokenizer
    for word in templates.suggest(backbone, ["negative", "zxqv"]).words:
        assert word.several
        offered = [*word.others, *([] if word.word is None else [word.word])]
        assert all(len(word_ids(one, tokenizer)) == 1 for one in offered)
        assert all(len(word_ids(one, tokenizer)) > 1 for one in word.several)


def test_causal_model_is_asked_for_classes_by_their_names_where_these_are_tokens() -> (
    None
):
    names = {0: "bad", 1: "good"}
    known = LabelSet("quality", {"bad": ("terrible",), "good": ("great",)}, (), "")
    for kind, expected in (("causal", names), ("masked", {0: "terrible", 1: "great"})):
        loaded = toy.backbone(kind).load()
        found = words_of(names, known, loaded)
        assert {word.name: word.word for word in found} == expected


def test_encoder_needs_no_words_and_names_its_own_prompts(tmp_path: Any) -> None:
    folder = sentence_folder(tmp_path / "encoder", "modernbert-embed-base")
    found = templates.suggest(folder, BINARY)
    assert found.kind == "encoder"
    assert found.words == ()
    assert [prompt.template for prompt in found] == [
        "{text}",
        "search_query: {text}",
        "search_document: {text}",
    ]
    assert "is an encoder" in str(found)


def test_report_says_which_words_are_one_token() -> None:
    told = str(templates.suggest(toy.backbone(), BINARY, toy.reviews(20)))
    assert "  negative: terrible (or bad); of several tokens: negative\n" in told
    assert "{text} It was {mask}.  (zero-shot accuracy " in told


@pytest.mark.parametrize("known", [*LABEL_SETS, OTHER])
def test_templates_of_each_set_are_templates(known: Any) -> None:
    for masked in known.masked:
        assert Template(masked).fields == ("text",)
        assert masked.count("{mask}") == 1
    question = known.question.replace("{options}", "this or that")
    assert Template(question).fields == ("text",)


def test_set_of_fewest_classes_is_taken() -> None:
    assert label_set_of([" Negative", "POSITIVE"]).words.keys() == {
        "negative",
        "neutral",
        "positive",
    }
    assert len(label_set_of(["negative", "very positive"]).words) == 5
    assert label_set_of(["negative", "sports"]) is OTHER


def test_braces_in_words_stay_braces() -> None:
    found = templates.suggest(toy.backbone("causal"), ["{good", "bad}"])
    assert found[0].template.startswith("Print the category for the text {text} : {{")
    assert Template(found[0].template).fields == ("text",)


@pytest.mark.parametrize(
    ("classes", "examples", "error", "message"),
    [
        ("positive", None, TypeError, "several names, got the one text 'positive'"),
        ([0, 1], None, TypeError, r"must be named .*, got 0; give a mapping"),
        (["positive"], None, ValueError, r"two or more, got \['positive'\]"),
        (BINARY, (["a"], []), ValueError, "got 1 texts and 0 labels"),
        (BINARY, ([], []), ValueError, "got 0 texts and 0 labels"),
        (BINARY, (["a"], ["x"]), ValueError, "among the classes, got 'x'; add it"),
    ],
)
def test_what_does_not_fit_is_refused(
    classes: Any, examples: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        templates.suggest(toy.backbone(), classes, examples)
