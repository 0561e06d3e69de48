"""The command line, on toy backbones."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import pytest

from skraee import EarlyExitClassifier, RAEEClassifier, RAEEClassifierCV, toy
from skraee.cli.arguments import parser
from skraee.cli.main import main
from tests.support.models import toy_objects


def write_csv(path: Path, header: list[str], rows: list[tuple[str, ...]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backbone")
    model, tokenizer = toy_objects()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory, backbone: Path) -> Path:
    """A model that is only read."""
    train = tmp_path_factory.mktemp("fitted") / "train.csv"
    write_csv(train, ["text", "label"], list(zip(*toy.reviews(60), strict=True)))
    assert fit(train, backbone) == 0
    return train.parent / "model.joblib"


@pytest.fixture
def train(tmp_path: Path) -> Path:
    texts, labels = toy.reviews(60)
    rows = list(zip(texts, labels, strict=True))
    return write_csv(tmp_path / "train.csv", ["text", "label"], rows)


@pytest.fixture
def new(tmp_path: Path) -> Path:
    rows = [("a lovely film",), ("the waiter was cold, slow",)]
    return write_csv(tmp_path / "new.csv", ["text"], rows)


def fit(train: Path, backbone: object, *more: str, words: str | None = None) -> int:
    words = words or "negative=terrible,positive=great"
    model = train.parent / "model.joblib"
    template = toy.TEMPLATES["masked"]
    command = ["fit", str(train), "--backbone", str(backbone), "--template", template]
    return main([*command, "--label-words", words, "-o", str(model), *more])


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on the standard error, after progress bars."""
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("skraee: error: ")
    return line


def test_fit_then_predict_writes_labels_exits_and_probabilities(
    train, new, backbone, tmp_path, capsys
):
    assert fit(train, backbone, "--dtype", "float32") == 0
    assert "fitted on 60 texts" in capsys.readouterr().out
    out = tmp_path / "out.csv"
    model = tmp_path / "model.joblib"
    assert main(["predict", str(model), str(new), "-o", str(out)]) == 0
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["text", "label", "exit_layer", "probability"]
    assert [row["label"] for row in rows] == ["positive", "negative"]
    assert rows[1]["text"] == "the waiter was cold, slow"
    assert all(0 <= int(row["exit_layer"]) <= 4 for row in rows)
    assert all(0.5 <= float(row["probability"]) <= 1 for row in rows)


def test_predict_equals_the_classifier(train, new, backbone, tmp_path, capsys):
    fit(train, backbone)
    model = tmp_path / "model.joblib"
    capsys.readouterr()
    assert main(["predict", str(model), str(new)]) == 0
    printed = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    clf = joblib.load(model)
    labels, exits = clf.predict([r["text"] for r in printed], return_exit_layers=True)
    assert [r["label"] for r in printed] == labels.tolist()
    assert [int(r["exit_layer"]) for r in printed] == exits.tolist()


def test_fit_options_reach_the_classifier(train, backbone, tmp_path):
    more = [
        "--k",
        "5",
        "--tau",
        "0.5",
        "--encoder",
        "2",
        "--min-exit",
        "1",
        "--dtype",
        "float32",
        "--class-weight",
        "balanced",
        "--long-texts",
        "mean",
        "--calibrate",
    ]
    assert fit(train, backbone, *more) == 0
    clf = joblib.load(tmp_path / "model.joblib")
    options = {"k": 5, "tau": 0.5, "encoder": 2, "min_exit": 1, "dtype": "float32"}
    options |= {"calibrate": True}
    assert options.items() <= clf.get_params().items()
    assert (clf.class_weight, clf.long_texts) == ("balanced", "mean")


