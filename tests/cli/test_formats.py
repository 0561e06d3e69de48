"""Formats of files, streams and names of columns, on the command line."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import joblib
import pandas as pd
import polars as pl
import pytest
from sklearn.pipeline import make_pipeline

from skraee import EarlyExitClassifier, toy
from skraee.baselines import CALMClassifier, FullDepthClassifier, HashEEClassifier
from skraee.cli.main import main
from tests.support.classifiers import make_classifier

TEXTS, LABELS = toy.reviews(8, seed=2)
COLUMNS = {"id": list(range(8)), "text": TEXTS, "note": ["é"] * 8}


@pytest.fixture
def new(tmp_path: Path) -> dict[str, Path]:
    """The same table in every format."""
    frame = pl.DataFrame(COLUMNS)
    paths = {kind: tmp_path / f"new.{kind}" for kind in "csv tsv jsonl parquet".split()}
    frame.write_csv(paths["csv"])
    frame.write_csv(paths["tsv"], separator="\t")
    frame.write_ndjson(paths["jsonl"])
    frame.write_parquet(paths["parquet"])
    return paths


def read(path: Path) -> pl.DataFrame:
    readers = {
        ".csv": pl.read_csv,
        ".tsv": lambda path: pl.read_csv(path, separator="\t"),
        ".jsonl": pl.read_ndjson,
        ".parquet": pl.read_parquet,
    }
    return readers[path.suffix](path)


@pytest.mark.parametrize("before", ["csv", "tsv", "jsonl", "parquet"])
@pytest.mark.parametrize("after", ["csv", "tsv", "jsonl", "parquet"])
def test_predict_reads_and_writes_every_format(before, after, new, model, tmp_path):
    out = tmp_path / f"out.{after}"
    assert main(["predict", str(model), str(new[before]), "-o", str(out)]) == 0
    found = read(out)
    assert found.columns == [*COLUMNS, "label", "exit_layer", "probability"]
    clf = EarlyExitClassifier.load(model)
    assert found["label"].to_list() == clf.predict(TEXTS).tolist()
    assert found["exit_layer"].to_list() == clf.exit_layers(TEXTS).tolist()
    assert found["text"].to_list() == TEXTS
    if before in ("jsonl", "parquet") or after in ("csv", "tsv"):
        assert found["id"].to_list() == COLUMNS["id"]


def test_predict_prints_the_format_that_it_read(new, model, capsys):
    assert main(["predict", str(model), str(new["jsonl"])]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["text"] for row in rows] == TEXTS
    assert {type(row["probability"]) for row in rows} <= {float}
    assert main(["predict", str(model), str(new["tsv"])]) == 0
    assert capsys.readouterr().out.startswith("id\ttext\tnote\tlabel\t")
    assert main(["predict", str(model), str(new["parquet"])]) == 0
    assert capsys.readouterr().out.startswith("id,text,note,label,")


@pytest.mark.parametrize("option", [["--json"], ["--output-format", "jsonl"]])
def test_predict_as_json_is_one_object_a_line(option, new, model, capsys):
    assert main(["predict", str(model), str(new["csv"]), *option]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 8
    assert rows[0]["id"] == "0"


def test_predict_from_the_standard_input_to_the_standard_output(
    model, new, monkeypatch, capsys
):
    stdin = io.TextIOWrapper(io.BytesIO(new["csv"].read_bytes()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert main(["predict", str(model), "-", "-o", "-"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 9


def test_format_overrides_the_ending(new, model, tmp_path, capsys):
    path = tmp_path / "texts.log"
    path.write_bytes(new["jsonl"].read_bytes())
    assert main(["predict", str(model), str(path), "--format", "jsonl"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["id"] == 0


def test_spreadsheet_is_one_line(new, model, tmp_path, capsys):
    path = tmp_path / "texts.xlsx"
    path.write_bytes(b"PK")
    assert main(["predict", str(model), str(path)]) == 2
    assert "ends in .xlsx, which is none of CSV, TSV, JSON" in capsys.readouterr().err


def test_short_names_of_columns_reach_fit_and_evaluate(tmp_path, capsys):
    texts, labels = toy.reviews(40)
    halves = [text.split(" ", 1) for text in texts]
    data = tmp_path / "train.parquet"
    first, second = zip(*halves, strict=True)
    pl.DataFrame({"y": labels, "a": first, "b": second}).write_parquet(data)
    out = tmp_path / "model.skraee"
    columns = ["--text", "a", "--text", "b", "--label", "y"]
    words = ["fit", str(data), "--backbone", "toy:masked:0", "--template", "{text}"]
    words += ["--exit-by", "confidence", "--threshold", "0.7", "-o", str(out), "--json"]
    assert main([*words, *columns]) == 0
    assert json.loads(capsys.readouterr().out)["n_texts"] == 40
    assert main(["evaluate", str(out), str(data), *columns, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    clf = EarlyExitClassifier.load(out)
    assert found["accuracy"] == clf.score(texts, labels)


def test_sep_is_short_for_separator(model, tmp_path, capsys):
    path = tmp_path / "new.csv"
    pd.DataFrame(COLUMNS).to_csv(path, sep=":", index=False)
    assert main(["predict", str(model), str(path), "--sep", ":"]) == 0
    assert capsys.readouterr().out.startswith("id:text:note:label:")


BASELINES = [FullDepthClassifier, CALMClassifier, HashEEClassifier]


@pytest.mark.parametrize("cls", BASELINES)
def test_baseline_from_joblib_predicts_and_is_evaluated(cls, new, tmp_path, capsys):
    texts, labels = toy.reviews(40)
    clf = make_classifier(cls).fit(texts, labels)
    path = tmp_path / "baseline.joblib"
    joblib.dump(clf, path)
    assert main(["predict", str(path), str(new["jsonl"])]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["label"] for row in rows] == clf.predict(TEXTS).tolist()
    assert [row["exit_layer"] for row in rows] == clf.exit_layers(TEXTS).tolist()
    assert main(["info", str(path)]) == 0
    assert cls.__name__ in capsys.readouterr().out


def test_pipeline_in_a_joblib_file_is_one_line_with_the_way_out(new, tmp_path, capsys):
    path = tmp_path / "pipeline.joblib"
    joblib.dump(make_pipeline("passthrough"), path)
    assert main(["predict", str(path), str(new["csv"])]) == 2
    told = capsys.readouterr().err
    assert "holds a Pipeline, not a fitted EarlyExitClassifier, RAEEClassifier" in told
    assert "of a Pipeline or search save the classifier in it" in told
