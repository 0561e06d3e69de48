"""Both classifiers with the closed-form readout, and budgets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import GridSearchCV, cross_val_score

from skraee import (
    Backbone,
    EarlyExitClassifier,
    LayerSweep,
    RAEEClassifier,
    RAEEClassifierCV,
    clear_sweeps,
    toy,
)
from skraee.exceptions import UndecidedWarning
from skraee.exits.gains import best_for_price
from skraee.exits.policies import first_confident
from tests.support.checkpoints import headless, saved
from tests.support.classifiers import early_exit, make_classifier, raee
from tests.support.models import toy_objects

# Texts with a wrong label are often read wrongly at all depths.
pytestmark = pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning")

KINDS = list(toy.TEMPLATES)
EXITS = ["retrieval", "confidence"]
READOUTS = ["lm_head", "ridge"]
WAYS = [
    {"readout": "lm_head"},
    {"readout": "ridge"},
    {"exit_by": "confidence"},
]


def noisy(n: int, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Make reviews of which a quarter has the wrong label, so that exits differ."""
    texts, labels = toy.reviews(n, seed)
    wrong = np.random.default_rng(seed).random(n) < 0.25
    flipped = np.where(labels == "positive", "negative", "positive")
    return texts, np.where(wrong, flipped, labels)


X, Y = noisy(90)
X_NEW, Y_NEW = noisy(50, seed=1)
CLASSES = ["negative", "positive"]


def classifier(
    kind: Any = "masked",
    cls: Any = RAEEClassifier,
    exit_by: str = "retrieval",
    **params: Any,
) -> Any:
    stops = {} if params.get("budget") else {"threshold": 0.7}
    if exit_by == "confidence":
        params.pop("label_words", None)
        return early_exit(kind, **{**stops, **params})
    defaults: dict[str, Any] = {"readout": "ridge", "index": "exact", "memory": None}
    if cls is RAEEClassifier:
        defaults |= {"k": 7} | ({"tau": 0.7} if stops else {})
    return make_classifier(cls, kind, **{**defaults, **params})


def same_answers(found: Any, expected: Any, texts: Any = X_NEW, **close: Any) -> None:
    proba, exits = found.predict_proba(texts, return_exit_layers=True)
    wanted, at = expected.predict_proba(texts, return_exit_layers=True)
    np.testing.assert_array_equal(exits, at)
    np.testing.assert_allclose(proba, wanted, **{"rtol": 0, "atol": 1e-6, **close})


# Predictions


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("budget", [None, 0.4])
def test_predict_proba_is_the_exits_row_of_layer_proba(
    kind: str, way: Any, budget: float | None
) -> None:
    clf = classifier(kind, budget=budget, **way).fit(X, Y)
    proba, exits = clf.predict_proba(X_NEW, return_exit_layers=True)
    depths = clf.layer_proba(X_NEW)
    np.testing.assert_allclose(depths.sum(axis=2), 1, atol=1e-5)
    np.testing.assert_allclose(proba, depths[np.arange(50), exits], atol=1e-5)
    np.testing.assert_array_equal(clf.exit_layers(X_NEW), exits)
    np.testing.assert_array_equal(
        clf.classes_[proba.argmax(axis=1)], clf.predict(X_NEW)
    )
    if isinstance(clf, EarlyExitClassifier):
        threshold = clf.threshold if budget is None else clf.threshold_
        expected = first_confident(depths.max(axis=2), threshold, 0)
        np.testing.assert_array_equal(exits, expected)


@pytest.mark.parametrize("encoder", [2, "callable", CountVectorizer(max_features=9)])
def test_every_encoder_works_with_ridge(encoder: Any) -> None:
    if encoder == "callable":
        encoder = lengths
    elif isinstance(encoder, CountVectorizer):
        encoder = DenseCounts(max_features=9)
    clf = classifier(encoder=encoder).fit(X, Y)
    proba, exits = clf.predict_proba(X_NEW, return_exit_layers=True)
    rows = clf.layer_proba(X_NEW)[np.arange(50), exits]
    np.testing.assert_allclose(proba, rows, atol=1e-5)
    assert len(set(exits.tolist())) > 1


def lengths(texts: list[str]) -> np.ndarray:
    return np.array([[len(text), text.count(" ")] for text in texts], dtype=float)


class DenseCounts(CountVectorizer):
    def transform(self, raw_documents: Any) -> Any:
        return super().transform(raw_documents).toarray()

    def fit_transform(self, raw_documents: Any, y: Any = None) -> Any:
        return super().fit_transform(raw_documents, y).toarray()


def test_exits_by_confidence_make_no_keys(rows: Counter[str]) -> None:
    clf = early_exit(threshold=0.7).fit(X, Y)
    clf.predict(X_NEW)
    assert clf.sweep(X_NEW).keys.shape == (50, 0)
    assert set(rows) == {"sweep", "run"}


