"""A fitted estimator in a notebook: shown and completed without loading a model."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_html_repr

from skraee import Backbone, Encoder, RAEEClassifier, clear_backbones, toy, versions
from skraee.backbone.registry import loaded_models
from tests.support.checkpoints import saved_toy
from tests.support.classifiers import raee

X, Y = toy.reviews(60)


def completed(clf: Any) -> list[Any]:
    """Do what Tab does in IPython: look at every attribute."""
    return [getattr(clf, name, None) for name in dir(clf)]


SHOWN: dict[str, Callable[[Any], Any]] = {
    "repr": repr,
    "html": estimator_html_repr,
    "html in a pipeline": lambda clf: estimator_html_repr(make_pipeline(clf)),
    "mimebundle": lambda clf: clf._repr_mimebundle_(),
    "tab": completed,
}


@pytest.fixture(params=["toy", "folder"])
def clf(request: Any, tmp_path: Path) -> RAEEClassifier:
    backbone = toy.backbone()
    if request.param == "folder":
        backbone = Backbone(saved_toy(tmp_path / "model"))
    return raee(backbone=backbone).fit(X, Y)


@pytest.mark.parametrize("shown", SHOWN)
@pytest.mark.parametrize("pickled", [False, True])
def test_display_of_a_fitted_estimator_loads_no_model(
    shown: str, pickled: bool, clf: RAEEClassifier
) -> None:
    clear_backbones()
    if pickled:
        clf = pickle.loads(pickle.dumps(clf))
    assert SHOWN[shown](clf)
    assert len(loaded_models) == 0
    clf.predict(["a lovely film"])
    assert len(loaded_models) == 1


@pytest.mark.parametrize("shown", SHOWN)
def test_display_of_an_unfitted_estimator_looks_for_no_model(
    shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaded_models, "get", None)
    there = Backbone("nobody/nothing@nowhere")
    clf = RAEEClassifier(there, "{text} it", encoder=Encoder("nobody/nothing"))
    assert SHOWN[shown](clf)
    assert SHOWN[shown](clone(clf).set_params(backbone="nobody/nothing"))


def test_display_names_what_was_set(clf: RAEEClassifier) -> None:
    assert repr(clf).startswith("RAEEClassifier(backbone=")
    assert "label_words" in repr(clf)
    assert "label_words" in estimator_html_repr(clf)


def test_display_takes_milliseconds_whatever_the_number_of_texts(
    record_property: Callable[[str, object], None],
) -> None:
    clf = raee().fit(*toy.reviews(2000))
    fastest = {
        name: min(seconds_of(show, clf) for _ in range(3))
        for name, show in SHOWN.items()
    }
    told = (f"{name} {1000 * found:.1f} ms" for name, found in fastest.items())
    record_property("counted", f"display of a fitted estimator: {', '.join(told)}")
    assert max(fastest.values()) < 1  # the aim is 50 ms, but machines can be busy


def seconds_of(show: Callable[[Any], Any], clf: RAEEClassifier) -> float:
    start = time.perf_counter()
    show(clf)
    return time.perf_counter() - start


def test_doc_link_is_left_out_while_the_docs_have_no_address(
    clf: RAEEClassifier,
) -> None:
    assert versions.DOCS == ""
    assert clf._get_doc_link() == ""
    assert "href=" not in estimator_html_repr(clf)


def test_doc_link_leads_to_the_class_in_our_reference(
    clf: RAEEClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = "https://docs.example/api.html#skraee.{estimator_name}"
    monkeypatch.setattr(RAEEClassifier, "_doc_link_template", template)
    link = "https://docs.example/api.html#skraee.RAEEClassifier"
    assert clf._get_doc_link() == link
    assert f'href="{link}"' in estimator_html_repr(clf)
