"""EarlyExitClassifier: a text runs until the readout is confident."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from skraee import EarlyExitClassifier, toy
from skraee.engine import gates
from skraee.engine.row_exits import RowExits
from skraee.exceptions import FileFormatError, InputWarning
from skraee.exits.policies import first_confident
from tests.support.answers import assert_same_answers
from tests.support.checkpoints import saved
from tests.support.classifiers import early_exit, raee
from tests.support.evidence import STEPS, deepening
from tests.support.reviews import noisy_reviews, turned_reviews

# Texts with a wrong label are often read wrongly at all depths.
pytestmark = pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning")

KINDS = list(toy.TEMPLATES)
X, Y = noisy_reviews(90)
X_NEW, Y_NEW = noisy_reviews(50, seed=1)
TURNED = turned_reviews(300)
TURNED_NEW, _ = turned_reviews(200, seed=1)


# Where texts stop


def test_exits_by_confidence_make_no_keys(rows: Counter[str]) -> None:
    clf = early_exit(threshold=0.7).fit(X, Y)
    clf.predict(X_NEW)
    assert clf.sweep(X_NEW).keys.shape == (50, 0)
    assert set(rows) == {"sweep", "run"}


def test_min_exit_binds_confidence_too() -> None:
    clf = early_exit(threshold=0.0, min_exit=2).fit(X, Y)
    assert set(clf.exit_layers(X_NEW)) == {2}
    assert set(clf.set_params(threshold=1.0).exit_layers(X_NEW)) == {4}


def test_threshold_moves_the_exits_after_fit() -> None:
    clf = early_exit(threshold=0.7).fit(X, Y)
    means = [
        clf.set_params(threshold=value).exit_layers(X_NEW).mean()
        for value in (0, 0.7, 0.9, 1)
    ]
    assert means == sorted(means)
    assert means[0] == 0.0
    assert means[-1] == 4.0


def test_costs_are_those_of_the_backbone_and_not_of_equal_layers() -> None:
    clf = early_exit("seq2seq", budget=0.5).fit(X, Y)
    assert clf.cost_[4] > 0.6  # of 4 encoder and 4 decoder layers
    assert raee(readout="ridge").fit(X, Y).cost_ == pytest.approx(np.arange(5) / 4)


@pytest.mark.parametrize("how", ["partial_fit", "fit_sweep"])
def test_other_ways_to_fit_warn_of_a_useless_threshold_too(how: str) -> None:
    clf = early_exit(budget=0.5, threshold=0.8)
    given = clf.sweep(X) if how == "fit_sweep" else X
    more = {"classes": np.unique(Y)} if how == "partial_fit" else {}
    with pytest.warns(UserWarning, match=r"threshold=0.8 is not used") as caught:
        getattr(clf, how)(given, Y, **more)
    assert caught[0].filename == __file__


def test_explain_says_what_predict_says_to_the_last_bit() -> None:
    clf = early_exit("causal", dtype="bfloat16", threshold=0.7).fit(X, Y)
    for text in X_NEW[:8]:
        told = clf.explain(text)
        proba, exits = clf.predict_proba([text], return_exit_layers=True)
        assert list(told.proba.values()) == proba[0].tolist()
        assert (told.label, told.exit_layer) == (clf.predict([text])[0], exits[0])


def test_a_threshold_that_a_budget_makes_useless_is_warned_of_at_fit() -> None:
    clf = early_exit(budget=0.5, threshold=0.8)
    with pytest.warns(UserWarning, match=r"threshold=0.8 is not used") as caught:
        clf.fit(X, Y)
    assert caught[0].filename == __file__
    clf.predict(X_NEW)  # warns no more


@pytest.mark.parametrize("name", ["kneighbors", "exit_distribution"])
def test_methods_about_neighbours_are_not_there_with_confidence(name: str) -> None:
    assert not hasattr(early_exit(), name)
    assert hasattr(raee(), name)


def test_threshold_is_that_of_the_largest_loss_where_none_is_given() -> None:
    clf = early_exit("seq2seq", max_loss=0.02).fit(*TURNED)
    found = clf.exit_layers(TURNED_NEW)
    confidence = clf.layer_proba(TURNED_NEW)[:, : clf.max_exit_ + 1].max(axis=2)
    expected = first_confident(confidence, clf.threshold_, 0)
    np.testing.assert_array_equal(found, expected)
    assert len(set(found.tolist())) > 1
    assert clf.explain(TURNED_NEW[0]).threshold == clf.threshold_


def test_a_smaller_loss_goes_deeper() -> None:
    clf = early_exit("seq2seq", max_loss=0.5, memory="process").fit(*TURNED)
    means = [
        clf.set_params(max_loss=loss).fit(*TURNED).exit_layers(TURNED_NEW).mean()
        for loss in (0.5, 0.05, 0.02, 0.0)
    ]
    assert means == sorted(set(means))
    assert means[-1] == clf.max_exit_


def test_the_report_says_what_each_threshold_leads_to() -> None:
    texts, labels = TURNED
    clf = early_exit("seq2seq", max_loss=0.2).fit(texts, labels)
    report = clf.exit_report_
    assert (np.diff(report["threshold"]) > 0).all()
    assert (np.diff(report["mean_cost"]) >= 0).all()
    assert report["threshold"][report["chosen"]].tolist() == [clf.threshold_]
    assert report["loss_bound"][report["chosen"]] <= 0.2
    assert (report["loss"] <= report["loss_bound"]).all()
    assert report["accuracy"][-1] == pytest.approx(clf.layer_scores_[clf.max_exit_])
    lost = report["accuracy"][-1] - report["accuracy"]
    np.testing.assert_allclose(report["loss"], lost, atol=1e-12)


@pytest.mark.parametrize("how", ["fit", "partial_fit", "fit_sweep"])
def test_few_texts_run_to_the_end_and_are_told_of(how: str) -> None:
    clf = early_exit(max_loss=0.01)
    given = clf.sweep(X) if how == "fit_sweep" else X
    more = {"classes": np.unique(Y)} if how == "partial_fit" else {}
    message = r"90 texts are too few .* max_loss=0.01, .* at least 268,"
    with pytest.warns(InputWarning, match=message) as caught:
        getattr(clf, how)(given, Y, **more)
    assert [w.filename for w in caught] == [__file__]
    assert set(clf.exit_layers(X_NEW)) == {clf.max_exit_}


@pytest.mark.parametrize("params", [{"max_loss": 0.0}, {"threshold": 0.8}])
def test_nobody_is_told_of_few_texts_where_nothing_has_to_be_shown(
    params: dict[str, Any],
) -> None:
    early_exit(**params).fit(X, Y)  # a warning is an error here


def test_no_text_runs_a_layer_behind_the_last_exit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clf = early_exit("seq2seq", max_loss=0.02).fit(*TURNED)
    clf.max_exit_ = 5
    proba, exits = clf.predict_proba(TURNED_NEW, return_exit_layers=True)
    depths = clf.layer_proba(TURNED_NEW)
    confidence = depths[:, :6].max(axis=2)
    np.testing.assert_array_equal(exits, first_confident(confidence, clf.threshold_, 0))
    assert exits.max() == 5
    found = depths[np.arange(len(exits)), exits]
    np.testing.assert_allclose(proba, found, atol=1e-5)
    entered: list[int] = []
    read = RowExits.visit

    def noting(self: Any, depth: int, hidden: Any, rows: Any) -> Any:
        entered.append(depth)
        return read(self, depth, hidden, rows)

    monkeypatch.setattr(RowExits, "visit", noting)
    clf.predict(TURNED_NEW)
    assert max(entered) == 5


def test_a_smallest_exit_set_after_fit_goes_before_the_last_one() -> None:
    clf = early_exit("seq2seq", max_loss=0.02).fit(*TURNED)
    clf.max_exit_ = 3
    assert set(clf.set_params(min_exit=6).exit_layers(TURNED_NEW)) == {6}


@pytest.mark.parametrize("params", [{"max_loss": 0.01}, {"budget": 1.0}])
@pytest.mark.parametrize("min_exit", [0, 5])
def test_what_is_chosen_is_chosen_among_exits_from_the_first_to_the_last(
    params: dict[str, Any], min_exit: int
) -> None:
    known = deepening(20_000, 0, best=3)
    chosen = early_exit(min_exit=min_exit, **params)._choose(known)
    last = 3 if min_exit == 0 else 5 + known.right[:, 5:].mean(axis=0).argmax()
    assert chosen["max_exit_"] == last
    costs = chosen["exit_report_"]["mean_cost"]
    assert costs.min() == pytest.approx(STEPS[min_exit])
    assert costs.max() == pytest.approx(STEPS[last])


def test_explain_says_why_a_text_went_no_deeper() -> None:
    clf = early_exit("seq2seq", max_loss=0.02).fit(*TURNED)
    clf.max_exit_ = 5
    deepest = TURNED_NEW[int(clf.exit_layers(TURNED_NEW).argmax())]
    told = clf.explain(deepest)
    assert told.max_exit == told.exit_layer == 5
    why = rf"layer 5 of 8: no layer before was at or above {clf.threshold_:.2f}, and no"
    assert re.search(why, str(told))
    clf.threshold_ = 2.0
    assert "all texts run as deep, and no text goes" in str(clf.explain(deepest))
    clf.set_params(threshold=1.0)
    assert clf.explain(deepest).exit_layer == 8


def test_a_threshold_can_be_set_and_taken_back_after_fit() -> None:
    clf = early_exit("seq2seq", max_loss=0.05).fit(*TURNED)
    expected = clf.exit_layers(TURNED_NEW)
    assert set(clf.set_params(threshold=1.0).exit_layers(TURNED_NEW)) == {8}
    clf.set_params(threshold=None)
    np.testing.assert_array_equal(clf.exit_layers(TURNED_NEW), expected)
    with pytest.raises(ValueError, match=r"max_loss was 0.05 at fit and is 0.1 now"):
        clf.set_params(max_loss=0.1).predict(TURNED_NEW)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"threshold": 0.8, "max_loss": 0.1}, "max_loss=0.1 is not used, as threshold"),
        ({"budget": 0.5, "max_loss": 0.1}, "max_loss=0.1 is not used, as budget=0.5"),
    ],
)
def test_a_loss_that_does_not_decide_is_warned_of(
    params: dict[str, Any], message: str
) -> None:
    with pytest.warns(UserWarning, match=message):
        early_exit(**params).fit(X, Y)


@pytest.mark.parametrize(
    ("max_loss", "message"),
    [
        (1, "max_loss must be below 1, got 1"),
        (-0.1, "max_loss must lie between 0 and 1, got -0.1"),
        (None, "max_loss must be a number, got None"),
    ],
)
def test_wrong_losses_are_one_clear_error(max_loss: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        early_exit(max_loss=max_loss).fit(X, Y)


def test_threshold_set_after_fit_does_not_move_a_budget() -> None:
    clf = early_exit("seq2seq", budget=0.4).fit(*TURNED)
    expected = clf.exit_layers(TURNED_NEW)
    assert expected.any()
    clf.set_params(threshold=0.0)
    np.testing.assert_array_equal(clf.exit_layers(TURNED_NEW), expected)


def test_budget_is_used_where_depth_helps() -> None:
    clf = early_exit("seq2seq", budget=0.2, memory="process")
    thresholds, costs = [], []
    for budget in (0.2, 0.4, 0.6):
        clf.set_params(budget=budget).fit(*TURNED)
        thresholds.append(clf.threshold_)
        costs.append(clf.cost_[clf.exit_layers(TURNED_NEW)].mean())
        assert 0.5 * budget < costs[-1] <= 1.1 * budget
    assert thresholds == sorted(set(thresholds))
    assert costs == sorted(set(costs))


@pytest.mark.parametrize(
    ("threshold", "error", "message"),
    [
        (-0.1, ValueError, "threshold must lie between 0 and 1, got -0.1"),
        (float("nan"), ValueError, "threshold must lie between 0 and 1, got nan"),
        ("sure", TypeError, "threshold must be a number, got 'sure'"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "predict"])
def test_wrong_threshold_is_one_clear_error(
    threshold: Any, error: type[Exception], message: str, method: str
) -> None:
    clf = early_exit().fit(X[:40], Y[:40]).set_params(threshold=threshold)
    arguments = (X, Y) if method == "fit" else (X,)
    with pytest.raises(error, match=message):
        getattr(clf, method)(*arguments)


# Why a text stopped


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "params", [{"threshold": 0.7}, {"threshold": 0.7, "min_exit": 2}, {"budget": 0.5}]
)
def test_explain_tells_the_answers_and_exits_of_predict(kind: str, params: Any) -> None:
    clf = early_exit(kind, **params).fit(X, Y)
    texts = X_NEW[:8]
    proba, exits = clf.predict_proba(texts, return_exit_layers=True)
    every_depth = clf.layer_proba(texts)
    for i, label in enumerate(clf.predict(texts)):
        told = clf.explain(texts[i])
        assert (told.text, told.label, told.exit_layer) == (texts[i], label, exits[i])
        assert list(told.proba) == clf.classes_.tolist()
        np.testing.assert_allclose([*told.proba.values()], proba[i], atol=1e-5)
        np.testing.assert_allclose(
            told.confidence, every_depth[i].max(axis=1), atol=1e-5
        )
        running = clf.classes_[every_depth[i].argmax(axis=1)]
        assert list(told.labels) == running.tolist()
        assert told.threshold == params.get("threshold", vars(clf).get("threshold_"))
        assert told.min_exit == clf.min_exit
        early = [told.confidence[depth] for depth in told.passed[clf.min_exit :]]
        assert all(confidence < told.threshold for confidence in early)


def test_explain_prints_what_min_exit_kept_from_stopping() -> None:
    clf = early_exit(threshold=0.0, min_exit=2).fit(X, Y)
    shown = [line.split(maxsplit=4) for line in str(clf.explain(X_NEW[0])).splitlines()]
    why = [line[4] for line in shown[2:]]
    assert why == [*["before min_exit=2"] * 2, "exit", *["not run"] * 2]


def test_explain_follows_a_threshold_set_after_fit() -> None:
    clf = early_exit(threshold=1.0).fit(X, Y)
    assert "no layer before was at or above 1.00" in str(clf.explain(X_NEW[0]))
    told = clf.set_params(threshold=0.0).explain(X_NEW[0])
    assert (told.threshold, told.exit_layer, told.passed) == (0.0, 0, ())


def test_explain_joins_the_fields_of_one_row() -> None:
    table = pd.DataFrame({"text": X, "thing": "film"})
    clf = early_exit(template="the {thing} : {text} it was {mask}.").fit(table, Y)
    assert clf.explain(table.iloc[:1]).text == f"film {X[0]}"


def test_explain_takes_one_text_of_a_fitted_classifier() -> None:
    with pytest.raises(NotFittedError):
        early_exit().explain(X[0])
    with pytest.raises(ValueError, match="one text at a time, got 2"):
        early_exit().fit(X, Y).explain(X[:2])


# What it reads


def test_more_classes_than_a_batch_and_few_texts_of_each(tmp_path: Path) -> None:
    saved(tmp_path)
    names = [f"w{3 + i} w{20 + i}" for i in range(40)]
    codes = np.tile(np.arange(40), 4)
    rng = np.random.default_rng(0)
    texts = [f"{names[c]} w{rng.integers(3, 60)}" for c in codes]
    clf = early_exit(
        backbone=str(tmp_path),
        template="{text} {mask}",
        threshold=0.7,
        dtype="float32",
    ).fit(texts, codes)
    assert clf.layer_scores_[0] > 0.5
    assert clf.predict_proba(texts[:3]).shape == (3, 40)


def test_a_heavier_class_is_found_more_often() -> None:
    recall = []
    for weight in (0.2, 1, 5):
        clf = early_exit(threshold=0.7, class_weight={"positive": weight})
        answers = clf.fit(X, Y).predict(X_NEW)
        recall.append((answers[Y_NEW == "positive"] == "positive").mean())
    assert recall[0] < recall[1] < recall[2]


def test_balanced_classes_are_weighed_alike() -> None:
    keep = np.flatnonzero(Y == "negative").tolist()
    keep += np.flatnonzero(Y == "positive")[:8].tolist()
    texts, labels = [X[i] for i in keep], Y[keep]
    recall = {}
    for how in (None, "balanced"):
        clf = early_exit(threshold=0.7, class_weight=how).fit(texts, labels)
        recall[how] = (clf.predict(X_NEW)[Y_NEW == "positive"] == "positive").mean()
    assert recall["balanced"] > recall[None] + 0.2


# What runs


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_shrinks_as_its_texts_are_confident(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clf = early_exit(kind, threshold=0.7).fit(X, Y)
    exits = clf.exit_layers(X_NEW)
    n_rows = 0
    forward = gates.Gate.forward

    def counting(self: Any, hidden: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal n_rows
        out = forward(self, hidden, *args, **kwargs)
        n_rows += len(out if not isinstance(out, tuple) else out[0])
        return out

    monkeypatch.setattr(gates.Gate, "forward", counting)
    clf.predict(X_NEW)
    distinct = dict(zip(X_NEW, exits.tolist(), strict=True))
    assert n_rows == sum(distinct.values())
    assert 0 < n_rows < len(distinct) * clf.n_layers_


def test_duplicate_texts_run_once(rows: Counter[str]) -> None:
    clf = early_exit(threshold=0.7).fit([*X, *X], [*Y, *Y])
    assert rows["sweep"] == len(set(X))
    rows.clear()
    clf.predict(X_NEW * 3)
    assert rows["run"] == len(set(X_NEW))


def test_the_progress_bar_counts_all_texts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("tqdm")
    clf = early_exit(threshold=0.7, verbose=1).fit(X, Y)
    capsys.readouterr()
    clf.predict(X_NEW)
    assert "50/50" in capsys.readouterr().err


# Streams, parts and files


def test_stream_is_answered_chunk_by_chunk_with_no_more_taken() -> None:
    clf = early_exit(threshold=0.7).fit(X, Y)
    taken = []

    def endless() -> Iterator[str]:
        for text in cycle(X_NEW):
            taken.append(text)
            yield text

    stream = clf.predict_iter(endless(), chunk_size=8)
    found = np.concatenate([next(stream), next(stream)])
    np.testing.assert_array_equal(found, clf.predict(X_NEW[:16]))
    assert len(taken) <= 24


def test_partial_fit_chooses_the_threshold_of_a_budget_anew() -> None:
    texts, labels = TURNED
    clf = early_exit("seq2seq", budget=0.4, memory="process")
    before = clf.fit(texts[:200], labels[:200]).threshold_
    clf.partial_fit(texts[200:], labels[200:])
    whole = early_exit("seq2seq", budget=0.4).fit(texts, labels)
    assert clf.threshold_ == pytest.approx(whole.threshold_)
    assert clf.threshold_ != pytest.approx(before)


def test_partial_fit_first_call_needs_the_classes() -> None:
    with pytest.raises(ValueError, match="first call of partial_fit must name all"):
        early_exit().partial_fit(X, Y)


@pytest.mark.parametrize("how", ["joblib", "file"])
def test_threshold_set_after_fit_is_kept(how: str, tmp_path: Path) -> None:
    clf = early_exit().fit(X, Y).set_params(threshold=0.6, min_exit=1)
    if how == "joblib":
        joblib.dump(clf, tmp_path / "clf")
        again = joblib.load(tmp_path / "clf")
    else:
        clf.save(tmp_path / "clf")
        again = EarlyExitClassifier.load(tmp_path / "clf")
    assert_same_answers(again, clf, X_NEW, atol=0)
    assert str(again.explain(X_NEW[0])) == str(clf.explain(X_NEW[0]))


def test_load_refuses_the_file_of_another_class_and_names_its_own(
    tmp_path: Path,
) -> None:
    raee().fit(X, Y).save(tmp_path / "clf")
    message = "holds an estimator of RAEEClassifier; read it with RAEEClassifier.load"
    with pytest.raises(FileFormatError, match=message):
        EarlyExitClassifier.load(tmp_path / "clf")