@pytest.mark.parametrize("kind", KINDS)
def test_ridge_reads_the_toy_texts_at_every_depth(kind: Any) -> None:
    texts, labels = toy.reviews(90)
    new, right = toy.reviews(60, seed=1)
    clf = classifier(kind, label_words=None).fit(texts, labels)
    assert clf.score(new, right) > 0.9
    assert clf.layer_scores_.min() > 0.9
    assert clf.layer_scores_.shape == clf.cost_.shape == (clf.n_layers_ + 1,)


def test_scores_of_the_depths_are_of_texts_left_out() -> None:
    labels = np.random.default_rng(0).permutation(Y)  # nothing to learn
    clf = classifier("seq2seq").fit(X, labels)
    codes = (labels == "positive").astype(int)[:, None]
    by_fit = (clf.layer_proba(X).argmax(axis=2) == codes).mean(axis=0)
    assert clf.layer_scores_.max() < 0.7
    assert by_fit.max() > clf.layer_scores_.max() + 0.05
    stored = clf._fitted.database.proba.argmax(axis=2) == codes
    np.testing.assert_allclose(stored.mean(axis=0), clf.layer_scores_)


@pytest.mark.parametrize("labels", [np.arange(90) % 3, np.arange(90) % 3 == 1])
@pytest.mark.parametrize("exit_by", EXITS)
def test_ridge_needs_no_label_words(labels: np.ndarray, exit_by: Any) -> None:
    clf = classifier(label_words=None, exit_by=exit_by).fit(X, labels)
    assert clf.predict(X_NEW).dtype == labels.dtype
    assert clf.predict_proba(X_NEW).shape == (50, len(np.unique(labels)))


def test_label_words_need_not_fit_a_mask_or_head_they_are_read_without() -> None:
    clf = classifier(template="{text} it was", label_words=None).fit(X, Y)
    assert clf._fitted.ridge.coef.shape[1:3] == (2, 32)  # text, words around it
    assert set(clf.predict(X_NEW)) == set(CLASSES)


