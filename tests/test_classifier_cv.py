"""The choice of k and tau, held to a brute-force leave-one-out."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from scipy.stats import norm
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, get_scorer, log_loss, make_scorer
from sklearn.model_selection import GridSearchCV

from skraee import RAEEClassifier, RAEEClassifierCV, toy
from skraee.exits.leave_one_out import exits_for_each_k, other_neighbors
from skraee.exits.policies import ByVotes, votes_of
from skraee.retrieval.database import Database
from tests.support.answers import assert_same_answers
from tests.support.classifiers import closed_form, early_exit, raee, raee_cv
from tests.support.reviews import noisy_reviews

pytestmark = pytest.mark.usefixtures("fresh_sweeps")

# 25 texts with copies, one of them under another label.
X, Y = toy.reviews(20, seed=3)
X, Y = [*X, X[0], X[0], X[3], X[4], X[4]], np.r_[Y, Y[[0, 0, 3, 4, 3]]]
X_NEW, _ = toy.reviews(30, seed=1)
KS, TAUS = (1, 4, 40), (0.0, 0.7, 1.0)


by_neighbors = partial(raee, index="exact", memory="process")
searching = partial(raee_cv, ks=KS, taus=TAUS, index="exact", memory="process")


def left_out(clf: RAEEClassifier, texts: list[str], labels: Any) -> tuple[Any, Any]:
    """Fit on all texts but one, and answer that one: labels and exits of all."""
    answers, exits = [], []
    for i, text in enumerate(texts):
        others = [other for j, other in enumerate(texts) if j != i]
        one = clone(clf).fit(others, np.delete(labels, i))
        answer, depth = one.predict([text], return_exit_layers=True)
        answers.append(answer[0])
        exits.append(depth[0])
    return np.array(answers), np.array(exits)


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("masked", {}),
        ("causal", {"below_tau": "skip"}),
        ("seq2seq", {"min_exit": 2}),
        ("seq2seq", {"database": "correct"}),
        ("causal", {"database": "correct", "metric": "cosine"}),
        ("masked", {"encoder": "lengths", "index": "hnsw"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value) or "default",
)
@pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning")
def test_answers_and_exits_equal_a_brute_force_leave_one_out(
    kind: str, params: dict[str, Any]
) -> None:
    if "encoder" in params:  # many different texts have the same key
        params = {**params, "encoder": lambda texts: [[len(t) // 9] for t in texts]}
    answered: list[np.ndarray] = []

    def recording(estimator: Any, X: Any, y: Any) -> float:
        answered.append(estimator.predict(X))
        return float(accuracy_score(y, answered[-1]))

    found = searching(kind, scoring=recording, **params).fit(X, Y).cv_results_
    expected = [
        left_out(by_neighbors(kind, k=k, tau=tau, **params), X, Y)
        for k in KS
        for tau in TAUS
    ]
    np.testing.assert_array_equal(answered, [answers for answers, _ in expected])
    depths = [exits.mean() for _, exits in expected]
    np.testing.assert_array_equal(found["mean_exit_layer"], depths)
    assert len(set(depths)) > 3


@pytest.mark.parametrize("keep", ["all", "correct"])
@pytest.mark.parametrize("seed", range(5))
def test_exits_left_out_equal_those_of_a_database_without_the_text(
    keep: Any, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    # Whole numbers: many keys are equal, and many distances.
    keys = rng.integers(0, 3, (30, 2)).astype(np.float32)
    proba = rng.dirichlet([1, 1, 1], (30, 6)).astype(np.float32)
    codes = rng.integers(0, 3, 30)
    ks = [7, 1, 3, 29, 100]
    database = Database.build(keys, proba, codes, keep=keep, method="exact")
    votes = votes_of(database, 0.6, "top3", 0)
    found = exits_for_each_k(*other_neighbors(database, keys, 100), votes, ks)
    for i in range(30):
        rest = np.delete(np.arange(30), i)
        without = Database.build(
            keys[rest], proba[rest], codes[rest], keep=keep, method="exact"
        )
        policies = [ByVotes(database=without, k=k, tau=0.6) for k in ks]
        exits = [policy.choice(keys[i : i + 1]).depths[0] for policy in policies]
        assert [found[k][i] for k in ks] == exits


def test_other_neighbors_of_a_graph_never_hold_the_text_itself() -> None:
    rng = np.random.default_rng(0)
    keys = rng.normal(size=(900, 4)).astype(np.float32)
    keys[100:140] = keys[0]  # more copies than neighbours
    proba = np.full((900, 2, 2), 0.5, dtype=np.float32)
    found = {
        method: other_neighbors(
            Database.build(keys, proba, np.zeros(900, int), method=method), keys, 12
        )
        for method in ("hnsw", "exact")
    }
    own = np.arange(900)[:, None]
    assert not any((rows == own).any() for _, rows in found.values())
    assert (found["hnsw"][0][100:140] == 0).all()
    assert np.mean(found["hnsw"][1] == found["exact"][1]) > 0.98


@pytest.mark.parametrize("grid", [{"ks": [3], "taus": [0.9]}, {}])
def test_fit_runs_each_distinct_text_once_whatever_the_grid(
    grid: dict[str, Any], rows: Counter[str]
) -> None:
    raee_cv(index="exact", **grid).fit(X, Y)
    assert rows == {"sweep": len(set(X))}


def test_predict_uses_the_chosen_k_and_tau() -> None:
    clf = searching().fit(X, Y)
    assert clf.best_params_ == {"k": clf.k_, "tau": clf.tau_}
    same = by_neighbors(**clf.best_params_).fit(X, Y)
    clf.set_params(ks=[29], taus=[0.3])  # for the next fit
    np.testing.assert_array_equal(clf.predict_proba(X_NEW), same.predict_proba(X_NEW))
    np.testing.assert_array_equal(clf.exit_layers(X_NEW), same.exit_layers(X_NEW))
    np.testing.assert_array_equal(
        clf.exit_distribution(X_NEW), same.exit_distribution(X_NEW)
    )
    assert clf.kneighbors(X_NEW, return_distance=False).shape == (
        30,
        min(clf.k_, clf.n_samples_fit_),
    )
    assert str(clf.explain(X_NEW[0])) == str(same.explain(X_NEW[0]))


def test_results_have_the_keys_and_the_order_of_grid_search() -> None:
    clf = searching(taus=[0.9, 0.0], ks=np.array([5, 2])).fit(X, Y)
    results = clf.cv_results_
    grid = {"k": [5, 2], "tau": [0.9, 0.0]}
    search = GridSearchCV(by_neighbors(), grid, cv=2).fit(X, Y)
    assert results["params"] == search.cv_results_["params"]
    for name in ("param_k", "param_tau", "rank_test_score", "mean_test_score"):
        like = search.cv_results_[name]
        assert type(results[name]) is type(like)
        assert (results[name].dtype, results[name].shape) == (like.dtype, like.shape)
    assert not results["param_k"].mask.any()
    ranks = (-results["mean_test_score"]).argsort(kind="stable")
    assert results["rank_test_score"][ranks[0]] == 1
    chosen = results["params"].index(clf.best_params_)
    assert clf.best_score_ == results["mean_test_score"][chosen]
    assert (clf.n_samples_fit_, clf.n_layers_) == (25, 4)
    assert clf.layer_scores_.shape == (5,)


def test_equal_scores_share_the_smallest_rank() -> None:
    values = iter([0.5, 0.75, float("nan"), 0.75, 0.25, 0.5])
    clf = searching(
        ks=[1, 2], taus=[0.0, 0.5, 1.0], scoring=lambda estimator, X, y: next(values)
    )
    ranks = clf.fit(X, Y).cv_results_["rank_test_score"]
    assert ranks.tolist() == [3, 1, 6, 1, 5, 3]


def test_scores_that_only_rounding_tells_apart_are_equal() -> None:
    values = iter([0.3, 0.1 + 0.2, 0.29, 0.1 + 0.2, 0.3, 0.3])
    clf = searching(
        ks=[40, 1], taus=[0.0, 0.7, 1.0], scoring=lambda estimator, X, y: next(values)
    ).fit(X, Y)
    results = clf.cv_results_
    assert results["rank_test_score"].tolist() == [1, 1, 6, 1, 1, 1]
    depths = np.where(results["rank_test_score"] == 1, results["mean_exit_layer"], -1)
    chosen = results["params"].index(clf.best_params_)
    assert depths[chosen] == depths.max() > depths[[0, 1, 3, 4, 5]].min()


@pytest.mark.parametrize("seed", range(6))
def test_the_order_of_the_texts_does_not_change_the_choice(seed: int) -> None:
    texts = np.unique(toy.reviews(40, seed)[0])  # copies vote by their place
    labels = np.random.default_rng(seed).permutation(np.arange(len(texts)) % 7 < 3)
    orders = [np.random.default_rng(i).permutation(len(texts)) for i in range(2)]
    clf = searching(class_weight="balanced", ks=(1, 2, 5, 9), taus=(0.0, 0.5, 0.9))
    clf.set_params(label_words={False: "terrible", True: "great"})
    first, other = (
        clone(clf).fit(texts[order].tolist(), labels[order]) for order in orders
    )
    assert first.best_params_ == other.best_params_
    for name in ("rank_test_score", "mean_exit_layer"):
        np.testing.assert_array_equal(first.cv_results_[name], other.cv_results_[name])


def test_of_equal_scores_the_deeper_exits_win() -> None:
    clf = searching(scoring=lambda estimator, X, y: 0.0).fit(X, Y)
    depths = clf.cv_results_["mean_exit_layer"]
    chosen = clf.cv_results_["params"].index(clf.best_params_)
    assert depths[chosen] == depths.max() > depths.min()


@pytest.mark.parametrize("weight", [None, {"positive": 5}])
@pytest.mark.parametrize("seed", range(4))
def test_of_what_may_be_as_good_the_deeper_exits_win(seed: int, weight: Any) -> None:
    texts, labels = noisy_reviews(200, seed)
    weights = np.where(labels == "positive", 5 if weight else 1, 1)
    answers: list[np.ndarray] = []

    def recording(estimator: Any, X: Any, y: Any) -> float:
        answers.append(estimator.predict(X) == y)
        return float(weights @ answers[-1])

    clf = searching(ks=(1, 4, 9), taus=(0.0, 0.5, 0.9), class_weight=weight)
    clone(clf).set_params(scoring=recording).fit(texts, labels)
    clf.fit(texts, labels)
    best = max(answers, key=lambda right: weights @ right)
    # Lost less won, in standard errors of texts that differ by chance.
    lost = np.array([weights @ (best.astype(int) - right) for right in answers])
    differ = np.array([weights @ (best != right) for right in answers])
    error = np.sqrt(differ * (weights**2).sum() / weights.sum())
    may_be_best = lost < norm.ppf(0.95) * error + 1e-9
    assert may_be_best.sum() > 1
    depths = clf.cv_results_["mean_exit_layer"]
    chosen = clf.cv_results_["params"].index(clf.best_params_)
    assert may_be_best[chosen]
    assert depths[chosen] == depths[may_be_best].max()
    assert clf.best_score_ == clf.cv_results_["mean_test_score"][chosen]


def test_of_equal_scores_and_exits_the_smaller_k_and_then_the_larger_tau_wins() -> None:
    # More neighbours than texts: all ks are one; and no probability is so small.
    clf = searching(ks=[60, 50, 70], taus=[1e-9, 2e-9, 0.0]).fit(X, Y)
    assert len(set(clf.cv_results_["mean_exit_layer"])) == 1
    assert clf.best_params_ == {"k": 50, "tau": 2e-9}


@pytest.mark.parametrize(
    "scoring",
    [
        *"accuracy balanced_accuracy matthews_corrcoef f1_macro".split(),
        *"roc_auc neg_log_loss".split(),
        make_scorer(log_loss, greater_is_better=False, response_method="predict_proba"),
    ],
)
def test_scorers_see_the_left_out_labels_and_probabilities(scoring: Any) -> None:
    clf = searching("causal", scoring=scoring, ks=[3], taus=[0.7]).fit(X, Y)
    proba = np.concatenate(
        [
            by_neighbors("causal", k=3, tau=0.7)
            .fit([*X[:i], *X[i + 1 :]], np.delete(Y, i))
            .predict_proba([X[i]])
            for i in range(len(X))
        ]
    )
    fixed = Fixed(proba)
    scorer = get_scorer(scoring) if isinstance(scoring, str) else scoring
    assert clf.best_score_ == pytest.approx(scorer(fixed, X, Y), abs=1e-6)


class Fixed(RAEEClassifier):
    """A fitted classifier that always gives the same answers."""

    def __init__(self, proba: np.ndarray) -> None:
        self.proba = proba
        self.classes_ = np.unique(Y)

    def predict_proba(self, X: Any, return_exit_layers: bool = False) -> Any:
        return self.proba

    def predict(self, X: Any, return_exit_layers: bool = False) -> Any:
        return self.classes_[self.proba.argmax(axis=1)]


def test_scoring_changes_the_choice() -> None:
    deepest = searching(
        scoring=lambda estimator, X, y: float(-estimator.predict_proba(X).max(1).mean())
    )
    assert deepest.fit(X, Y).best_params_ != searching().fit(X, Y).best_params_


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"ks": []}, ValueError, r"ks must hold at least one value, got \[\]"),
        ({"ks": (4, 0)}, ValueError, "every k of ks must be at least 1, got 0"),
        ({"ks": (4, 2.5)}, TypeError, "every k of ks must be a whole number, got 2.5"),
        ({"ks": 4}, TypeError, "ks must be a sequence of numbers, got 4 of type int"),
        ({"ks": "12"}, TypeError, "ks must be a sequence of numbers, got '12'"),
        ({"taus": ()}, ValueError, r"taus must hold at least one value, got \(\)"),
        ({"taus": (0.5, 1.5)}, ValueError, "every tau of taus must lie between 0 and"),
        ({"taus": ["high"]}, TypeError, "every tau of taus must be a number"),
        ({"taus": {0.5}}, TypeError, "taus must be a sequence of numbers"),
        ({"budgets": ()}, ValueError, r"budgets must hold at least one value"),
        ({"budgets": 0.3}, TypeError, "budgets must be a sequence of numbers, got 0.3"),
        ({"budgets": (0.3, 0)}, ValueError, "every budget of budgets must be above 0"),
        ({"budgets": (1.2,)}, ValueError, "every budget of budgets must lie between"),
        ({"min_exit": 9}, ValueError, "min_exit must be at most 4"),
        ({"readout": "rigde"}, ValueError, "readout must be one of .* got 'rigde'"),
        ({"scoring": "acuracy"}, ValueError, "get_scorer_names.* got 'acuracy'"),
        ({"scoring": accuracy_score}, ValueError, "metric function rather than"),
        ({"scoring": ["accuracy", "f1"]}, TypeError, "the name of one scorer or a"),
    ],
)
def test_a_wrong_parameter_is_one_clear_error_before_the_sweep(
    params: dict[str, Any], error: type[Exception], message: str, rows: Counter[str]
) -> None:
    with pytest.raises(error, match=message):
        searching(**params).fit(X, Y)
    assert not rows


@pytest.mark.parametrize(
    ("scoring", "error", "message"),
    [
        (lambda e, X, y: e.exit_layers(X).mean(), ValueError, "no attribute 'exit_lay"),
        (lambda e, X, y: len(X[0].split()), ValueError, "in the place of the texts"),
        (lambda e, X, y: {"a": 1.0}, TypeError, "must return one number, got {'a': 1"),
        (lambda e, X, y: np.nan, ValueError, "is nan for every candidate"),
        (
            make_scorer(accuracy_score, response_method="decision_function"),
            ValueError,
            "wants more than left-out answers .* decision_function",
        ),
    ],
)
def test_a_scorer_that_wants_something_else_is_one_clear_error(
    scoring: Any, error: type[Exception], message: str
) -> None:
    clf = searching().fit(X, Y)
    before = joblib.hash({**vars(clf), "scoring": None})
    with pytest.raises(error, match=message):
        clf.set_params(scoring=scoring).fit(X[:12], Y[:12])
    assert joblib.hash({**vars(clf), "scoring": None}) == before


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_a_metric_that_the_labels_do_not_define_is_refused() -> None:
    clf = searching(scoring="roc_auc")
    with pytest.raises(ValueError, match="'roc_auc' is nan for every candidate"):
        clf.partial_fit(X[:9], ["positive"] * 9, classes=["negative", "positive"])


@pytest.mark.parametrize("keep", ["all", "correct"])
@pytest.mark.filterwarnings("ignore:y holds one class only")
def test_a_single_stored_text_is_refused(keep: Any) -> None:
    clf = searching(database=keep)
    answers = clf.fit(X, Y).layer_proba(X)[:, -1].argmax(axis=1)
    right = int(np.flatnonzero(answers == np.searchsorted(clf.classes_, Y))[0])
    with pytest.raises(ValueError, match="at least 2 stored texts, got 1 of n_samples"):
        clf.fit([X[right]], [Y[right]])


def test_parameters_are_those_of_the_classifier_but_for_the_grid() -> None:
    one = set(RAEEClassifier(None, None).get_params())  # type: ignore[arg-type]
    many = set(RAEEClassifierCV(None, None, ks=-1).get_params())  # type: ignore[arg-type]
    assert one - many == {"k", "tau", "budget"}
    assert many - one == {"ks", "taus", "budgets", "scoring"}
    shared = [name for name in one & many if name not in ("backbone", "template")]
    defaults = RAEEClassifier(None, None).get_params()  # type: ignore[arg-type]
    found = RAEEClassifierCV(None, None).get_params()  # type: ignore[arg-type]
    assert {n: found[n] for n in shared} == {n: defaults[n] for n in shared}


def test_clone_keeps_every_parameter_and_forgets_the_fit() -> None:
    clf = searching(scoring="f1_macro", min_exit=1).fit(X, Y)
    twin = clone(clf)
    assert twin.get_params() == clf.get_params()
    with pytest.raises(NotFittedError):
        twin.predict(X_NEW)
    with pytest.raises(NotFittedError):
        twin.kneighbors(X_NEW)


def test_joblib_round_trip_gives_the_same_answers(tmp_path: Path) -> None:
    clf = searching().fit(X, Y)
    joblib.dump(clf, tmp_path / "clf.joblib")
    loaded = joblib.load(tmp_path / "clf.joblib")
    assert loaded.best_params_ == clf.best_params_
    np.testing.assert_array_equal(loaded.predict_proba(X_NEW), clf.predict_proba(X_NEW))


def test_a_saved_file_brings_back_the_choice(tmp_path: Path) -> None:
    clf = searching(scoring="neg_log_loss").fit(X, Y)
    clf.save(tmp_path / "clf.skraee")
    loaded = RAEEClassifierCV.load(tmp_path / "clf.skraee")
    assert loaded.best_params_ == clf.best_params_
    assert loaded.cv_results_["params"] == clf.cv_results_["params"]
    np.testing.assert_array_equal(loaded.predict_proba(X_NEW), clf.predict_proba(X_NEW))


def test_grid_search_over_the_template_runs_one_pass_for_each(
    rows: Counter[str],
) -> None:
    templates = ["{text} it was {mask}.", "{mask} {text}"]
    search = GridSearchCV(searching(), {"template": templates}, cv=3).fit(X, Y)
    assert rows["sweep"] == 2 * len(set(X))
    assert rows["run"] < len(set(X))  # of the first split alone
    assert search.best_params_["template"] in templates
    assert search.best_estimator_.k_ in KS


def test_memory_makes_no_difference() -> None:
    kept = searching(memory="process").fit(X, Y)
    plain = searching(memory=None).fit(X, Y)
    for name in ("mean_test_score", "mean_exit_layer"):
        np.testing.assert_array_equal(kept.cv_results_[name], plain.cv_results_[name])
    np.testing.assert_allclose(
        kept.predict_proba(X_NEW), plain.predict_proba(X_NEW), atol=1e-6
    )


def test_fit_sweep_equals_fit() -> None:
    clf = searching()
    swept = clone(clf).fit_sweep(clf.sweep(X), Y)
    assert swept.best_params_ == clf.fit(X, Y).best_params_
    assert swept.best_score_ == clf.best_score_


def test_partial_fit_chooses_as_a_fit_on_all_texts() -> None:
    clf = searching().partial_fit(X[:4], Y[:4], classes=["negative", "positive"])
    clf.partial_fit(X[4:], Y[4:])
    whole = searching().fit(X, Y)
    for name in ("mean_test_score", "mean_exit_layer"):
        np.testing.assert_array_equal(clf.cv_results_[name], whole.cv_results_[name])
    np.testing.assert_array_equal(clf.predict(X_NEW), whole.predict(X_NEW))


def test_partial_fit_of_texts_of_one_class_knows_the_others() -> None:
    positive = [text for text, label in zip(X, Y, strict=True) if label == "positive"]
    clf = searching(scoring="accuracy")
    clf.partial_fit(positive, ["positive"] * len(positive), ["negative", "positive"])
    assert clf.predict_proba(X_NEW).shape == (30, 2)


def test_partial_fit_on_a_database_that_forgot_texts_is_refused() -> None:
    clf = searching(database="correct").partial_fit(X, Y, ["negative", "positive"])
    with pytest.raises(ValueError, match="call fit on all texts"):
        clf.partial_fit(X[:5], Y[:5])


# Readouts and budgets

NOISY, NOISY_Y = noisy_reviews(90)
NOISY_NEW, _ = noisy_reviews(50, seed=1)


@pytest.mark.parametrize("readout", ["lm_head", "ridge"])
@pytest.mark.parametrize("budgets", [None, (0.2, 0.5, 0.9)])
def test_cv_chooses_by_leave_one_out_on_one_sweep(
    readout: str, budgets: Any, rows: Counter[str]
) -> None:
    settings = {"readout": readout}
    clf = closed_form(cls=RAEEClassifierCV, ks=(3, 9), budgets=budgets, **settings)
    clf.fit(NOISY, NOISY_Y)
    assert rows["sweep"] == len(set(NOISY))
    named = {"k", "tau" if budgets is None else "budget"}
    assert set(clf.best_params_) == named
    results = clf.cv_results_
    n = 2 * (5 if budgets is None else 3)
    assert set(results) == {
        *("params", "mean_test_score", "rank_test_score", "mean_exit_layer"),
        "mean_cost",
        *(f"param_{name}" for name in named),
    }
    assert all(len(column) == n for column in results.values())
    chosen = results["params"].index(clf.best_params_)
    assert clf.best_score_ == results["mean_test_score"][chosen]
    for name, value in clf.best_params_.items():
        assert getattr(clf, f"{name}_") == value
    one = closed_form(**{"tau": 0.9, **settings, **clf.best_params_}).fit(
        NOISY, NOISY_Y
    )
    assert_same_answers(one, clf, NOISY_NEW)


def test_cv_of_equal_budgets_takes_the_deepest() -> None:
    texts, labels = toy.reviews(90)
    clf = closed_form(cls=RAEEClassifierCV, budgets=(0.9, 0.3, 0.6), ks=(5,))
    clf.fit(texts, labels)
    results = clf.cv_results_
    assert (results["rank_test_score"] == 1).sum() > 1
    chosen = results["params"].index(clf.best_params_)
    assert results["mean_exit_layer"][chosen] == results["mean_exit_layer"].max()


def test_cv_budget_that_cannot_be_kept_is_a_clear_error() -> None:
    clf = closed_form(cls=RAEEClassifierCV, budgets=(0.1, 0.5), min_exit=2)
    with pytest.raises(ValueError, match=r"budget=0.1 is less than the earliest exits"):
        clf.fit(NOISY, NOISY_Y)


def test_grids_over_readouts_and_exits_pass_each_text_once_for_each_readout(
    rows: Counter[str],
) -> None:
    grid: dict[str, list[Any]] = {
        "budget": [None, 0.3, 0.6],
        "class_weight": [None, "balanced"],
    }
    by_neighbors = closed_form(tau=0.9, memory="process")
    search = GridSearchCV(
        by_neighbors, {"readout": ["lm_head", "ridge"], **grid}, cv=3
    ).fit(NOISY, NOISY_Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert rows["sweep"] == 2 * len(set(NOISY))
    before = rows.copy()
    confident = early_exit(memory="process", budget=0.3)
    grid["budget"] = [0.3, 0.6]
    other = GridSearchCV(confident, grid, cv=3).fit(NOISY, NOISY_Y)
    assert np.isfinite(other.cv_results_["mean_test_score"]).all()
    assert rows == before  # the states are those that the other had read
    # Only the first split's test texts were not known yet, once for each readout.
    assert rows["run"] <= 2 * 30
    assert search.best_score_ > 0.55
