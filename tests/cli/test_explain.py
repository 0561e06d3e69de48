"""``skraee explain``, on toy backbones."""

from __future__ import annotations

import json
from functools import partial

import joblib
import pandas as pd
import pytest

from skraee import EarlyExitClassifier, RAEEClassifier, toy
from skraee.baselines import FullDepthClassifier
from skraee.cli.main import main
from tests.support.classifiers import early_exit, make_classifier

X, Y = toy.reviews(60)
baseline = partial(make_classifier, FullDepthClassifier)


def test_explain_of_a_text_prints_what_the_classifier_says(model, capsys):
    assert main(["explain", str(model), "--text", "a lovely film"]) == 0
    clf = EarlyExitClassifier.load(model)
    assert capsys.readouterr().out == f"{clf.explain('a lovely film')}\n"


def test_explain_several_texts_of_the_command_line(model, capsys):
    words = ["--text", "a lovely film", "--text", "the waiter was cold"]
    assert main(["explain", str(model), *words]) == 0
    first, second = capsys.readouterr().out.split("\n\n")
    assert first.startswith("'a lovely film' -> positive")
    assert second.startswith("'the waiter was cold' -> negative")


def test_explain_of_a_table_stops_at_the_limit_and_says_so(model, labelled, capsys):
    assert main(["explain", str(model), str(labelled), "--limit", "3"]) == 0
    told = capsys.readouterr()
    texts = pd.read_csv(labelled)["text"]
    starts = [block.split("'")[1] for block in told.out.split("\n\n")]
    assert starts == texts[:3].tolist()
    assert told.err == "skraee: 37 more texts; raise --limit to explain them\n"


def test_explain_as_json_shows_neighbours_by_their_words(
    neighbors, labelled, tmp_path, capsys
):
    train = tmp_path / "train.csv"
    pd.DataFrame({"text": X, "label": Y}).to_csv(train, index=False)
    words = ["explain", str(neighbors), str(labelled), "--json", "--limit", "2"]
    assert main([*words, "--train", str(train)]) == 0
    found = json.loads(capsys.readouterr().out)
    clf = RAEEClassifier.load(neighbors)
    assert len(found) == 2
    for one, text in zip(found, pd.read_csv(labelled)["text"], strict=False):
        expected = clf.explain(text, texts=X)
        assert (one["text"], one["label"]) == (text, expected.label)
        assert one["exit_layer"] == expected.exit_layer
        words_near = [neighbor["text"] for neighbor in one["neighbors"]]
        assert words_near == [neighbor.text for neighbor in expected.neighbors]
        assert set(words_near) <= set(X)


@pytest.fixture
def pairs(tmp_path):
    table = pd.DataFrame({"premise": X, "end": X[::-1]})
    path = tmp_path / "pairs.skraee"
    early_exit(template="{premise} then {end}").fit(table, Y).save(path)
    table.to_csv(tmp_path / "pairs.csv")
    return path


def test_explain_of_several_fields_takes_one_text_for_each(pairs, capsys):
    words = ["explain", str(pairs), "--text", "a film", "--text", "lovely"]
    assert main([*words, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    clf = EarlyExitClassifier.load(pairs)
    one = pd.DataFrame({"premise": ["a film"], "end": ["lovely"]})
    assert found["proba"] == pytest.approx(clf.explain(one).proba)
    data = str(pairs.with_suffix(".csv"))
    assert main(["explain", str(pairs), data, "--limit", "1"]) == 0
    assert len(capsys.readouterr().out.split("\n\n")) == 1


def test_explain_of_several_fields_with_one_text_is_one_line(pairs, capsys):
    assert main(["explain", str(pairs), "--text", "a film"]) == 2
    assert "--text was given 1 times; give it once for each of them" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("words", [[], ["data.csv", "--text", "a"]])
def test_explain_takes_a_table_or_a_text(words, model, capsys):
    assert main(["explain", str(model), *words]) == 2
    assert "takes either DATA, a table of texts, or --text" in capsys.readouterr().err


def test_explain_of_a_baseline_is_one_line(tmp_path, capsys):
    path = tmp_path / "baseline.joblib"
    joblib.dump(baseline().fit(X, Y), path)
    assert main(["explain", str(path), "--text", "a lovely film"]) == 2
    assert "holds a FullDepthClassifier, a baseline, which explains nothing" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("written", ["0", "-1", "1.5", "all", ""])
def test_limit_that_is_no_number_from_1_on_is_named(written, model, capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(["explain", str(model), "data.csv", "--limit", written])
    assert exit_info.value.code == 2
    assert "--limit: write a whole number from 1 on" in capsys.readouterr().err