@pytest.mark.parametrize("exit_by", EXITS)
def test_predict_is_the_same_shuffled_one_by_one_and_in_parts(
    exit_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clf = classifier("causal", exit_by=exit_by).fit(X, Y)
    together, exits = clf.predict_proba(X_NEW, return_exit_layers=True)
    order = np.random.default_rng(0).permutation(50)
    shuffled = clf.predict_proba([X_NEW[i] for i in order])
    np.testing.assert_allclose(shuffled, together[order], atol=1e-5)
    alone = [clf.predict_proba([text], True) for text in X_NEW[:12]]
    np.testing.assert_allclose([p[0] for p, _ in alone], together[:12], atol=1e-5)
    assert [int(e[0]) for _, e in alone] == exits[:12].tolist()
    labels = clf.predict(X_NEW)
    chunks = np.concatenate([*clf.predict_iter(iter(X_NEW), chunk_size=7)])
    np.testing.assert_array_equal(chunks, labels)
    monkeypatch.setattr("skraee.sweep.chunks.CHUNK_SIZE", 7)
    np.testing.assert_allclose(clf.predict_proba(X_NEW), together, atol=1e-5)
    again = classifier("causal", exit_by=exit_by).fit(X, Y)
    same_answers(again, clf, atol=1e-5)


@pytest.mark.parametrize("exit_by", EXITS)
def test_no_text_is_no_answer(exit_by: str) -> None:
    clf = classifier(exit_by=exit_by).fit(X, Y)
    assert clf.predict([]).shape == (0,)
    assert clf.predict_proba([]).shape == (0, 2)
    assert clf.exit_layers([]).shape == (0,)
    assert clf.layer_proba([]).shape == (0, 5, 2)


@pytest.mark.parametrize("exit_by", EXITS)
def test_predict_before_fit_is_the_error_of_scikit_learn(exit_by: str) -> None:
    with pytest.raises(NotFittedError):
        classifier(exit_by=exit_by).predict(X_NEW)


def test_min_exit_binds_confidence_too() -> None:
    clf = classifier(exit_by="confidence", threshold=0.0, min_exit=2).fit(X, Y)
    assert set(clf.exit_layers(X_NEW)) == {2}
    assert set(clf.set_params(threshold=1.0).exit_layers(X_NEW)) == {4}


def test_threshold_moves_the_exits_after_fit() -> None:
    clf = classifier(exit_by="confidence").fit(X, Y)
    means = [
        clf.set_params(threshold=value).exit_layers(X_NEW).mean()
        for value in (0, 0.7, 0.9, 1)
    ]
    assert means == sorted(means)
    assert means[0] == 0.0
    assert means[-1] == 4.0


def test_undecided_texts_are_told_of_with_ridge() -> None:
    clf = classifier(tau=1.0, below_tau="skip").fit(X, Y)
    with pytest.warns(UndecidedWarning, match="50 text"):
        assert set(clf.predict(X_NEW, return_exit_layers=True)[1]) == {4}


@pytest.mark.parametrize("exit_by", EXITS)
def test_timings_say_where_the_time_went(exit_by: str) -> None:
    timings = classifier(exit_by=exit_by).fit(X, Y).timings(X_NEW)
    assert timings.n_texts == 50
    spent = str(timings)
    assert "layers" in spent
    assert "head" in spent


def test_more_classes_than_a_batch_and_few_texts_of_each(tmp_path: Path) -> None:
    saved(tmp_path)
    names = [f"w{3 + i} w{20 + i}" for i in range(40)]
    codes = np.tile(np.arange(40), 4)
    rng = np.random.default_rng(0)
    texts = [f"{names[c]} w{rng.integers(3, 60)}" for c in codes]
    clf = classifier(
        backbone=str(tmp_path),
        template="{text} {mask}",
        label_words=None,
        exit_by="confidence",
        dtype="float32",
    ).fit(texts, codes)
    assert clf.layer_scores_[0] > 0.5
    assert clf.predict_proba(texts[:3]).shape == (3, 40)


def test_eight_texts_of_each_class_do(rows: Counter[str]) -> None:
    texts, labels = toy.reviews(16)
    new, right = toy.reviews(40, seed=3)
    for exit_by in EXITS:
        clf = classifier(exit_by=exit_by).fit(texts, labels)
        assert clf.score(new, right) > 0.75


@pytest.mark.filterwarnings("ignore:y holds one class only")
def test_one_text_is_a_clear_error() -> None:
    with pytest.raises(ValueError, match="got n_samples=1; give more texts"):
        classifier().fit(X[:1], Y[:1])


@pytest.mark.filterwarnings("ignore:y holds one class only")
def test_one_class_alone_is_answered() -> None:
    for exit_by in EXITS:
        clf = classifier(exit_by=exit_by, label_words=None).fit(X[:9], ["same"] * 9)
        assert set(clf.predict(X_NEW)) == {"same"}
        assert set(clf.exit_layers(X_NEW)) == {0}


def test_a_heavier_class_is_found_more_often() -> None:
    recall = []
    for weight in (0.2, 1, 5):
        clf = classifier(class_weight={"positive": weight}, exit_by="confidence")
        answers = clf.fit(X, Y).predict(X_NEW)
        recall.append((answers[Y_NEW == "positive"] == "positive").mean())
    assert recall[0] < recall[1] < recall[2]


def test_balanced_classes_are_weighed_alike() -> None:
    keep = np.flatnonzero(Y == "negative").tolist()
    keep += np.flatnonzero(Y == "positive")[:8].tolist()
    texts, labels = [X[i] for i in keep], Y[keep]
    recall = {}
    for how in (None, "balanced"):
        clf = classifier(class_weight=how, exit_by="confidence").fit(texts, labels)
        recall[how] = (clf.predict(X_NEW)[Y_NEW == "positive"] == "positive").mean()
    assert recall["balanced"] > recall[None] + 0.2


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        (
            {"exit_by": "confidence", "threshold": 1.5},
            ValueError,
            "threshold must lie between 0 and 1, got 1.5",
        ),
        ({"readout": "rigde"}, ValueError, "readout must be one of 'lm_head', 'ridge'"),
        ({"budget": 0}, ValueError, "budget must be above 0, got 0; None sets no"),
        ({"budget": 1.5}, ValueError, "budget must lie between 0 and 1, got 1.5"),
        ({"budget": "half"}, TypeError, "budget must be a number, got 'half'"),
    ],
)
def test_a_wrong_parameter_is_one_clear_error_before_the_sweep(
    params: Any, error: type[Exception], message: str, rows: Counter[str]
) -> None:
    with pytest.raises(error, match=message):
        classifier(**params).fit(X, Y)
    assert not rows


# What there is without neighbours


@pytest.mark.parametrize("name", ["kneighbors", "exit_distribution"])
def test_methods_about_neighbours_are_not_there_with_confidence(name: str) -> None:
    assert not hasattr(early_exit(), name)
    assert hasattr(raee(), name)


def test_methods_about_neighbours_work_with_ridge_and_a_budget() -> None:
    for budget in (None, 0.5):
        clf = classifier(budget=budget).fit(X, Y)
        distances, near = clf.kneighbors(X_NEW, 3)
        assert distances.shape == near.shape == (50, 3)
        spread = clf.exit_distribution(X_NEW)
        np.testing.assert_allclose(spread.sum(axis=1), 1, atol=1e-6)
        report = str(clf.explain(X_NEW[0], texts=X))
        assert X[near[0, 0]] in report
        assert X_NEW[0] in report


