"""The command line, on toy backbones."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import joblib
import pytest

from skraee import RAEEClassifier, clear_backbones, toy
from skraee.cli import main


def write_csv(path: Path, header: list[str], rows: list[tuple[str, ...]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backbone")
    model, tokenizer, _ = toy.backbone("masked")._read(_float32())
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _float32():
    import torch

    return torch.float32


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
    ]
    assert fit(train, backbone, *more) == 0
    clf = joblib.load(tmp_path / "model.joblib")
    options = {"k": 5, "tau": 0.5, "encoder": 2, "min_exit": 1, "dtype": "float32"}
    assert options.items() <= clf.get_params().items()
    assert clf.class_weight == "balanced"


def test_the_closed_form_within_a_budget_in_a_file_without_code(
    train, new, backbone, tmp_path, capsys
):
    model = tmp_path / "model.skraee"
    command = ["fit", str(train), "--backbone", str(backbone), "--template"]
    command += [toy.TEMPLATES["masked"], "--readout", "ridge", "-o", str(model)]
    assert main([*command, "--exit-by", "confidence", "--budget", "0.5"]) == 0
    clf = RAEEClassifier.load(model)
    assert (clf.readout, clf.exit_by, clf.budget) == ("ridge", "confidence", 0.5)
    capsys.readouterr()
    assert main(["predict", str(model), str(new)]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    texts = [row["text"] for row in rows]
    assert [row["label"] for row in rows] == clf.predict(texts).tolist()
    assert [int(row["exit_layer"]) for row in rows] == clf.exit_layers(texts).tolist()


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


def test_predict_no_rows_writes_the_header_alone(train, backbone, tmp_path, capsys):
    fit(train, backbone)
    empty = write_csv(tmp_path / "new.csv", ["text"], [])
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "model.joblib"), str(empty)]) == 0
    assert capsys.readouterr().out == "text,label,exit_layer,probability\n"


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
        (b"text,label\none cell\n", "has 1 cells in its row 1 but 2 columns"),
        (b"text,label\n\xff,a\n", "is not in UTF-8"),
        (b'text,label\n"open,a\n', "is not a CSV file"),
        (b"text,label\n", "got 0 samples"),
    ],
)
def test_file_that_is_no_table_is_one_line(
    content, message, backbone, tmp_path, capsys
):
    path = tmp_path / "train.csv"
    path.write_bytes(content)
    assert fit(path, backbone) == 2
    assert message in refusal(capsys)


def test_versions_names_the_packages(capsys):
    assert main(["versions"]) == 0
    assert "transformers: " in capsys.readouterr().out


def test_help_of_predict_says_whom_to_trust(capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(["predict", "--help"])
    assert exit_info.value.code == 0
    assert "trusted source" in capsys.readouterr().out


def test_help_imports_neither_torch_nor_transformers():
    code = (
        "import sys, skraee.cli\n"
        "heavy = {'torch', 'transformers', 'sklearn', 'numpy'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_module_is_the_command(train, new, backbone, tmp_path):
    clear_backbones()
    fit(train, backbone)
    model = tmp_path / "model.joblib"
    done = subprocess.run(
        [sys.executable, "-m", "skraee", "predict", str(model), str(new)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.split(",")[0] for line in done.stdout.splitlines()][1:] == [
        "a lovely film",
        '"the waiter was cold',
    ]
    assert "2 texts in" in done.stderr


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
