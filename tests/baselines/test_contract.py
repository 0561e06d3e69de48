"""What all baselines hold to, whatever they do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils import estimator_checks as checks
from sklearn.utils import get_tags

from skraee import baselines
from skraee.baselines import DeeBERTClassifier, HashEEClassifier
from skraee.exceptions import InputWarning, TruncationWarning
from tests.baselines.classifiers import (
    KINDS,
    METHODS,
    OURS,
    X_NEW,
    X,
    Y,
    same_answers,
    toy_classifier,
)


@pytest.mark.parametrize("name", baselines.__all__)
def test_public_name_stands_in_the_reference(name: str) -> None:
    reference = Path(__file__).parents[2] / "docs" / "api-baselines.md"
    assert f"autoclass:: {name}" in reference.read_text(encoding="utf-8")


DIRECT = [
    checks.check_estimator_cloneable,
    checks.check_estimator_repr,
    checks.check_estimator_tags_renamed,
    checks.check_valid_tag_types,
    checks.check_mixin_order,
    checks.check_no_attributes_set_in_init,
    checks.check_do_not_raise_errors_in_init_or_set_params,
    checks.check_parameters_default_constructible,
    checks.check_get_params_invariance,
    checks.check_set_params,
    checks.check_estimators_unfitted,
    checks.check_non_transformer_estimators_n_iter,
]


@pytest.mark.parametrize("check", DIRECT, ids=lambda check: check.__name__)
@pytest.mark.parametrize("cls", OURS)
def test_check_without_data_passes(cls: Any, check: Callable[..., None]) -> None:
    check(cls.__name__, toy_classifier(cls))


@pytest.mark.parametrize("cls", OURS)
@pytest.mark.parametrize("kind", KINDS)
def test_answers_have_their_shapes_and_agree(cls: Any, kind: Any) -> None:
    clf = toy_classifier(cls, kind)
    assert clf.fit(X, Y) is clf
    proba, exits = clf.predict_proba(X_NEW, return_exit_layers=True)
    assert proba.shape == (20, 2)
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)
    labels, again = clf.predict(X_NEW, return_exit_layers=True)
    np.testing.assert_array_equal(labels, clf.classes_[proba.argmax(axis=1)])
    np.testing.assert_array_equal(again, exits)
    np.testing.assert_array_equal(clf.exit_layers(X_NEW), exits)
    np.testing.assert_allclose(clf.predict_log_proba(X_NEW), np.log(proba))
    assert clf.classes_.tolist() == ["negative", "positive"]
    assert clf.cost_.shape == (clf.n_layers_ + 1,)
    assert clf.cost_[[0, -1]].tolist() == [0, 1]
    assert exits.min() >= 1
    assert exits.max() <= clf.n_layers_


@pytest.mark.parametrize("cls", OURS)
def test_answers_do_not_depend_on_order_copies_and_parts(
    cls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clf = toy_classifier(cls).fit(X, Y)
    proba, exits = clf.predict_proba(X_NEW, True)
    order = np.random.default_rng(0).permutation(60) % 20
    monkeypatch.setattr("skraee.sweep.chunks.CHUNK_SIZE", 7)
    shuffled, found = clf.predict_proba([X_NEW[i] for i in order], True)
    np.testing.assert_allclose(shuffled, proba[order], atol=1e-5)
    np.testing.assert_array_equal(found, exits[order])
    alone = np.concatenate([clf.predict_proba([text]) for text in X_NEW])
    np.testing.assert_allclose(alone, proba, atol=1e-5)
    same_answers(toy_classifier(cls).fit(X, Y), clf, atol=1e-5)


@pytest.mark.parametrize("cls", OURS)
@pytest.mark.parametrize("kind", KINDS)
def test_pickled_baseline_answers_the_same(cls: Any, kind: Any, tmp_path: Path) -> None:
    clf = toy_classifier(cls, kind).fit(X, Y)
    joblib.dump(clf, tmp_path / "clf")
    same_answers(joblib.load(tmp_path / "clf"), clf)
    mapped = joblib.load(tmp_path / "clf", mmap_mode="r")
    same_answers(mapped, clf)
    assert (tmp_path / "clf").stat().st_size < 200_000  # no backbone in it


@pytest.mark.parametrize("cls", OURS)
def test_clone_has_the_parameters_and_nothing_else(cls: Any) -> None:
    clf = toy_classifier(cls, max_length=20, random_state=3).fit(X, Y)
    twin = clone(clf)
    assert twin.get_params() == clf.get_params()
    with pytest.raises(NotFittedError):
        twin.predict(X_NEW)
    same_answers(twin.fit(X, Y), clf)


@pytest.mark.parametrize("cls", OURS)
def test_fit_leaves_parameters_and_predict_leaves_all_as_it_was(cls: Any) -> None:
    clf = toy_classifier(cls)
    parameters = dict(vars(clf))
    clf.fit(X, Y)
    added = set(vars(clf)) - set(parameters)
    assert all(name.startswith("_") or name.endswith("_") for name in added)
    assert all(vars(clf)[name] is value for name, value in parameters.items())
    before = dict(vars(clf))
    for method in METHODS:
        getattr(clf, method)(X_NEW)
    assert vars(clf).keys() == before.keys()
    assert all(vars(clf)[name] is value for name, value in before.items())


@pytest.mark.parametrize("cls", OURS)
def test_cross_validation_and_searches_run(cls: Any) -> None:
    scores = cross_val_score(toy_classifier(cls), X, Y, cv=3)
    assert scores.mean() > 0.6
    search = GridSearchCV(toy_classifier(cls), {"max_length": [20, 32]}, cv=2)
    assert search.fit(X, Y).best_estimator_.predict(X_NEW).shape == (20,)


@pytest.mark.parametrize("cls", OURS)
def test_tags_say_one_dimension_of_strings(cls: Any) -> None:
    tags = get_tags(toy_classifier(cls))
    assert tags.estimator_type == "classifier"
    assert tags.input_tags.string
    assert tags.input_tags.one_d_array
    assert not tags.input_tags.two_d_array


@pytest.mark.parametrize("cls", OURS)
def test_no_text_is_no_answer(cls: Any) -> None:
    clf = toy_classifier(cls).fit(X, Y)
    assert clf.predict([]).shape == clf.exit_layers([]).shape == (0,)
    assert clf.predict_proba([]).shape == (0, 2)


@pytest.mark.parametrize("cls", OURS)
@pytest.mark.parametrize("label", ["positive", 3])
def test_one_class_is_always_the_answer(cls: Any, label: Any) -> None:
    words = {} if cls is DeeBERTClassifier else {"label_words": ["great"]}
    clf = toy_classifier(cls, **words)
    with pytest.warns(InputWarning, match=f"one class only, {label!r}") as caught:
        clf.fit(X, [label] * len(X))
    assert [one.filename for one in caught] == [__file__]
    assert clf.predict(X_NEW).tolist() == [label] * 20
    assert clf.predict_proba(X_NEW).tolist() == [[1.0]] * 20


@pytest.mark.parametrize("cls", OURS)
def test_several_columns_fill_several_fields(cls: Any) -> None:
    table = pd.DataFrame({"text": X, "thing": ["film"] * len(X)})
    template = "the {thing} : {text}"
    if cls is not DeeBERTClassifier:
        template += " it was {mask}."
    # HashEE counts the tokens of fields, not those of the template.
    settings = {"n_buckets": 1} if cls is HashEEClassifier else {}
    clf = toy_classifier(cls, template=template, **settings).fit(table, Y)
    plain = template.replace("{thing}", "film")
    same = toy_classifier(cls, template=plain, **settings).fit(X, Y)
    np.testing.assert_array_equal(clf.predict(table), same.predict(X))


def test_long_texts_are_cut_with_a_warning() -> None:
    clf = toy_classifier(DeeBERTClassifier, max_length=6)
    long = ["a film " * 9, *X[1:]]
    with pytest.warns(TruncationWarning, match="6 tokens"):
        clf.fit(long, Y)
    with pytest.warns(TruncationWarning, match="6 tokens"):
        clf.fit(long, Y)  # known from the memory now
    with pytest.warns(TruncationWarning, match="6 tokens"):
        clf.predict(long)


@pytest.mark.parametrize("cls", OURS)
def test_progress_is_shown_where_asked_for(
    cls: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    clf = toy_classifier(cls, verbose=1).fit(X, Y)
    clf.predict(X_NEW + X_NEW)
    shown = capsys.readouterr().err
    assert "predict: 100%" in shown
    assert "40/40" in shown