@pytest.mark.parametrize(
    ("exit_by", "change"),
    [
        ("retrieval", {"readout": "lm_head"}),
        ("retrieval", {"budget": 0.3}),
        ("confidence", {"budget": 0.3}),
    ],
)
@pytest.mark.filterwarnings("ignore:threshold=0.7 is not used:UserWarning")
def test_what_fit_has_settled_cannot_be_set_afterwards(
    change: dict[str, Any], exit_by: str
) -> None:
    params = {"tau": 0.9} if exit_by == "retrieval" else {}
    clf = classifier(exit_by=exit_by, **params).fit(X, Y)
    (name,) = change
    message = f"{name} was .* at fit and is {change[name]!r} now.*call fit again"
    for method in ("predict", "exit_layers", "layer_proba", "timings"):
        with pytest.raises(ValueError, match=message):
            getattr(clone_fitted(clf).set_params(**change), method)(X_NEW)
    assert clf.set_params(**change).fit(X, Y).predict(X_NEW).shape == (50,)


def clone_fitted(clf: Any) -> Any:
    twin = clone(clf)
    twin.__dict__.update(vars(clf))
    return twin


# Budgets


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_budgets_hold_for_texts_that_fit_has_not_seen(kind: str, way: Any) -> None:
    texts, labels = noisy(400, seed=5)
    new, _ = noisy(400, seed=6)
    clf = classifier(kind, budget=0.2, memory="process", **way)
    by_neighbors = isinstance(clf, RAEEClassifier)
    for budget in (0.2, 0.5):
        clf.set_params(budget=budget).fit(texts, labels)
        assert clf.cost_[clf.exit_layers(new)].mean() <= 1.1 * budget
        found = {"lambda_", "threshold_"} & vars(clf).keys()
        assert found == {"lambda_" if by_neighbors else "threshold_"}
    clf.set_params(budget=None).fit(texts, labels)
    assert not {"lambda_", "threshold_"} & vars(clf).keys()


def test_a_budget_counts_the_layers_that_the_key_takes() -> None:
    clf = classifier(encoder=2, budget=0.6).fit(X, Y)
    evidence = np.maximum(clf.cost_, clf.cost_[2])
    exits = clf.exit_layers(X_NEW)
    assert evidence[exits].mean() <= 1.1 * 0.6
    gains = clf._policy(clf._fitted).choice(clf.sweep(X_NEW).keys)
    expected = best_for_price(gains.scores, evidence, clf.lambda_, 0)
    np.testing.assert_array_equal(exits, expected)
    message = r"budget=0.4 is less than the earliest exits cost, 0.5 of a full pass"
    with pytest.raises(ValueError, match=message):
        classifier(encoder=2, budget=0.4).fit(X, Y)


@pytest.mark.parametrize("exit_by", EXITS)
def test_a_budget_that_cannot_be_kept_leaves_the_estimator_as_it_was(
    exit_by: str,
) -> None:
    clf = classifier(exit_by=exit_by).fit(X, Y)
    unset = {"tau": 0.9} if exit_by == "retrieval" else {"threshold": None}
    fitted = {k: v for k, v in vars(clf).items() if k.endswith("_") or k == "_fitted"}
    before = joblib.hash(fitted)
    with pytest.raises(ValueError, match=r"budget=0.1 is less .* raise budget, or low"):
        clf.set_params(**unset, budget=0.1, min_exit=2).fit(X, Y)
    after = {k: v for k, v in vars(clf).items() if k.endswith("_") or k == "_fitted"}
    assert joblib.hash(after) == before


def test_costs_are_those_of_the_backbone_and_not_of_equal_layers() -> None:
    clf = classifier("seq2seq", exit_by="confidence", budget=0.5).fit(X, Y)
    assert clf.cost_[4] > 0.6  # of 4 encoder and 4 decoder layers
    assert classifier().fit(X, Y).cost_ == pytest.approx(np.arange(5) / 4)


@pytest.mark.parametrize(
    "params", [{"tau": 0.5}, {"below_tau": "skip"}, {"tau": np.float32(0.25)}]
)
@pytest.mark.parametrize("readout", READOUTS)
def test_settings_that_a_budget_makes_useless_are_warned_of_at_fit(
    params: dict[str, Any], readout: str
) -> None:
    clf = classifier(readout=readout, budget=0.5, **params)
    with pytest.warns(UserWarning, match=f"{next(iter(params))}=.* is not used"):
        clf.fit(X, Y)
    clf.predict(X_NEW)  # warns no more
    classifier(readout=readout, budget=0.5, tau=0.9).fit(X, Y)


def test_a_threshold_that_a_budget_makes_useless_is_warned_of_at_fit() -> None:
    clf = early_exit(budget=0.5, threshold=0.8)
    with pytest.warns(UserWarning, match=r"threshold=0.8 is not used") as caught:
        clf.fit(X, Y)
    assert caught[0].filename == __file__
    clf.predict(X_NEW)  # warns no more


