"""The report as numbers and as a page, without a browser."""

from __future__ import annotations

import base64
import hashlib
import re
import warnings
from functools import partial
from html import unescape

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from skraee import toy
from skraee.backbone import tiny
from skraee.baselines import FullDepthClassifier
from skraee.exceptions import UndecidedWarning
from skraee.inspection import Evaluation, Report
from skraee.retrieval import remoteness
from tests.inspection.report.conftest import GIVEN, NEW, RIGHT, X, Y
from tests.support.classifiers import early_exit, make_classifier, raee, raee_cv
from tests.support.page_checks import Page, dangers, faults

baseline = partial(make_classifier, FullDepthClassifier)
MAKERS = [early_exit, partial(raee, k=3), partial(raee, budget=0.5), raee_cv, baseline]
NAMES = ["confidence", "neighbours", "neighbours within a budget", "search", "baseline"]


def section(page: Page, name: str) -> str:
    """The words of a section, as a reader finds them."""
    heading = page.by_id(name)
    return heading.parents[-1].text


@pytest.mark.parametrize("make", MAKERS, ids=NAMES)
def test_report_of_every_kind_is_a_page_without_faults(make):
    clf = make().fit(X, Y)
    page = Page(Report.of(clf, NEW, GIVEN, explain=4).html())
    assert faults(page) == []
    assert dangers(page) == []
    found = Evaluation.of(clf, NEW, GIVEN)
    assert f"accuracy {found.accuracy:.3f}" in page.all("main")[0].text
    assert type(clf).__name__ in page.all("h1")[0].text


def test_numbers_are_those_of_an_evaluation(confident, report):
    found = Evaluation.of(confident, NEW, GIVEN)
    for name in ("accuracy", "log_loss", "confusion", "exit_counts", "classes"):
        assert getattr(report.evaluation, name) == getattr(found, name)
    low, high = report.interval
    assert low < found.accuracy < high
    assert sum(report.right_exits) == round(50 * found.accuracy)
    gaps = [one.n_texts * abs(one.accuracy - one.confidence) for one in report.bins]
    assert sum(gaps) / 50 == pytest.approx(found.calibration_error)


def test_texts_pass_the_model_once_and_explained_ones_again(confident, rows):
    Report.of(confident, NEW, GIVEN, explain=0)
    once = sum(rows.values())
    rows.clear()
    Report.of(confident, NEW, GIVEN, explain=3)
    assert once == 50 + 8  # a few are answered before the clock starts
    assert sum(rows.values()) == once + 2 * 3  # as they were answered, and on


def test_lists_have_the_most_telling_texts_first(confident, report):
    proba, exits = confident.predict_proba(NEW, return_exit_layers=True)
    sure = proba.max(axis=1)
    answers = confident.classes_[proba.argmax(axis=1)]
    lists = {one.name: one for one in report.lists}
    wrong = [text.position for text in lists["wrong"].texts]
    assert set(wrong) == set(np.flatnonzero(answers != GIVEN).tolist()[:10])
    assert [sure[p] for p in wrong] == sorted((sure[p] for p in wrong), reverse=True)
    unsure = [text.position for text in lists["unsure"].texts]
    assert unsure == np.argsort(sure, kind="stable")[:10].tolist()
    deep = [text.exit_layer for text in lists["deep"].texts]
    assert deep == sorted(exits.tolist(), reverse=True)[: len(deep)]
    for one in report.lists:
        for text in one.texts:
            assert text.text == NEW[text.position]
            assert text.label == GIVEN[text.position]
            assert text.answer == answers[text.position]
            assert text.is_right == (text.answer == text.label)


def test_explanations_are_bounded_and_say_what_explain_says(confident, report):
    assert report.n_explained == 6
    for one in report.lists:
        for text in one.texts:
            if text.told is not None:
                told = confident.explain(text.text)
                assert str(text.told) == str(told)


def test_each_explanation_stands_on_the_page_once(report):
    page = Page(report.html())
    anchors = [one for one in page.all("li") if "id" in one.attributes]
    assert len(anchors) == 6
    links = [one for one in page.all("a") if one.attributes["href"].startswith("#text")]
    for link in links:
        assert page.by_id(link.attributes["href"][1:]) is not None


@pytest.mark.parametrize("number", [-1, 2.5, True, "5"])
@pytest.mark.parametrize("name", ["explain", "listed"])
def test_what_is_no_number_of_texts_is_named(name, number, confident):
    message = f"{name} must be a whole number of texts from 0 on, got {number!r}; 0 lea"
    with pytest.raises(ValueError, match=message):
        Report.of(confident, NEW, GIVEN, **{name: number})


def test_no_text_is_on_the_page_where_none_is_to_be_listed(confident):
    report = Report.of(confident, NEW, GIVEN, listed=0)
    page = unescape(report.html())
    assert report.n_explained == 0
    assert not [text for text in NEW if text in page]
    assert "No texts are listed here" in page