def test_the_closed_form_within_a_budget_in_a_file_without_code(
    train, new, backbone, tmp_path, capsys
):
    model = tmp_path / "model.skraee"
    command = ["fit", str(train), "--backbone", str(backbone), "--template"]
    command += [toy.TEMPLATES["masked"], "-o", str(model)]
    command += ["--long-texts", "head_tail"]
    assert main([*command, "--exit-by", "confidence", "--budget", "0.5"]) == 0
    clf = EarlyExitClassifier.load(model)
    assert (clf.budget, clf.threshold) == (0.5, None)
    assert clf.long_texts == "head_tail"
    capsys.readouterr()
    assert main(["predict", str(model), str(new)]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    texts = [row["text"] for row in rows]
    assert [row["label"] for row in rows] == clf.predict(texts).tolist()
    assert [int(row["exit_layer"]) for row in rows] == clf.exit_layers(texts).tolist()


@pytest.mark.parametrize(
    ("exit_by", "option", "value"),
    [
        ("retrieval", "--threshold", ["0.8"]),
        ("confidence", "--tau", ["0.8"]),
        ("confidence", "--readout", ["lm_head"]),
        ("confidence", "--calibrate", []),
        ("confidence", "--label-words", ["negative=bad,positive=great"]),
    ],
)
def test_fit_refuses_an_option_of_the_other_kind_of_exit(
    train, backbone, tmp_path, capsys, exit_by, option, value
):
    command = ["fit", str(train), "--backbone", str(backbone), "--template"]
    command += [toy.TEMPLATES["masked"], "-o", str(tmp_path / "model.skraee")]
    assert main([*command, "--exit-by", exit_by, option, *value]) == 2
    told = capsys.readouterr().err
    assert f"with --exit-by {exit_by} there is no use for {option}; leave it" in told


@pytest.mark.parametrize("suffix", [".skraee", ".joblib"])
def test_predict_reads_a_search_that_was_kept(new, tmp_path, capsys, suffix):
    texts, labels = toy.reviews(30)
    clf = RAEEClassifierCV(
        toy.backbone(), toy.TEMPLATES["masked"], label_words=toy.LABEL_WORDS
    ).fit(texts, labels)
    model = tmp_path / f"model{suffix}"
    clf.save(model) if suffix == ".skraee" else joblib.dump(clf, model)
    assert main(["predict", str(model), str(new)]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    answers = clf.predict([row["text"] for row in rows])
    assert [row["label"] for row in rows] == answers.tolist()


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "key"
    path.write_bytes(b"k" * 32 + b"\n")  # as an editor leaves it
    return path


def test_signed_model_is_read_with_its_key_alone(
    train, new, backbone, tmp_path, key_file, capsys
):
    model = tmp_path / "model.skraee"
    command = ["fit", str(train), "--backbone", str(backbone), "--template"]
    command += [toy.TEMPLATES["masked"], "--exit-by", "confidence", "-o", str(model)]
    command += ["--budget", "0.5"]
    assert main([*command, "--key-file", str(key_file)]) == 0
    EarlyExitClassifier.load(model, key=b"k" * 32)
    predict = ["predict", str(model), str(new), "--key-file"]
    capsys.readouterr()
    assert main([*predict, str(key_file)]) == 0
    assert "label" in capsys.readouterr().out
    key_file.write_bytes(b"o" * 32)
    assert main([*predict, str(key_file)]) == 2
    assert "key" in refusal(capsys)


@pytest.mark.parametrize(
    ("model", "key", "told"),
    [
        ("model.skraee", None, "there is no key file"),
        ("model.skraee", b"short\n", "at least 16 bytes, got 5"),
        ("model.joblib", b"k" * 32, "for model files that end in .skraee"),
    ],
)
@pytest.mark.parametrize("command", ["fit", "predict"])
def test_key_that_will_not_do_is_refused_before_anything_slow(
    train, new, backbone, tmp_path, capsys, command, model, key, told
):
    if key is not None:
        (tmp_path / "key").write_bytes(key)
    end = ["--key-file", str(tmp_path / "key")]
    if command == "fit":
        words = ["fit", str(train), "--backbone", str(backbone)]
        words += ["--template", "{text}", "-o", str(tmp_path / model)]
    else:
        words = ["predict", str(tmp_path / model), str(new)]
    assert main([*words, *end]) == 2
    assert told in refusal(capsys)


def test_predict_with_a_damaged_saved_file_is_one_line(new, tmp_path, capsys):
    (tmp_path / "model.skraee").write_bytes(b"no archive")
    assert main(["predict", str(tmp_path / "model.skraee"), str(new)]) == 2
    assert "model.skraee' is" in refusal(capsys)


def test_fit_other_columns_are_found_by_name(tmp_path, backbone):
    texts, labels = toy.reviews(20)
    rows = list(zip(labels, texts, strict=True))
    train = write_csv(tmp_path / "train.csv", ["verdict", "review"], rows)
    columns = ["--text-column", "review", "--label-column", "verdict"]
    assert fit(train, backbone, *columns) == 0


def test_predict_no_rows_writes_the_header_alone_and_loads_no_backbone(
    fitted, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(RAEEClassifier, "predict_proba", None)
    empty = write_csv(tmp_path / "new.csv", ["text"], [])
    assert main(["predict", str(fitted), str(empty)]) == 0
    told = capsys.readouterr()
    assert told.out == "text,label,exit_layer,probability\n"
    assert told.err == "skraee: 0 texts in 0.0 s\n"


def predicted(model: Path, new: Path, *more: str) -> list[list[str]]:
    """Run predict; return its file's rows, the header first."""
    out = new.parent / "out.csv"
    assert main(["predict", str(model), str(new), "-o", str(out), *more]) == 0
    with out.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_predict_carries_over_the_other_columns(fitted, tmp_path):
    header = ["id", "review", "", "id"]
    rows = [("1", "a lovely film", "", "x"), ("2", "the waiter was cold", " =1", "\r")]
    new = write_csv(tmp_path / "new.csv", header, rows)
    first, *others = predicted(fitted, new, "--text-column", "review")
    assert first == [*header, "label", "exit_layer", "probability"]
    assert [tuple(cells[:4]) for cells in others] == rows
    assert [cells[4] for cells in others] == ["positive", "negative"]


@pytest.mark.parametrize(
    ("more", "added"),
    [
        (["label"], ["predicted_label", "exit_layer", "probability"]),
        (["probability"], ["label", "exit_layer", "predicted_probability"]),
        (
            ["label", "predicted_label", "exit_layer"],
            ["predicted_predicted_label", "predicted_exit_layer", "probability"],
        ),
    ],
)
def test_predict_columns_of_the_answers_names_stay_the_users(
    more, added, fitted, tmp_path
):
    rows = [("a lovely film", *("mine" for _ in more))]
    new = write_csv(tmp_path / "new.csv", ["text", *more], rows)
    header, cells = predicted(fitted, new)
    assert header == ["text", *more, *added]
    assert tuple(cells[: len(rows[0])]) == rows[0]
    assert cells[len(rows[0])] == "positive"


@pytest.mark.parametrize("separator", [";", "\t"])
def test_predict_writes_the_separator_that_it_read(separator, fitted, tmp_path, capsys):
    new = tmp_path / "new.csv"
    new.write_text(f"id{separator}text\n1{separator}a lovely, warm film\n")
    assert main(["predict", str(fitted), str(new)]) == 0
    header, line = capsys.readouterr().out.splitlines()
    assert header.split(separator)[:3] == ["id", "text", "label"]
    assert line.split(separator)[:3] == ["1", "a lovely, warm film", "positive"]


def test_separator_that_is_named_is_taken_by_fit_and_predict(
    backbone, tmp_path, capsys
):
    texts, labels = toy.reviews(20)
    pairs = zip(texts, labels, strict=True)
    rows = [f"{text.replace(',', '')}:{label}" for text, label in pairs]
    train = tmp_path / "train.csv"
    train.write_text("\n".join(["text:label", *rows]), encoding="utf-8")
    assert fit(train, backbone) == 2
    assert "it has ['text:label'], separated by ','" in refusal(capsys)
    assert fit(train, backbone, "--separator", ":") == 0
    header, *_ = predicted(tmp_path / "model.joblib", train, "--separator", ":")
    assert header == ["text:label:predicted_label:exit_layer:probability"]


@pytest.fixture(scope="module")
def pairs(
    tmp_path_factory: pytest.TempPathFactory, backbone: Path
) -> tuple[Path, Path]:
    """A model of two fields and the file that it was fitted on."""
    folder = tmp_path_factory.mktemp("pairs")
    texts, labels = toy.reviews(40)
    rows = [
        (label, *text.split(" ", 1), str(number))
        for number, (text, label) in enumerate(zip(texts, labels, strict=True))
    ]
    train = write_csv(folder / "train.csv", ["label", "premise", "end", "id"], rows)
    template = "{premise} and then {end} It was {mask}."
    command = ["fit", str(train), "--backbone", str(backbone), "--template", template]
    command += ["--readout", "ridge", "--exit-by", "confidence", "--max-loss", "0.2"]
    model = folder / "model.skraee"
    assert main([*command, "-o", str(model)]) == 0
    return model, train


def test_fields_take_the_columns_of_their_names_in_fit_and_predict(pairs):
    model, train = pairs
    header, *rows = predicted(*pairs)
    assert header[:5] == ["label", "premise", "end", "id", "predicted_label"]
    with train.open(encoding="utf-8", newline="") as file:
        columns = pd.DataFrame(list(csv.DictReader(file)))
    clf = EarlyExitClassifier.load(model)
    assert [row[4] for row in rows] == clf.predict(columns).tolist()
    assert clf.score(columns, columns["label"]) > 0.6


def test_predict_without_the_column_of_a_field_is_one_line(pairs, new, capsys):
    assert main(["predict", str(pairs[0]), str(new)]) == 2
    assert "has no column 'premise', it has ['text']" in refusal(capsys)


def test_text_column_for_several_fields_is_one_line(pairs, capsys):
    words = ["predict", *map(str, pairs), "--text-column", "premise"]
    assert main(words) == 2
    told = refusal(capsys)
    assert "2 fields, ['premise', 'end'], and --text-column names 1 of the" in told


def test_fit_a_field_takes_the_column_of_its_name(tmp_path, train, backbone, capsys):
    # The backbone is not there: nothing is loaded before the columns are found.
    command = ["fit", str(train), "--backbone", str(tmp_path / "none"), "-o"]
    command += [str(tmp_path / "model.joblib"), "--template"]
    assert main([*command, "{review} It was {mask}."]) == 2
    assert "has no column 'review'" in refusal(capsys)
    assert main([*command, "{label} It was {mask}.", "--text-column", "review"]) == 2
    assert "has no column 'review'" in refusal(capsys)
    assert main([*command, "{premise} {text} It was {mask}."]) == 2
    assert "has no column 'premise'" in refusal(capsys)


def test_fit_without_a_field_is_one_line_before_the_file_is_read(tmp_path, capsys):
    command = ["fit", "none.csv", "--backbone", "none", "--template", "It was {mask}."]
    assert main([*command, "-o", str(tmp_path / "model.joblib")]) == 2
    assert "a template must have a place for the text" in refusal(capsys)


@pytest.mark.parametrize("command", ["fit", "predict"])
@pytest.mark.parametrize(
    ("place", "message"),
    [("", "is a folder; give the name"), ("none/out", "there is no folder")],
)
def test_output_that_cannot_be_is_refused_before_the_files_are_read(
    command, place, message, tmp_path, capsys
):
    words = {
        "fit": ["none.csv", "--backbone", "none", "--template", "{text} {mask}"],
        "predict": ["none.joblib", "none.csv"],
    }
    assert main([command, *words[command], "-o", str(tmp_path / place)]) == 2
    assert message in refusal(capsys)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", ["model.skraee", "model.joblib"])
def test_fit_refuses_a_pipe_for_its_model_before_the_files_are_read(
    name, tmp_path, capsys
):
    os.mkfifo(tmp_path / name)
    command = ["fit", "none.csv", "--backbone", "none", "--template", "{text} {mask}"]
    assert main([*command, "-o", str(tmp_path / name)]) == 2
    assert "is a named pipe, which a file must not replace" in refusal(capsys)
    assert (tmp_path / name).is_fifo()


def test_predict_without_a_standard_output_is_one_line(new, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["predict", "none.joblib", str(new)]) == 2
    assert "the standard output is closed; name a file" in refusal(capsys)


def test_fit_that_cannot_write_its_model_keeps_the_one_before(
    train, backbone, tmp_path, monkeypatch, capsys
):
    def failing(_: object, path: Path) -> None:
        path.write_bytes(b"half a model")
        raise OSError("no space left")

    fit(train, backbone)
    before = (tmp_path / "model.joblib").read_bytes()
    monkeypatch.setattr(joblib, "dump", failing)
    assert fit(train, backbone) == 2
    assert "no space left" in refusal(capsys)
    assert (tmp_path / "model.joblib").read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["model.joblib", "train.csv"]


def test_fit_writes_compressed_models_as_joblib_does(train, backbone, tmp_path):
    out = tmp_path / "small.joblib.gz"
    assert fit(train, backbone, "-o", str(out)) == 0
    assert out.read_bytes()[:2] == b"\x1f\x8b"


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--k", "many", "argument --k: invalid int value: 'many'"),
        ("--k", "1.5", "argument --k: invalid int value: '1.5'"),
        ("--tau", "high", "argument --tau: invalid float value: 'high'"),
        ("--budget", "30%", "argument --budget: invalid float value: '30%'"),
        ("--min-exit", "", "argument --min-exit: invalid int value: ''"),
        ("--separator", "", "argument --sep/--separator: write one sign such as"),
        ("--separator", ", ", "argument --sep/--separator: write one sign such as"),
        ("--separator", '"', "argument --sep/--separator: write one sign such as"),
        ("--separator", "\n", "argument --sep/--separator: write one sign such as"),
        ("--label-words", "a=b,a=c", "--label-words: write each class once"),
        ("--label-words", " =b", "--label-words: write class=word"),
    ],
)
def test_option_that_is_no_such_value_is_named(
    option, value, message, train, backbone, capsys
):
    with pytest.raises(SystemExit) as exit_info:
        fit(train, backbone, option, value)
    assert exit_info.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("written", ["\t", r"\t", "tab"])
def test_separator_tab_is_written_in_three_ways(written):
    command = ["predict", "model", "new.csv", "--separator", written]
    assert parser().parse_args(command).separator == "\t"


@pytest.mark.parametrize("depth", ["-1", "99"])
def test_encoder_that_is_no_depth_is_one_line(depth, train, backbone, capsys):
    assert fit(train, backbone, "--encoder", depth) == 2
    line = refusal(capsys)
    assert "encoder" in line
    assert depth in line


def test_predict_text_of_a_megabyte_is_read(train, backbone, tmp_path, capsys):
    fit(train, backbone)
    new = write_csv(tmp_path / "new.csv", ["text"], [("lovely " * 150_000,)])
    with pytest.warns(UserWarning, match="cut to fit"):
        assert main(["predict", str(tmp_path / "model.joblib"), str(new)]) == 0


def test_missing_file_is_one_line(tmp_path, backbone, capsys):
    assert fit(tmp_path / "none.csv", backbone) == 2
    assert "there is no file" in refusal(capsys)


def test_missing_column_is_one_line_that_names_those_there(train, backbone, capsys):
    assert fit(train, backbone, "--text-column", "review") == 2
    assert "has no column 'review', it has ['text', 'label']" in refusal(capsys)


def test_label_word_of_several_tokens_is_one_line(train, backbone, capsys):
    assert fit(train, backbone, words="negative=dreadful,positive=great") == 2
    assert "must be one token, got 'dreadful'" in refusal(capsys)


def test_label_words_lacking_a_class_are_one_line(train, backbone, capsys):
    assert fit(train, backbone, words="negativ=terrible,positive=great") == 2
    assert "got no word for 'negative'" in refusal(capsys)


def test_template_may_be_left_out_where_no_words_are_read(train, backbone, tmp_path):
    model = tmp_path / "model.skraee"
    command = ["fit", str(train), "--backbone", str(backbone), "-o", str(model)]
    assert main([*command, "--exit-by", "confidence", "--budget", "0.5"]) == 0
    assert EarlyExitClassifier.load(model).template == "{text}"
    assert main([*command, "--readout", "ridge"]) == 0
    assert RAEEClassifier.load(model).template == "{text}"


def test_label_words_without_a_template_are_one_line(train, backbone, capsys):
    command = ["fit", str(train), "--backbone", str(backbone), "-o", "model.skraee"]
    assert main(command) == 2
    told = refusal(capsys)
    assert "needs a prompt for them, got no --template; give one such as" in told
    assert "or --exit-by confidence, which needs none" in told


def test_label_words_without_equals_sign_are_refused(train, backbone, capsys):
    with pytest.raises(SystemExit) as exit_info:
        fit(train, backbone, words="terrible,great")
    assert exit_info.value.code == 2
    assert "write class=word,class=word" in capsys.readouterr().err


def test_backbone_that_does_not_exist_is_one_line(train, capsys):
    assert fit(train, "nobody/no-such-model") == 2
    assert "'nobody/no-such-model' is neither a local folder" in refusal(capsys)


def test_output_folder_that_does_not_exist_is_refused_before_the_work(
    train, backbone, capsys
):
    assert fit(train, backbone, "-o", str(train.parent / "none" / "model")) == 2
    assert "there is no folder" in refusal(capsys)


def test_predict_without_model_file_is_one_line(new, capsys):
    assert main(["predict", "none.joblib", str(new)]) == 2
    assert "there is no file 'none.joblib'" in refusal(capsys)


def test_predict_with_a_file_that_is_no_model_is_one_line(new, capsys):
    assert main(["predict", str(new), str(new)]) == 2
    assert "cannot be read as a model" in refusal(capsys)


def test_predict_with_another_object_is_one_line(new, tmp_path, capsys):
    joblib.dump({"not": "a model"}, tmp_path / "other.joblib")
    assert main(["predict", str(tmp_path / "other.joblib"), str(new)]) == 2
    assert "holds a dict" in refusal(capsys)


def test_predict_with_an_unfitted_model_is_one_line(new, tmp_path, capsys):
    path = tmp_path / "unfitted.joblib"
    joblib.dump(RAEEClassifier("any/name", "{text} {mask}"), path)
    assert main(["predict", str(path), str(new)]) == 2
    assert "not fitted yet" in refusal(capsys)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"text,label\none cell\n", "line 2 of"),
        (b"text,label\n\xff,a\n", "is not in UTF-8"),
        (b'text,label\n"open,a\n', "is not a CSV file"),
        (b"text,label\n", "has a header and no rows"),
        (b"text,label\nbye,\n", "no label in the column 'label' of 1 of its 1 rows"),
        (b"text,label,text\na,b,c\n", "has 2 columns 'text', the numbers 1 and 3"),
        (b"text,label,label\na,b,c\n", "has 2 columns 'label', the numbers 2 and 3"),
    ],
)
def test_file_that_is_no_table_is_one_line(content, message, tmp_path, capsys):
    path = tmp_path / "train.csv"
    path.write_bytes(content)
    # It is refused before the backbone, which is not there, is looked for.
    assert fit(path, tmp_path / "none") == 2
    assert message in refusal(capsys)