# The search over them


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("budgets", [None, (0.2, 0.5, 0.9)])
def test_cv_chooses_by_leave_one_out_on_one_sweep(
    readout: str, budgets: Any, rows: Counter[str]
) -> None:
    settings = {"readout": readout}
    clf = classifier(cls=RAEEClassifierCV, ks=(3, 9), budgets=budgets, **settings)
    clf.fit(X, Y)
    assert rows["sweep"] == len(set(X))
    named = {"k", "tau" if budgets is None else "budget"}
    assert set(clf.best_params_) == named
    results = clf.cv_results_
    n = 2 * (5 if budgets is None else 3)
    assert set(results) == {
        *("params", "mean_test_score", "rank_test_score", "mean_exit_layer"),
        *(f"param_{name}" for name in named),
    }
    assert all(len(column) == n for column in results.values())
    assert clf.best_score_ == results["mean_test_score"].max()
    for name, value in clf.best_params_.items():
        assert getattr(clf, f"{name}_") == value
    one = classifier(**{"tau": 0.9, **settings, **clf.best_params_}).fit(X, Y)
    same_answers(one, clf)
    assert one._fitted.setting["readout"] == readout


def test_cv_of_equal_budgets_takes_the_cheapest() -> None:
    texts, labels = toy.reviews(90)
    clf = classifier(cls=RAEEClassifierCV, budgets=(0.9, 0.3, 0.6), ks=(5,))
    clf.fit(texts, labels)
    best = clf.cv_results_["rank_test_score"] == 1
    assert best.sum() > 1  # the first depth answers all of them
    means = clf.cv_results_["mean_exit_layer"][best]
    cheapest = clf.cv_results_["param_budget"].data[best][means == means.min()]
    assert clf.budget_ == cheapest.min()


def test_cv_budget_that_cannot_be_kept_is_a_clear_error() -> None:
    clf = classifier(cls=RAEEClassifierCV, budgets=(0.1, 0.5), min_exit=2)
    with pytest.raises(ValueError, match=r"budget=0.1 is less than the earliest exits"):
        clf.fit(X, Y)


def test_grids_over_readouts_and_exits_pass_each_text_once_for_each_readout(
    rows: Counter[str],
) -> None:
    clear_sweeps()
    grid = {"budget": [None, 0.3, 0.6], "class_weight": [None, "balanced"]}
    by_neighbors = classifier(tau=0.9, memory="process")
    search = GridSearchCV(by_neighbors, {"readout": READOUTS, **grid}, cv=3).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert rows["sweep"] <= 2 * len(set(X))
    before = rows.copy()
    other = GridSearchCV(early_exit(memory="process"), grid, cv=3).fit(X, Y)
    assert np.isfinite(other.cv_results_["mean_test_score"]).all()
    assert rows == before  # the states are those that the other had read
    # Only the first split's test texts were not known yet, once for each readout.
    ran = rows["run"]
    assert ran <= 24 * 30
    assert search.best_score_ > 0.55
    clear_sweeps()


@pytest.mark.parametrize("exit_by", EXITS)
def test_cross_val_score_works_and_clones_are_equal(exit_by: str) -> None:
    clf = classifier(exit_by=exit_by, memory="process")
    scores = cross_val_score(clf, X, Y, cv=3)
    assert scores.mean() > 0.55
    same_answers(clone(clf).fit(X, Y), clf.fit(X, Y))


# What was read before


@pytest.mark.parametrize("where", ["process", "folder"])
def test_known_texts_are_not_run_again(
    where: str, rows: Counter[str], tmp_path: Path
) -> None:
    clear_sweeps()
    memory = "process" if where == "process" else tmp_path
    clf = classifier(memory=memory).fit(X, Y)
    assert rows["sweep"] == len(set(X))
    expected = classifier().fit(X, Y)
    rows.clear()
    same_answers(clf, expected, texts=X[:20], atol=1e-5)
    assert rows["sweep"] == 0  # only the twin, which has no memory, ran
    assert rows["run"] == len(set(X[:20]))
    rows.clear()
    confident = classifier(exit_by="confidence", memory=memory).fit(X, Y)
    confident.predict(X)
    confident.set_params(budget=0.4, threshold=None).fit(X, Y).predict(X)
    clf.set_params(budget=0.4, tau=0.9).fit(X, Y).predict(X)
    classifier(cls=RAEEClassifierCV, memory=memory).fit(X, Y)
    assert not +rows
    if where == "folder":
        clear_sweeps()
        classifier(memory=tmp_path).fit(X[:40], Y[:40])
        assert not +rows
    clear_sweeps()


