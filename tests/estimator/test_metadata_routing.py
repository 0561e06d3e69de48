"""Metadata routing of scikit-learn: what is routed works, what is not is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sklearn import config_context
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skraee import toy
from tests.support.classifiers import BOTH, make_classifier

X, Y = toy.reviews(60)
WEIGHTS = np.linspace(0.1, 2, 60)


@pytest.fixture(autouse=True)
def routing() -> Iterator[None]:
    with config_context(enable_metadata_routing=True):
        yield


@pytest.mark.parametrize("cls", BOTH)
def test_pipelines_and_searches_work_where_nothing_is_routed(cls: Any) -> None:
    pipe = make_pipeline(FunctionTransformer(), make_classifier(cls))
    assert pipe.fit(X, Y).score(X, Y) > 0.7
    search = GridSearchCV(make_classifier(cls), {"min_exit": [0, 1]}, cv=2).fit(X, Y)
    assert search.best_score_ > 0.7


@pytest.mark.parametrize("cls", BOTH)
def test_weights_are_routed_to_score_where_it_asks_for_them(cls: Any) -> None:
    asking = make_classifier(cls).set_score_request(sample_weight=True)
    folds = [(np.arange(30), np.arange(30, 60))]
    found = cross_validate(asking, X, Y, params={"sample_weight": WEIGHTS}, cv=folds)
    alone = make_classifier(cls).fit(X[:30], Y[:30])
    expected = alone.score(X[30:], Y[30:], sample_weight=WEIGHTS[30:])
    assert found["test_score"].tolist() == [expected]


@pytest.mark.parametrize("cls", BOTH)
def test_weights_that_nobody_asked_for_are_refused(cls: Any) -> None:
    search = GridSearchCV(make_classifier(cls), {"min_exit": [0]}, cv=2)
    with pytest.raises(
        UnsetMetadataPassedError, match=r"sample_weight.* passed but are"
    ):
        search.fit(X, Y, sample_weight=WEIGHTS)


@pytest.mark.parametrize("cls", BOTH)
def test_fit_takes_no_weights_and_cannot_ask_for_them(cls: Any) -> None:
    clf = make_classifier(cls)
    assert not hasattr(clf, "set_fit_request")
    with pytest.raises(TypeError, match="sample_weight"):
        clf.fit(X, Y, sample_weight=WEIGHTS)
    pipe = make_pipeline(FunctionTransformer(), clf)
    with pytest.raises(TypeError, match="which are not routed to any object"):
        pipe.fit(X, Y, sample_weight=WEIGHTS)


@pytest.mark.parametrize("cls", BOTH)
def test_exits_are_asked_for_through_a_pipeline(cls: Any) -> None:
    clf = make_classifier(cls).set_predict_request(return_exit_layers=True)
    pipe = make_pipeline(FunctionTransformer(), clf).fit(X, Y)
    labels, exits = pipe.predict(X[:3], return_exit_layers=True)
    assert labels.tolist() == clf.fit(X, Y).predict(X[:3]).tolist()
    assert exits.shape == (3,)
