"""Callbacks of scikit-learn: told of a fit down to the batches of its sweep."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skraee import toy
from skraee.engine import engine
from skraee.engine.engine import Engine
from tests.support.classifiers import raee

callback = pytest.importorskip("sklearn.callback", reason="needs scikit-learn 1.9")

X, Y = toy.reviews(60)
X_NEW, _ = toy.reviews(20, seed=1)


class Noting:
    """Notes the hooks that are called, and where in the tree of tasks."""

    max_propagation_depth = None  # down to any depth

    def __init__(self) -> None:
        self.notes: list[tuple[str, tuple[str, ...]]] = []
        self.seen: list[Any] = []

    def setup(self, estimator: Any, context: Any) -> None:
        self._note("setup", context)

    def on_fit_task_begin(
        self, estimator: Any, context: Any, *, X: Any = None, y: Any = None
    ) -> None:
        self._note("begin", context)
        self.seen.append((X, y))

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, fitted_estimator: Any = None
    ) -> bool:
        self._note("end", context)
        if fitted_estimator is not None:
            self.seen.append(fitted_estimator.predict(X_NEW))
        return True  # the wish to stop, which is not heard

    def teardown(self, estimator: Any, context: Any) -> None:
        self._note("teardown", context)

    def _note(self, hook: str, context: Any) -> None:
        path = []
        while context is not None:
            path.append(f"{context.estimator_name}: {context.task_name}")
            context = context.parent
        self.notes.append((hook, tuple(path[::-1])))


FIT = ("RAEEClassifier: fit",)
STEP = (*FIT, "RAEEClassifier: sweep")


def test_callbacks_see_the_fit_as_one_task_of_equal_steps() -> None:
    noting = Noting()
    clf = raee().set_callbacks(noting)
    assert clf.fit(X, Y) is clf
    hooks = ["setup", "begin", *["begin", "end"] * 60, "end", "teardown"]
    assert [hook for hook, _ in noting.notes] == hooks
    paths = [FIT, FIT, *[STEP] * 120, FIT, FIT]
    assert [path for _, path in noting.notes] == paths
    assert noting.seen[0][0] is X
    assert noting.seen[0][1] is Y
    assert noting.seen[-1].tolist() == clf.predict(X_NEW).tolist()


def test_callbacks_see_a_hundred_steps_of_more_texts() -> None:
    noting = Noting()
    texts = [f"{text} {i}" for i, text in enumerate(toy.reviews(250)[0])]
    raee().set_callbacks(noting).fit(texts, toy.reviews(250)[1])
    assert noting.notes.count(("end", STEP)) == 100


def test_callbacks_hear_of_each_batch_when_it_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches: list[int] = []
    heard: list[int] = []  # at each hook, in how many batches
    forward_pass = engine.forward_pass

    def counted(backbone: Any, batch: Any, *more: Any) -> None:
        batches.append(len(batch.numbers))
        forward_pass(backbone, batch, *more)

    monkeypatch.setattr(engine, "forward_pass", counted)
    noting = Noting()
    monkeypatch.setattr(noting, "_note", lambda *_: heard.append(len(batches)))
    texts = [f"{text} {i}" for i, text in enumerate(X)]
    raee(batch_tokens=100).set_callbacks(noting).fit(texts, Y)
    steps_of_batch = list(Counter(heard[3:123:2]).values())
    assert len(steps_of_batch) > 5
    assert steps_of_batch == batches[: len(steps_of_batch)]


def test_callbacks_see_known_texts_as_done() -> None:
    noting = Noting()
    clf = raee(memory="process").fit(X, Y)
    clf.set_callbacks(noting).fit(X, Y)
    assert noting.notes.count(("end", STEP)) == 60


def test_callbacks_are_told_of_partial_fit_too() -> None:
    noting = Noting()
    clf = raee().set_callbacks(noting)
    clf.partial_fit(X[:40], Y[:40], classes=["negative", "positive"])
    clf.partial_fit(X[40:], Y[40:])
    assert noting.notes.count(("end", STEP)) == 60
    assert noting.notes.count(("teardown", FIT)) == 2


def test_callbacks_of_a_search_reach_the_sweep_of_every_fit() -> None:
    noting = Noting()
    search = GridSearchCV(raee(), {"k": [2, 5, 9]}, cv=2)
    search.set_callbacks(noting).fit(X, Y)
    steps = [path for hook, path in noting.notes if hook == "end" and path[-2:] == STEP]
    assert len(steps) == 3 * 2 * 30 + 60
    assert {path[0] for path in steps} == {"GridSearchCV: fit"}
    assert {len(path) for path in steps} == {3, 4}  # the refit is one level higher
    assert [hook for hook, _ in noting.notes].count("setup") == 1
    assert not hasattr(search.best_estimator_, "_skl_callbacks")


def test_callbacks_of_a_search_reach_through_a_pipeline() -> None:
    noting = Noting()
    pipeline = make_pipeline(FunctionTransformer(), raee())
    search = GridSearchCV(pipeline, {"raeeclassifier__k": [2, 5]}, cv=2, refit=False)
    with pytest.warns(UserWarning, match="FunctionTransformer does not support"):
        search.set_callbacks(noting).fit(X, Y)
    assert sum(path[-1:] == STEP[-1:] for _, path in noting.notes) == 2 * 4 * 30


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_progress_bars_of_a_search_are_nested_and_end_full(
    n_jobs: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rich", reason="scikit-learn's ProgressBar needs rich")
    search = GridSearchCV(raee(), {"k": [2, 5]}, cv=2, n_jobs=n_jobs)
    search.set_callbacks(callback.ProgressBar()).fit(X, Y)
    shown = capsys.readouterr().out
    assert len(re.findall(r"RAEEClassifier - fit.* 100%", shown)) >= 5
    assert re.search(r"GridSearchCV - fit.* 100%", shown)


def test_callbacks_are_taken_down_when_the_sweep_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noting = Noting()
    clf = raee().set_callbacks(noting)
    before = set(vars(clf))

    def failing(*_: Any, **__: Any) -> None:
        raise RuntimeError("the model broke")

    monkeypatch.setattr(Engine, "sweep", failing)
    with pytest.raises(RuntimeError, match="the model broke"):
        clf.fit(X, Y)
    assert [hook for hook, _ in noting.notes] == ["setup", "begin", "teardown"]
    assert set(vars(clf)) == before


def test_fit_without_callbacks_writes_nothing_to_the_estimator_on_its_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clf = raee()
    during: list[set[str]] = []
    sweep = Engine.sweep

    def watched(*args: Any, **kwargs: Any) -> Any:
        during.append(set(vars(clf)))
        return sweep(*args, **kwargs)

    monkeypatch.setattr(Engine, "sweep", watched)
    before = set(vars(clf))
    clf.fit(X, Y)
    assert during == [before]


def test_callbacks_change_no_answer() -> None:
    plain, told = raee().fit(X, Y), raee().set_callbacks(Noting())
    assert told.fit(X, Y).predict(X_NEW).tolist() == plain.predict(X_NEW).tolist()
    assert set(vars(told)) - set(vars(plain)) == {"_skl_callbacks"}