def test_predict_writes_nothing_to_the_memory(
    tmp_path: Path, rows: Counter[str]
) -> None:
    for exit_by in EXITS:
        clf = classifier(exit_by=exit_by, memory=tmp_path).fit(X, Y)
        files = sorted(tmp_path.rglob("*"))
        rows.clear()
        for _ in range(2):
            clf.predict(X_NEW)
        assert sorted(tmp_path.rglob("*")) == files
        assert rows["run"] == 2 * len(set(X_NEW) - set(X))


@pytest.mark.filterwarnings("ignore:.*no instructions for:UserWarning")
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_states_in_half_precision_come_back_from_a_folder_as_they_were(
    dtype: str, tmp_path: Path, rows: Counter[str]
) -> None:
    first = classifier(dtype=dtype, memory=tmp_path).fit(X, Y)
    ridge = first._fitted.ridge
    rows.clear()
    again = classifier(dtype=dtype, memory=tmp_path).fit(X, Y)
    assert not +rows
    np.testing.assert_array_equal(again._fitted.ridge.coef, ridge.coef)
    alone = classifier(dtype=dtype).fit(X, Y)
    np.testing.assert_array_equal(alone._fitted.ridge.coef, ridge.coef)
    proba, exits = first.predict_proba(X_NEW, return_exit_layers=True)
    depths = first.layer_proba(X_NEW)
    np.testing.assert_allclose(proba, depths[np.arange(50), exits], atol=0.02)


# Pickles and files


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("budget", [None, 0.4])
@pytest.mark.parametrize("how", ["joblib", "file"])
def test_what_was_fitted_survives_both_ways_of_keeping_it(
    way: Any, budget: Any, how: str, tmp_path: Path
) -> None:
    clf = classifier(budget=budget, **way).fit(X, Y)
    path = tmp_path / "clf"
    if how == "joblib":
        joblib.dump(clf, path)
        again = joblib.load(path)
    else:
        clf.save(path)
        again = type(clf).load(path)
    same_answers(again, clf, atol=0)
    np.testing.assert_array_equal(again.layer_proba(X_NEW), clf.layer_proba(X_NEW))
    np.testing.assert_array_equal(again.cost_, clf.cost_)
    for name in ("lambda_", "threshold_"):
        assert vars(again).get(name) == vars(clf).get(name)
    assert again._fitted.setting == clf._fitted.setting


@pytest.mark.parametrize("budgets", [None, (0.3, 0.6), np.array([0.3, 0.6])])
def test_a_search_survives_its_file(budgets: Any, tmp_path: Path) -> None:
    clf = classifier(cls=RAEEClassifierCV, budgets=budgets).fit(X, Y)
    clf.save(tmp_path / "clf")
    again = RAEEClassifierCV.load(tmp_path / "clf")
    same_answers(again, clf, atol=0)
    assert again.best_params_ == clf.best_params_
    assert again.best_score_ == clf.best_score_


@pytest.mark.parametrize("how", ["joblib", "file"])
def test_states_are_never_in_what_is_kept(how: str, tmp_path: Path) -> None:
    texts, labels = noisy(400)
    sizes = {}
    for name, exit_by in (("keys", "retrieval"), ("none", "confidence")):
        clf = classifier(exit_by=exit_by, memory="process").fit(texts, labels)
        path = tmp_path / name
        if how == "joblib":
            joblib.dump(clf, path)
        else:
            clf.save(path)
        sizes[name] = path.stat().st_size
    states = 400 * 5 * 3 * 32 * 4
    assert sizes["keys"] < 0.25 * states
    assert sizes["none"] < 0.15 * states
    assert sizes["none"] + 400 * 32 * 2 < sizes["keys"]


# partial_fit


@pytest.fixture
def fresh_memory() -> Any:
    clear_sweeps()
    yield "process"
    clear_sweeps()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exit_by", EXITS)
@pytest.mark.parametrize("params", [{}, {"budget": 0.5}, {"class_weight": "balanced"}])
def test_partial_fit_equals_fit_on_all_texts(
    kind: str, exit_by: str, params: Any, fresh_memory: str, rows: Counter[str]
) -> None:
    params = {"exit_by": exit_by, "memory": fresh_memory, **params}
    parts = classifier(kind, **params)
    parts.partial_fit(X[:30], Y[:30], classes=CLASSES)
    rows.clear()
    parts.partial_fit(X[30:31], Y[30:31]).partial_fit(X[31:], Y[31:])
    assert rows["sweep"] == len(set(X) - set(X[:30]))
    assert set(rows) <= {"sweep"}
    whole = classifier(kind, **params).fit(X, Y)
    same_answers(parts, whole)
    np.testing.assert_allclose(parts.layer_scores_, whole.layer_scores_)
    assert parts.n_samples_fit_ == 90
    for name in ("lambda_", "threshold_"):
        assert vars(parts).get(name) == pytest.approx(vars(whole).get(name))
    np.testing.assert_allclose(
        parts.layer_proba(X_NEW), whole.layer_proba(X_NEW), atol=1e-6
    )