def test_neighbours_are_shown_by_their_words_where_these_are_given(near):
    words = Report.of(near, NEW, GIVEN, explain=2, texts=X).html()
    without = Report.of(near, NEW, GIVEN, explain=2).html()
    assert "of fit</bdi>" in without
    assert "of fit</bdi>" not in words
    assert any(f"<bdi>{text}</bdi>" in words for text in X)


def test_words_of_fit_are_looked_at_once_for_all_texts(confident, monkeypatch):
    looked = []
    look = remoteness._spacing
    monkeypatch.setattr(
        remoteness, "_spacing", lambda bags: looked.append(1) or look(bags)
    )
    report = Report.of(confident, NEW, GIVEN, explain=3, texts=X)
    assert looked == [1]
    told = [text.told for text in report.lists[1].texts if text.told is not None]
    assert len(told) >= 1
    for one in told:
        expected = confident.explain(one.text, X)
        assert (one.nearest, one.remoteness) == (expected.nearest, expected.remoteness)


TRICKY = '</script></style><script>alert(1)</script><img src=x onerror=alert(1)>&amp;"'


def test_texts_labels_and_titles_can_do_nothing():
    names = {"negative": TRICKY, "positive": f"'{TRICKY}"}
    labels = [names[label] for label in Y]
    clf = early_exit().fit([f"{text} {TRICKY}" for text in X], labels)
    right = [names[label] for label in GIVEN]
    texts = [f"{text} {TRICKY}" for text in NEW]
    report = Report.of(clf, texts, right, title=TRICKY, explain=3)
    page = Page(report.html())
    assert dangers(page) == []
    assert faults(page) == []
    assert page.all("h1")[0].text == TRICKY
    assert TRICKY[:55] in section(page, "confusion")
    assert f"{NEW[0]} {TRICKY}" in page.all("main")[0].text
    notebook = Page(f"<div>{report._repr_html_()}</div>")
    assert [one.tag for one in notebook.elements] == ["div", "iframe"]
    assert notebook.elements[1].attributes["srcdoc"] == report.html()


@pytest.mark.parametrize(
    "odd",
    [
        "\ud800 half",
        "bell \a null \0",
        "\u202eturned",
        "",
        " \n ",
        "\ufffe none",
        "שלום",
    ],
    ids=["surrogate", "control", "direction", "empty", "white", "no character", "rtl"],
)
@pytest.mark.filterwarnings("ignore::skraee.exceptions.InputWarning")
def test_odd_characters_do_not_break_the_page(odd, confident, tmp_path):
    texts = [odd, *NEW[1:]]
    report = Report.of(confident, texts, GIVEN, explain=50, title=f"t {odd}")
    report.save(tmp_path / "report.html")
    written = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(written)
    assert faults(page) == []
    unseen = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]")
    assert unseen.findall(written) == []
    turning = re.compile("[\u202a-\u202e\u2066-\u2069]")
    assert turning.findall(page.all("title")[0].text) == []
    for one in page.elements:
        if one.tag != "bdi" and not one.parents[-1:]:
            assert one.tag == "html"


def test_direction_of_a_text_ends_with_it(confident):
    html = Report.of(confident, ["\u202eabc", *NEW[1:]], GIVEN, explain=50).html()
    outside = re.sub("<bdi>.*?</bdi>", "", html, flags=re.DOTALL)
    assert "\u202e" in html
    assert "\u202e" not in outside