def test_versions_names_the_packages(capsys):
    assert main(["versions"]) == 0
    assert "transformers: " in capsys.readouterr().out


def test_versions_for_machines_are_those_that_are_printed(capsys):
    assert main(["versions"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert main(["versions", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [f"{name}: {value}" for name, value in found.items()] == lines


def test_help_of_predict_says_whom_to_trust(capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(["predict", "--help"])
    assert exit_info.value.code == 0
    assert "trusted source" in capsys.readouterr().out


def test_help_imports_neither_torch_nor_transformers():
    code = (
        "import sys, skraee.cli.main\n"
        "heavy = {'torch', 'transformers', 'sklearn', 'numpy'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_module_is_the_command_and_writes_utf_8_whatever_the_locale(fitted, tmp_path):
    rows = [("a lovely film", "très"), ("the waiter was cold, slow", "日本\n😀\r")]
    new = write_csv(tmp_path / "new.csv", ["text", "note"], rows)
    done = module("predict", str(fitted), str(new), encoding="ascii")
    assert "2 texts in" in done.stderr.decode()
    assert done.returncode == 0
    header, *printed = csv.reader(io.StringIO(done.stdout.decode("utf-8"), newline=""))
    assert header == ["text", "note", "label", "exit_layer", "probability"]
    assert [tuple(cells[:3]) for cells in printed] == [
        ("a lovely film", "très", "positive"),
        ("the waiter was cold, slow", "日本\n😀\r", "negative"),
    ]


def module(
    *words: str, encoding: str | None = None, stdout: Any = subprocess.PIPE
) -> subprocess.CompletedProcess[bytes]:
    """Run the command in a process of its own."""
    told = {} if encoding is None else {"PYTHONIOENCODING": encoding}
    return subprocess.run(
        [sys.executable, "-m", "skraee", *words],
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
        env={**os.environ, **told},
    )


def unread(*words: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command with a reader that has left, as `head` does."""
    read, write = os.pipe()
    os.close(read)
    try:
        return module(*words, stdout=write)
    finally:
        os.close(write)


@pytest.mark.skipif(os.name == "nt", reason="pipes of Windows break otherwise")
@pytest.mark.parametrize("words", [["versions"], ["--help"], ["predict", "--help"]])
def test_a_reader_that_leaves_ends_the_command_quietly(words):
    done = unread(*words)
    assert done.stderr == b""
    # Since Python 3.11.4 argparse does not say that nobody reads its help.
    assert done.returncode in ({141} if words == ["versions"] else {0, 141})


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="pipes of Windows break otherwise")
def test_a_reader_that_leaves_ends_predict_quietly(fitted, new):
    done = unread("predict", str(fitted), str(new))
    assert done.returncode == 141
    told = done.stderr.decode()
    assert not any(word in told for word in ("error", "Error", "Exception", "Trace"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_the_standard_output_is_one_line():
    with Path("/dev/full").open("wb") as full:
        done = module("versions", stdout=full)
    assert done.returncode == 2
    assert done.stderr == b"skraee: error: [Errno 28] No space left on device\n"


def test_main_leaves_a_broken_pipe_to_its_caller(monkeypatch):
    class Broken(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError("nobody reads")

    monkeypatch.setattr(sys, "stdout", Broken())
    with pytest.raises(BrokenPipeError, match="nobody reads"):
        main(["versions"])


def test_the_installed_command_is_the_module():
    settings = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    assert tomllib.loads(settings)["project"]["scripts"] == {
        "skraee": "skraee.__main__:run"
    }


def test_module_of_a_user_error_exits_with_2():
    done = subprocess.run(
        [sys.executable, "-m", "skraee", "predict", "none.joblib", "none.csv"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "skraee: error: there is no file 'none.csv'; check the path.\n"
    )