@pytest.mark.parametrize("budget", [None, 0.4])
def test_partial_fit_of_label_words_equals_fit_and_needs_no_memory(budget: Any) -> None:
    params = {"readout": "lm_head", "budget": budget}
    parts = classifier(**params).fit(X[:30], Y[:30])
    parts.partial_fit(X[30:], Y[30:])
    same_answers(parts, classifier(**params).fit(X, Y))


def test_partial_fit_of_a_search_chooses_anew(fresh_memory: str) -> None:
    params = {"memory": fresh_memory, "budgets": (0.3, 0.7)}
    parts = classifier(cls=RAEEClassifierCV, **params).fit(X[:40], Y[:40])
    parts.partial_fit(X[40:], Y[40:])
    whole = classifier(cls=RAEEClassifierCV, **params).fit(X, Y)
    assert parts.best_params_ == whole.best_params_
    assert parts.best_score_ == pytest.approx(whole.best_score_)
    same_answers(parts, whole)


@pytest.mark.parametrize("lost", ["no memory", "forgotten"])
@pytest.mark.parametrize("exit_by", EXITS)
def test_partial_fit_without_the_states_of_old_texts_is_a_clear_error(
    lost: str, exit_by: str, fresh_memory: str
) -> None:
    memory = None if lost == "no memory" else fresh_memory
    clf = classifier(memory=memory, exit_by=exit_by).fit(X[:30], Y[:30])
    clear_sweeps()
    expected, before = clf.predict_proba(X_NEW), joblib.hash(clf)
    with pytest.raises(ValueError, match=r"set memory= to a folder .*call fit on all"):
        clf.partial_fit(X[30:], Y[30:])
    assert joblib.hash(clf) == before
    np.testing.assert_array_equal(clf.predict_proba(X_NEW), expected)


@pytest.mark.parametrize("how", ["joblib", "file"])
def test_partial_fit_goes_on_in_another_process_with_a_folder(
    how: str, tmp_path: Path, rows: Counter[str]
) -> None:
    clf = classifier(memory=tmp_path / "memory").fit(X[:40], Y[:40])
    if how == "joblib":
        joblib.dump(clf, tmp_path / "clf")
        again = joblib.load(tmp_path / "clf")
    else:
        clf.save(tmp_path / "clf")
        again = RAEEClassifier.load(tmp_path / "clf")
    clear_sweeps()
    again.predict(X_NEW)
    rows.clear()
    again.partial_fit(X[40:], Y[40:])
    assert rows["sweep"] == len(set(X) - set(X[:40]))
    same_answers(again, classifier().fit(X, Y), atol=1e-5)


def test_partial_fit_after_fit_sweep_is_a_clear_error(fresh_memory: str) -> None:
    clf = classifier(memory=fresh_memory)
    clf.fit_sweep(clf.sweep(X[:30]), Y[:30])
    with pytest.raises(
        ValueError, match="after fit_sweep they are not known; call fit"
    ):
        clf.partial_fit(X[30:], Y[30:])


@pytest.mark.parametrize("params", [{"readout": "ridge"}, {"budget": 0.5}])
def test_partial_fit_where_the_database_has_forgotten_texts_is_a_clear_error(
    params: Any, fresh_memory: str
) -> None:
    params = {"readout": "lm_head", **params}
    clf = classifier(database="correct", memory=fresh_memory, **params)
    clf.fit(X[:40], Y[:40])
    assert clf.predict(X_NEW).shape == (50,)
    with pytest.raises(ValueError, match=r"database='correct' .*call fit on all texts"):
        clf.partial_fit(X[40:], Y[40:])


def test_partial_fit_may_begin_without_some_class(fresh_memory: str) -> None:
    clf = classifier(memory=fresh_memory)
    first = Y == "positive"
    texts = np.array(X, dtype=object)
    clf.partial_fit(texts[first], Y[first], classes=CLASSES)
    assert set(clf.predict(X_NEW)) == {"positive"}
    clf.partial_fit(texts[~first], Y[~first])
    assert set(clf.predict(X_NEW)) == set(CLASSES)


# Sweeps made elsewhere


@pytest.mark.parametrize("exit_by", EXITS)
def test_fit_sweep_with_states_equals_fit(exit_by: str, tmp_path: Path) -> None:
    clf = classifier(exit_by=exit_by, label_words=None)
    parts = [clf.sweep(X[:50]), clf.sweep(X[50:])]
    assert parts[0].states is not None
    assert parts[0].states.shape == (50, 5, 3, 32)
    LayerSweep.concatenate(parts).save(tmp_path / "sweep.npz")
    sweep = LayerSweep.load(tmp_path / "sweep.npz")
    same_answers(clf.fit_sweep(sweep, Y), classifier(exit_by=exit_by).fit(X, Y))


