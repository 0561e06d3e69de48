"""``skraee templates``, on toy backbones."""

from __future__ import annotations

import json

from skraee import templates, toy
from skraee.cli.main import main

CLASSES = ["negative", "positive"]


def test_templates_prints_what_suggest_finds(capsys):
    assert main(["templates", "toy:causal:0", *CLASSES]) == 0
    expected = templates.suggest(toy.backbone("causal"), CLASSES)
    assert capsys.readouterr().out == f"{expected}\n"


def test_templates_for_machines_has_words_and_prompts(capsys):
    assert main(["templates", "toy:masked:0", *CLASSES, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kind"] == "masked"
    assert found["prompts"][0] == {
        "template": "{text} It was {mask}.",
        "label_words": {"negative": "terrible", "positive": "great"},
        "accuracy": None,
    }
    assert found["words"][0]["others"] == ["bad"]


def test_templates_with_examples_come_by_their_accuracy(labelled, capsys):
    words = ["templates", "toy:masked:0", "--examples", str(labelled), "--json"]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    expected = templates.suggest(toy.backbone(), CLASSES, toy.reviews(40, seed=1))
    assert [one["template"] for one in found["prompts"]] == [
        one.template for one in expected
    ]
    first, second, plain = [one["accuracy"] for one in found["prompts"]]
    assert first > second
    assert plain is None
    # The classes may be named as well, and then the labels must be among them.
    assert main([*words, "positive", "other"]) == 2
    assert "must be among the classes, got 'negative'" in capsys.readouterr().err


def test_templates_without_classes_or_examples_is_one_line(capsys):
    assert main(["templates", "toy:masked:0"]) == 2
    assert "classes must be two or more, got []" in capsys.readouterr().err


def test_one_class_is_refused_in_one_line(capsys):
    assert main(["templates", "toy:masked:0", "positive"]) == 2
    assert "classes must be two or more" in capsys.readouterr().err


def test_backbone_that_is_not_there_is_refused_in_one_line(capsys):
    assert main(["templates", "./nowhere", *CLASSES]) == 2
    assert "nowhere" in capsys.readouterr().err
