"""``skraee report``, on toy backbones."""

from __future__ import annotations

import io
import json
import os
import sys
from functools import partial
from pathlib import Path

import joblib
import pandas as pd
import pytest

from skraee import toy
from skraee.baselines import FullDepthClassifier
from skraee.cli.main import main
from skraee.inspection import Report
from tests.support.classifiers import make_classifier, raee_cv
from tests.support.page_checks import Page, dangers, faults

X, Y = toy.reviews(60)
baseline = partial(make_classifier, FullDepthClassifier)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Let each test run in a folder of its own: there the page goes by default."""
    monkeypatch.chdir(tmp_path)


def run(*words: object) -> int:
    return main(["report", *map(str, words)])


def page_at(path: Path) -> Page:
    page = Page(path.read_text(encoding="utf-8"))
    assert faults(page) == []
    assert dangers(page) == []
    return page


def test_report_is_a_page_whose_title_names_model_and_data(model, labelled, capsys):
    assert run(model, labelled, "-o", "page.html", "--explain", 3) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert (
        "40 texts: accuracy 1.000 (95 %: 0.912 to 1.000); wrote page.html" in told.err
    )
    page = page_at(Path("page.html"))
    assert page.all("h1")[0].text == "model.skraee on labelled.csv"
    assert len([one for one in page.all("li") if "id" in one.attributes]) == 3


def test_default_name_is_that_of_the_data_and_may_be_written_anew(model, labelled):
    assert run(model, labelled, "--explain", 0) == 0
    first = Path("labelled-report.html").read_text(encoding="utf-8")
    assert run(model, labelled, "--explain", 1, "--title", "Again") == 0
    page = page_at(Path("labelled-report.html"))
    assert page.all("title")[0].text == "Again"
    assert page.all("h1")[0].text not in first


def test_default_name_does_not_take_the_place_of_another_file(model, labelled, capsys):
    Path("labelled-report.html").write_text("<p>mine</p>")
    assert run(model, labelled) == 2
    told = capsys.readouterr().err
    assert "labelled-report.html is there and no report of skraee" in told
    assert Path("labelled-report.html").read_text() == "<p>mine</p>"


def test_report_of_the_standard_input_goes_to_the_standard_output(
    model, labelled, monkeypatch, capsys
):
    stdin = io.TextIOWrapper(io.BytesIO(labelled.read_bytes()), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", stdin)
    assert run(model, "-", "-o", "-", "--explain", 1) == 0
    told = capsys.readouterr()
    page = Page(told.out)
    assert page.all("h1")[0].text == "model.skraee on standard input"
    assert told.err == ""


def test_report_of_the_standard_input_has_a_name_by_default(
    model, labelled, monkeypatch
):
    stdin = io.TextIOWrapper(io.BytesIO(labelled.read_bytes()), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", stdin)
    assert run(model, "-", "--explain", 0) == 0
    page_at(Path("report.html"))


def test_json_prints_the_numbers_beside_the_page(neighbors, labelled, capsys):
    assert run(neighbors, labelled, "--json", "--explain", 2, "-o", "page.html") == 0
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert (found["n_texts"], found["n_explained"]) == (40, 2)
    low, high = found["accuracy_interval"]
    assert low <= found["accuracy"] <= high
    assert found["file"] == "page.html"
    assert found["file_bytes"] == os.path.getsize("page.html")
    assert told.err == ""


def test_json_and_the_page_cannot_both_be_on_the_standard_output(
    model, labelled, capsys
):
    assert run(model, labelled, "--json", "-o", "-") == 2
    assert "name a file with -o" in capsys.readouterr().err


def test_quiet_says_nothing(model, labelled, capsys):
    assert run(model, labelled, "--quiet", "--explain", 0) == 0
    assert capsys.readouterr() == ("", "")


def test_no_texts_are_on_the_page_with_an_empty_list(model, labelled):
    assert run(model, labelled, "--list", 0) == 0
    page = Path("labelled-report.html").read_text(encoding="utf-8")
    assert not [text for text in pd.read_csv(labelled)["text"] if text in page]


def test_texts_of_fit_are_shown_where_they_are_given(neighbors, labelled, tmp_path):
    pd.DataFrame({"text": X, "label": Y}).to_csv("train.csv", index=False)
    assert run(neighbors, labelled, "--train", "train.csv", "--explain", 2) == 0
    page = Path("labelled-report.html").read_text(encoding="utf-8")
    assert any(f"<bdi>{text}</bdi>" in page for text in X)


def test_texts_of_fit_that_are_others_are_one_line(neighbors, labelled, capsys):
    assert run(neighbors, labelled, "--train", labelled) == 2
    assert (
        "texts must be the 60 texts that were given to fit" in capsys.readouterr().err
    )
    assert not Path("labelled-report.html").exists()


@pytest.mark.parametrize("ending", ["tsv", "jsonl", "parquet"])
def test_report_reads_every_format(ending, model, labelled):
    if ending == "parquet":
        pytest.importorskip("polars", reason="the extra `parquet` is not installed")
    table, path = pd.read_csv(labelled), Path(f"data.{ending}")
    table = table.rename(columns={"text": "words", "label": "kind"})
    if ending == "tsv":
        table.to_csv(path, sep="\t", index=False)
    elif ending == "jsonl":
        table.to_json(path, orient="records", lines=True)
    else:
        import polars

        polars.DataFrame({name: table[name].tolist() for name in table}).write_parquet(
            path
        )
    names = ["--text-column", "words", "--label-column", "kind"]
    assert run(model, path, *names, "--explain", 1) == 0
    page_at(Path("data-report.html"))


def test_report_of_a_search_and_of_a_baseline(labelled):
    search = raee_cv(ks=(3, 5), taus=(0.7, 0.9)).fit(X, Y)
    search.save("search.skraee")
    assert run("search.skraee", labelled, "-o", "search.html", "--explain", 1) == 0
    said = page_at(Path("search.html")).all("main")[0].text
    assert "candidates of the search" in said
    joblib.dump(baseline().fit(X, Y), "baseline.joblib")
    assert run("baseline.joblib", labelled, "-o", "baseline.html") == 0
    said = page_at(Path("baseline.html")).all("main")[0].text
    assert "a baseline, which explains nothing" in said


OVER = {
    "model.skraee": "model.skraee is a model by its ending, and a report is a page; "
    "name the output such as model.html.",
    "labelled.csv": "labelled.csv is a table by its ending, and a report is a page; "
    "name the output such as labelled.html.",
    "link.html": "link.html is read as {data} and would be overwritten; name another "
    "file with -o.",
    "no/page.html": "there is no folder",
    "folder": "'folder' is a folder; give the name of a file in it.",
}


@pytest.mark.parametrize("output", OVER)
def test_what_is_read_is_not_overwritten(output, model, labelled, capsys, monkeypatch):
    monkeypatch.setattr("skraee.cli.report.model_and_labelled", None)  # not reached
    Path("link.html").symlink_to(labelled)
    Path("folder").mkdir()
    before = model.read_bytes(), labelled.read_bytes()
    assert run(model, labelled, "-o", output) == 2
    assert OVER[output].format(data=labelled) in capsys.readouterr().err
    assert (model.read_bytes(), labelled.read_bytes()) == before


def test_key_file_and_texts_of_fit_are_not_overwritten(model, labelled, capsys):
    for option in ("--key-file", "--train"):
        Path("read.html").write_text("text,label\na,b\n")
        assert run(model, labelled, option, "read.html", "-o", "read.html") == 2
        assert "read.html is read as read.html and would" in capsys.readouterr().err
        assert Path("read.html").read_text() == "text,label\na,b\n"


def test_report_that_fails_leaves_the_page_before(model, labelled, monkeypatch, capsys):
    Path("page.html").write_text("before")

    def fail(*_: object, **__: object) -> None:
        raise ValueError("no")

    monkeypatch.setattr(Report, "of", fail)
    assert run(model, labelled, "-o", "page.html") == 2
    assert Path("page.html").read_text() == "before"
    assert capsys.readouterr().err == "skraee: error: no\n"


@pytest.mark.parametrize("option", ["--explain", "--list"])
@pytest.mark.parametrize("written", ["-1", "1.5", "all", ""])
def test_number_that_is_none_is_named(option, written, model, capsys):
    with pytest.raises(SystemExit) as exit_info:
        run(model, "data.csv", f"{option}={written}")
    assert exit_info.value.code == 2
    assert f"{option}: write a whole number from 0 on" in capsys.readouterr().err


def test_labels_that_no_model_knows_are_told_of(model, labelled, capsys):
    table = pd.read_csv(labelled)
    table["label"] = table["label"].replace("negative", "no")
    table.to_csv(labelled, index=False)
    assert run(model, labelled, "--explain", 1) == 0
    assert "20 of 40 labels are no class of the model" in capsys.readouterr().err
    page_at(Path("labelled-report.html"))