def test_fit_sweep_without_states_is_a_clear_error() -> None:
    sweep = classifier(readout="lm_head").sweep(X)
    assert sweep.states is None
    with pytest.raises(
        ValueError, match="no states, which a closed-form readout reads"
    ):
        classifier().fit_sweep(sweep, Y)


def test_a_sweep_with_states_alone_does_not_fit_label_words() -> None:
    sweep = classifier(label_words=None).sweep(X)
    with pytest.raises(ValueError, match="holds no logits for the label-word tokens"):
        classifier(readout="lm_head").fit_sweep(sweep, Y)


# Backbones without a head


def numbered_words(n: int, seed: int) -> tuple[list[str], np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    first = rng.integers(3, 8, n) + 30 * labels
    return [
        f"w{a} w{b}" for a, b in zip(first, rng.integers(50, 60, n), strict=True)
    ], labels


@pytest.mark.parametrize("which", ["elasticbert", "sentence encoder"])
@pytest.mark.parametrize("template", ["{text} w9 {mask}", "{text}"])
@pytest.mark.parametrize("exit_by", EXITS)
def test_backbones_without_a_head_are_read_by_ridge(
    which: str, template: str, exit_by: str, tmp_path: Path
) -> None:
    texts, labels = numbered_words(200, 0)
    new, right = numbered_words(60, 1)
    clf = classifier(
        backbone=str(headless(tmp_path / "model", which)),
        template=template,
        label_words=None,
        exit_by=exit_by,
        budget=0.7,
        dtype="float32",
    ).fit(texts, labels)
    n_kinds = 3 if "mask" in template else 1  # read, text, words around; text
    assert clf._fitted.ridge.coef.shape == (4, n_kinds, 16, 2)
    assert clf.score(new, right) > 0.7
    proba, exits = clf.predict_proba(new, return_exit_layers=True)
    rows = clf.layer_proba(new)[np.arange(60), exits]
    np.testing.assert_allclose(proba, rows, atol=1e-5)
    clf.save(tmp_path / "clf")
    same_answers(type(clf).load(tmp_path / "clf"), clf, texts=new, atol=0)
    joblib.dump(clf, tmp_path / "pickle")
    same_answers(joblib.load(tmp_path / "pickle"), clf, texts=new, atol=0)


def test_a_backbone_without_a_head_has_no_label_words(tmp_path: Path) -> None:
    folder = headless(tmp_path, "sentence encoder")
    clf = classifier(
        backbone=str(folder),
        template="{text} {mask}",
        label_words=["w3", "w4"],
        readout="lm_head",
        dtype="float32",
    )
    with pytest.raises(ValueError, match=r"no language-model head .*readout='ridge'"):
        clf.fit(*numbered_words(20, 0))
    clf.set_params(readout="ridge").fit(*numbered_words(20, 0))


# Numbers that do not fit


@pytest.mark.filterwarnings("ignore:.*no instructions for:UserWarning")
def test_texts_that_overflow_float16_are_answered_from_float32() -> None:
    model, tokenizer = toy_objects("causal")
    with torch.no_grad():
        mlp = model.model.layers[-1].mlp
        for part in (mlp.gate_proj, mlp.up_proj, mlp.down_proj):
            part.weight.mul_(300)
        mlp.down_proj.weight.mul_(30)
    backbone = Backbone(model, tokenizer)
    half = classifier("causal", backbone=backbone, dtype="float16").fit(X, Y)
    full = classifier("causal", backbone=backbone, dtype="float32").fit(X, Y)
    assert np.isfinite(half._fitted.ridge.coef).all()
    np.testing.assert_allclose(
        half.layer_proba(X_NEW), full.layer_proba(X_NEW), atol=0.05
    )
    last = classifier(
        "causal",
        backbone=backbone,
        dtype="float16",
        exit_by="confidence",
        threshold=1.0,
    ).fit(X, Y)
    assert last.timings(X_NEW).n_repeated > 0
    proba, exits = last.predict_proba(X_NEW, return_exit_layers=True)
    assert set(exits) == {4}
    np.testing.assert_allclose(proba, last.layer_proba(X_NEW)[:, 4], atol=0.02)


# Rows that leave


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_shrinks_as_its_texts_are_confident(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from skraee.engine import gates

    clf = classifier(kind, exit_by="confidence").fit(X, Y)
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
    clf = classifier(exit_by="confidence").fit([*X, *X], [*Y, *Y])
    assert rows["sweep"] == len(set(X))
    rows.clear()
    clf.predict(X_NEW * 3)
    assert rows["run"] == len(set(X_NEW))


def test_the_progress_bar_counts_all_texts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("tqdm")
    clf = classifier(exit_by="confidence", verbose=1).fit(X, Y)
    capsys.readouterr()
    clf.predict(X_NEW)
    assert "50/50" in capsys.readouterr().err