def test_page_is_bounded_where_texts_are_megabytes(confident):
    plain = len(Report.of(confident, NEW, GIVEN, explain=5).html())
    long = [f"{text} " + "lovely " * 150_000 for text in NEW[:3]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = Report.of(confident, [*long, *NEW[3:]], GIVEN, explain=50)
    page = report.html()
    assert len(page) < plain + 50 * 8_000
    assert max(len(t.text) for one in report.lists for t in one.texts) == 2_000
    assert "letters; the first 2,000 are shown." in page


def test_page_is_bounded_where_classes_are_many():
    texts = [f"{text} {i}" for i, text in enumerate(X * 8)]
    clf = early_exit().fit(texts, [f"class {i % 240}" for i in range(480)])
    labels = [f"class {i % 220}" for i in range(480)]
    report = Report.of(clf, texts, labels, explain=1)
    page = Page(report.html())
    assert faults(page) == []
    assert "40 more classes are not shown" in section(page, "classes")
    assert page.by_id("confusion-plot-title") is None


def test_of_many_classes_the_confusion_is_a_picture_with_the_worst_pairs_named():
    texts = [f"{text} {i}" for i, text in enumerate(X)]
    clf = early_exit().fit(texts, [f"class {i % 20:02}" for i in range(60)])
    report = Report.of(clf, texts, [f"class {i % 19:02}" for i in range(60)], explain=1)
    page = Page(report.html())
    assert faults(page) == []
    assert page.by_id("confusion-plot-title").text == "Confusion"
    said = section(page, "confusion")
    first = report.evaluation.mistakes()[0]
    assert f"class {first[0]:02} class {first[1]:02} {first[2]}" in said


def test_label_that_the_classifier_does_not_know_is_wrong_and_named(confident):
    given = np.array(["neutral", *RIGHT[1:].tolist()])
    report = Report.of(confident, NEW, given, explain=1)
    page = Page(report.html())
    assert faults(page) == []
    assert "right is neutral" in section(page, "wrong")


def test_all_right_answers_leave_no_wrong_ones(confident):
    texts, _ = toy.reviews(20, seed=1)
    report = Report.of(confident, texts, confident.predict(texts), explain=1)
    page = Page(report.html())
    assert "Every answer is right." in section(page, "wrong")
    assert report.interval[1] == 1.0


def test_one_text_is_enough(confident):
    page = Page(Report.of(confident, NEW[:1], GIVEN[:1]).html())
    assert faults(page) == []
    assert "None ran deeper" in section(page, "deep").replace("so none", "None")


def test_page_says_what_a_kind_does_not_know(near):
    page = Page(Report.of(near, NEW, GIVEN, explain=1).html())
    assert "it has one where it was given a budget" in section(page, "cost")
    full = Page(Report.of(baseline().fit(X, Y), NEW, GIVEN).html())
    assert "is a baseline: it keeps no accuracies" in section(full, "cost")
    assert "is a baseline, which explains nothing" in section(full, "unsure")
    assert "All texts stopped at the same layer" in section(full, "deep")


def test_warnings_are_told_and_stand_on_the_page(near):
    clf = raee(k=1, tau=1.0, below_tau="skip").fit(X, Y)
    with pytest.warns(UndecidedWarning) as told:
        report = Report.of(clf, NEW, GIVEN, explain=3)
    assert len(told) == 1
    assert report.warnings == (str(told[0].message),)
    note = [
        one.text
        for one in Page(report.html()).all("p")
        if "note" in one.attributes.get("class", "")
    ]
    assert note == [" ".join(report.warnings[0].split())]


def test_page_names_a_folder_without_where_it_is(tmp_path):
    folder = tmp_path / "my-model"
    model, tokenizer, _ = tiny.read("toy:masked:0", torch.float32)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    clf = early_exit(backbone=str(folder)).fit(X, Y)
    report = Report.of(clf, NEW, GIVEN, explain=1)
    assert report.facts["backbone"] == "my-model"
    assert str(tmp_path) not in report.html()


def test_policy_lets_only_the_own_style_and_script_work(report):
    page = Page(report.html())
    (policy,) = [
        one.attributes["content"]
        for one in page.all("meta")
        if one.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; ")
    for tag in ("style", "script"):
        (one,) = page.all(tag)
        digest = hashlib.sha256("".join(one.words).encode()).digest()
        assert f"{tag}-src 'sha256-{base64.b64encode(digest).decode()}'" in policy
    assert "unsafe" not in policy


def test_saved_page_takes_the_place_of_another_as_a_whole(report, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("before")
    report.save(path)
    assert path.read_text(encoding="utf-8") == report.html()
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]


def test_page_that_cannot_be_made_leaves_what_was_there(report, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("before")
    monkeypatch.setattr(Report, "html", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError, match="division"):
        report.save(path)
    assert path.read_text() == "before"


def test_report_needs_no_matplotlib(confident, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    assert "cost-plot" in Report.of(confident, NEW, GIVEN, explain=1).html()


def test_progress_of_explanations_is_one_bar(confident, capfd):
    Report.of(confident, NEW, GIVEN, explain=3, verbose=1)
    told = capfd.readouterr().err
    assert "explain" in told
    assert "3/3" in told


def test_fields_of_a_template_are_joined():
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame({"premise": X, "end": X[::-1]})
    clf = early_exit(template="{premise} then {end}").fit(table, Y)
    report = Report.of(clf, table, Y, explain=2)
    assert faults(Page(report.html())) == []
    assert X[-1] in report.lists[1].texts[0].text or len(report.lists[1].texts) > 1


@pytest.mark.parametrize(
    ("estimator", "error"),
    [(LogisticRegression(), NotFittedError), (early_exit(), NotFittedError)],
)
def test_what_is_not_fitted_is_refused(estimator, error):
    with pytest.raises(error, match="not fitted yet"):
        Report.of(estimator, NEW, GIVEN)


def test_str_says_the_accuracy_in_a_line(report):
    assert str(report).startswith("EarlyExitClassifier on 50 texts: accuracy 0.")
