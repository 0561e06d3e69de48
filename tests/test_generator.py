"""The generator: its depths, its texts, and scikit-learn's contract for it, counted."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks as checks
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skraee import RAEEClassifier, RAEEGenerator, toy
from skraee.engine.decoding import teacher_forcing
from skraee.engine.decoding.decoder import Decoder
from skraee.exceptions import (
    BackboneChangedError,
    FileFormatError,
    InputWarning,
    TruncationWarning,
    UndecidedWarning,
)
from skraee.generation import rouge
from skraee.sweep.memory_store import MemoryStore
from tests.support.generators import DEPTHS, N_NEW, generator, told
from tests.support.saved import at, change, npy

KINDS: tuple[toy.Kind, ...] = ("causal", "seq2seq")
X, Y, OWN_DEPTHS = told()
X_NEW, Y_NEW, _ = told(seed=1)


@pytest.fixture(scope="module")
def fitted() -> RAEEGenerator:
    return generator().fit(X, Y)


def same(found: Any, expected: Any) -> None:
    assert found.tolist() == list(expected)


# What it does


@pytest.mark.parametrize("kind", KINDS)
def test_own_neighbour_leads_to_the_depth_that_says_the_target(kind: toy.Kind) -> None:
    texts, targets, _ = told(kind)
    gen = generator(kind, k=1, margin=0.0).fit(texts, targets)
    same(gen.predict(texts), targets)


@pytest.mark.parametrize("kind", KINDS)
def test_readings_say_that_the_own_depth_names_every_token(kind: toy.Kind) -> None:
    texts, targets, depths = told(kind)
    gen = generator(kind).fit(texts, targets)
    shares = gen._fitted.database.proba[:, :, 0]
    assert (shares[np.arange(len(texts)), depths] == 1).all()
    np.testing.assert_allclose(gen.layer_scores_, shares.mean(axis=0), atol=1e-6)
    assert gen.n_layers_ == 4
    assert gen.n_samples_fit_ == len(texts)
    np.testing.assert_allclose(gen.cost_, np.arange(5) / 4, atol=1e-6)


def test_neighbours_choose_better_depths_than_the_best_fixed_one(fitted: Any) -> None:
    right = (fitted.predict(X_NEW) == np.array(Y_NEW, dtype=object)).mean()
    fixed = [
        (only(depth).predict(X_NEW) == np.array(Y_NEW, dtype=object)).mean()
        for depth in range(5)
    ]
    assert right > max(fixed)


def only(depth: int) -> RAEEGenerator:
    """Return a generator all of whose votes are for one depth."""
    gen = generator(memory=MemoryStore()).fit(X, Y)
    readings = gen._fitted.database.proba
    readings[:] = 0
    readings[:, depth] = 1
    gen._fitted.database._derived = None
    assert set(gen.exit_layers(X_NEW)) == {depth}
    return gen


@pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_speculative_text_is_that_of_the_full_depth(kind: toy.Kind) -> None:
    texts, targets, _ = told(kind)
    gen = generator(kind, min_exit=4, tau=1.0).fit(texts, targets)
    full = gen.predict(texts)
    gen.set_params(min_exit=0, speculative=True, draft_tokens=2)
    found = gen.generate(texts)
    same(found.texts, full)
    drafted = found.exit_layers < 4
    assert drafted.any()
    assert (found.n_drafted[drafted] > 0).all()
    assert (found.n_accepted <= found.n_drafted).all()
    assert 0 < found.accepted_share <= 1
    assert found.n_passes.sum() < found.n_tokens.sum()


def test_generations_without_drafts_have_no_share(fitted: Any) -> None:
    found = fitted.generate(X[:3])
    assert np.isnan(found.accepted_share)
    assert len(found) == 3
    assert (found.n_tokens == N_NEW).all()
    assert (found.n_passes == found.n_tokens).all()


def test_stop_string_ends_a_text_and_is_no_part_of_it() -> None:
    gen = generator(k=1, stop=[" was"]).fit(X, Y)
    expected = [target.partition(" was")[0].strip() for target in Y]
    assert expected != Y
    same(gen.predict(X), expected)


def test_exits_and_neighbours_are_those_of_its_own_calls(fitted: Any) -> None:
    texts, exits = fitted.predict(X_NEW, return_exit_layers=True)
    same(fitted.exit_layers(X_NEW), exits)
    same(fitted.predict(X_NEW), texts)
    distances, positions = fitted.kneighbors(X[:4], 1)
    assert (distances == 0).all()
    same(positions[:, 0], range(4))
    shares = fitted.exit_distribution(X_NEW)
    np.testing.assert_allclose(shares.sum(axis=1), 1)


def test_batch_alone_and_copies_give_the_same_texts(fitted: Any) -> None:
    whole = fitted.predict([*X_NEW, X_NEW[0]])
    assert whole[-1] == whole[0]
    alone = [fitted.predict([text])[0] for text in X_NEW[:10]]
    same(whole[:10], alone)
    assert fitted.predict([]).shape == (0,)


def test_drawn_texts_are_the_same_alone_and_differ_by_seed() -> None:
    settings = {"temperature": 2.0, "top_k": 20, "random_state": 3}
    gen = generator(**settings).fit(X, Y)
    drawn = gen.predict(X_NEW)
    same(gen.predict(X_NEW[5:9]), drawn[5:9])
    same(clone(gen).fit(X, Y).predict(X_NEW), drawn)
    other = generator(**{**settings, "random_state": 4}).fit(X, Y)
    assert (other.predict(X_NEW) != drawn).any()
    assert (generator().fit(X, Y).predict(X_NEW) != drawn).any()


def test_margin_and_min_exit_move_exits_as_they_say() -> None:
    gen = generator(memory=MemoryStore()).fit(X, Y)
    means = [
        gen.set_params(margin=margin).exit_layers(X_NEW).mean() for margin in (0.0, 1.0)
    ]
    assert means[1] != means[0]
    assert gen.set_params(min_exit=3).exit_layers(X_NEW).min() >= 3


def test_budget_keeps_to_its_mean_cost() -> None:
    for budget in (0.3, 0.6):
        gen = generator(budget=budget, margin=0.1).fit(X, Y)
        report = gen.exit_report_
        assert report["mean_cost"][report["chosen"]][0] <= budget
        assert gen.cost_[gen.exit_layers(X_NEW)].mean() <= budget + 0.1
    with pytest.raises(ValueError, match=r"budget=0.01 is less than the earliest"):
        generator(budget=0.01, min_exit=1).fit(X, Y)


def test_database_of_correct_texts_keeps_those_that_full_depth_serves() -> None:
    gen = generator(database="correct", margin=0.0, k=1).fit(X, Y)
    shares = generator().fit(X, Y)._fitted.database.proba[:, :, 0]
    kept = np.flatnonzero(shares[:, -1] == shares.max(axis=1))
    same(gen._fitted.database.positions, kept)
    assert gen.n_samples_fit_ == len(X)
    worst = np.argsort(shares[:, -1])[:3]
    with pytest.raises(ValueError, match=r"database='correct' needs texts of which th"):
        gen.fit([X[i] for i in worst], [Y[i] for i in worst])


def test_texts_without_votes_run_all_layers_and_are_warned_of() -> None:
    gen = generator(tau=1.0, below_tau="skip").fit(X, Y)
    with pytest.warns(UndecidedWarning, match=r"text\(s\) had no neighbour that"):
        _, exits = gen.predict(X_NEW[:5], return_exit_layers=True)
    assert set(exits) == {4}


def test_several_references_are_averaged() -> None:
    first, second = (Y[i] for i in (0, 1))
    text = [X[0]] * 3
    both = generator().fit(text, [f"{first} || {second}", [first, second], first])
    readings = both._fitted.database.proba
    alone = generator().fit([X[0], X[0]], [first, second])._fitted.database.proba
    np.testing.assert_allclose(readings[0], alone.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(readings[1], readings[0], atol=1e-6)
    np.testing.assert_allclose(readings[2], alone[0], atol=1e-6)


def test_partial_fit_ends_where_fit_on_all_does() -> None:
    settings = {"index": "exact", "budget": 0.7, "margin": 0.1}
    whole = generator(**settings).fit(X, Y)
    gen = generator(**settings)
    gen.partial_fit(X[:30], Y[:30]).partial_fit(X[30:], Y[30:])
    same(gen.predict(X_NEW), whole.predict(X_NEW))
    np.testing.assert_allclose(gen.layer_scores_, whole.layer_scores_, atol=1e-6)
    assert gen.lambda_ == whole.lambda_
    assert gen.n_samples_fit_ == len(X)


def test_partial_fit_of_what_was_forgotten_is_refused() -> None:
    gen = generator(database="correct", budget=0.7).fit(X, Y)
    with pytest.raises(ValueError, match=r"keeps nothing of the texts that the full"):
        gen.partial_fit(X[:5], Y[:5])


def test_encoders_of_all_kinds_make_keys() -> None:
    def letters(texts: list[str]) -> np.ndarray:
        return np.array([[text.count(c) for c in "abcde"] for text in texts], float)

    for encoder in (2, letters, CountVectorizer()):
        gen = generator(encoder=encoder, k=1, margin=0.0).fit(X, Y)
        assert (gen.predict(X) == np.array(Y, dtype=object)).mean() > 0.8
    with pytest.raises(ValueError, match=r"encoder=5 names no depth of this backbone"):
        generator(encoder=5).fit(X, Y)


def test_columns_of_a_frame_fill_their_fields() -> None:
    frame = pd.DataFrame({"thing": ["a film", "a meal"], "said": ["good", "cold"]})
    gen = RAEEGenerator(
        toy.backbone("causal"), "{thing} was {said} and", max_new_tokens=2
    )
    targets = pd.Series(["was was", "good good"])
    joined = generator(max_new_tokens=2).set_params(template="{text} and")
    joined.fit(["a film was good", "a meal was cold"], targets)
    gen.fit(frame, targets)
    np.testing.assert_allclose(gen.layer_scores_, joined.layer_scores_, atol=1e-6)


def test_explanation_names_depth_neighbours_and_votes(fitted: Any) -> None:
    found = fitted.explain(X_NEW[0], X)
    assert found.generated == fitted.predict(X_NEW[:1])[0]
    assert found.exit_layer == fitted.exit_layers(X_NEW[:1])[0]
    assert [n.text for n in found.neighbors] == [X[n.position] for n in found.neighbors]
    assert all(0 <= neighbor.label <= 1 for neighbor in found.neighbors)
    said = str(found)
    assert f"generated at layer {found.exit_layer} of 4" in said
    assert said.count("best share") == fitted.k
    html = found._repr_html_()
    assert "Probability of each class" not in html
    assert "best share" in html
    with pytest.raises(ValueError, match=r"explain takes one text at a time, got 2"):
        fitted.explain(pd.Series(X[:2]))


def test_explanation_of_a_draft_says_what_was_accepted() -> None:
    gen = generator(speculative=True, draft_tokens=2).fit(X, Y)
    shallow = X_NEW[int(gen.exit_layers(X_NEW).argmin())]
    assert "accepted at the last" in str(gen.explain(shallow))


def test_rich_draws_an_explanation_without_classes(fitted: Any) -> None:
    console = pytest.importorskip("rich.console").Console(width=120, record=True)
    console.print(fitted.explain(X_NEW[0]))
    assert "best share" in console.export_text()


# One sweep, and what is run


class Counted:
    """Counts texts that are swept, and those that are generated."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.swept = self.generated = 0
        read, generate = teacher_forcing._read_batch, Decoder.generate

        def reading(backbone: Any, texts: Any) -> Any:
            self.swept += len(texts)
            return read(backbone, texts)

        def generating(decoder: Any, prompts: Any, *args: Any) -> Any:
            self.generated += len(prompts)
            return generate(decoder, prompts, *args)

        monkeypatch.setattr(teacher_forcing, "_read_batch", reading)
        monkeypatch.setattr(Decoder, "generate", generating)


def named_share(gen: Any, texts: Any, targets: Any) -> float:
    return float((gen.predict(texts) == np.array(targets, dtype=object)).mean())


@pytest.mark.usefixtures("fresh_sweeps")
def test_search_over_k_and_tau_sweeps_every_text_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted = Counted(monkeypatch)
    grid = {"k": [1, 3, 9], "tau": [0.0, 0.05, 0.3]}
    gen = generator(memory="process")
    search = GridSearchCV(gen, grid, scoring=named_share, cv=3).fit(X, Y)
    assert counted.swept == len(set(zip(X, Y, strict=True)))
    assert search.best_score_ > 0.5
    same(search.predict(X_NEW), search.best_estimator_.predict(X_NEW))


def test_fit_on_texts_that_are_known_runs_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted = Counted(monkeypatch)
    store = MemoryStore()
    first = generator(memory=store).fit(X, Y)
    n_swept = counted.swept
    again = generator(memory=store, k=3).fit(X[::-1], Y[::-1])
    assert counted.swept == n_swept
    np.testing.assert_allclose(again.layer_scores_, first.layer_scores_)
    generator(memory=store).fit(X[:3], Y[1:4])  # other targets are another matter
    assert counted.swept > n_swept


def test_score_generates_once_at_each_depth_and_predict_reads_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("rouge_score")
    counted = Counted(monkeypatch)
    gen = generator(memory=MemoryStore()).fit(X, Y)
    texts = gen.predict(X_NEW)
    n_distinct = len(set(X_NEW))
    assert counted.generated == n_distinct
    gen.predict(X_NEW)  # is a real run each time
    assert counted.generated == 2 * n_distinct
    gen.score(X_NEW, Y_NEW)
    assert counted.generated == 3 * n_distinct
    gen.score(X_NEW, Y_NEW)
    same(gen.predict(X_NEW), texts)
    assert counted.generated == 3 * n_distinct
    gen.set_params(stop="was").score(X_NEW, Y_NEW)  # another text
    assert counted.generated == 4 * n_distinct


def test_record_of_another_layout_is_read_again() -> None:
    store = MemoryStore()
    gen = generator(memory=store).fit(X, Y)
    wrong = {"readings": np.zeros((2, 2), "f4"), "tokens": np.zeros((1, 1))}
    for name in list(store._records):
        (record,) = store.read([name])
        assert record is not None
        store.write({name: {**record, **wrong}})
    again = generator(memory=store).fit(X, Y)
    np.testing.assert_allclose(again.layer_scores_, gen.layer_scores_)
    same(again.predict(X_NEW), gen.predict(X_NEW))


def test_folder_that_another_fit_wrote_is_read(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(monkeypatch)
    generator(memory=tmp_path).fit(X, Y)
    n_swept = counted.swept
    generator(memory=str(tmp_path)).fit(X, Y)
    assert counted.swept == n_swept


def test_progress_is_shown_for_all_texts(capsys: Any) -> None:
    gen = generator(verbose=1).fit(X, Y)
    assert f"{len(X)}/{len(X)}" in capsys.readouterr().err
    gen.predict(X_NEW)
    err = capsys.readouterr().err
    assert "generate" in err
    assert f"{len(X_NEW)}/{len(X_NEW)}" in err


# Score


def test_score_is_mean_rouge_l_of_the_nearest_reference(fitted: Any) -> None:
    pytest.importorskip("rouge_score")
    texts = fitted.predict(X_NEW[:3]).tolist()
    references = [texts[0], f"quite other words || {texts[1]}", ["nothing alike"]]
    assert fitted.score(X_NEW[:3], references) == pytest.approx(2 / 3)
    weights = [0.0, 0.0, 1.0]
    assert fitted.score(X_NEW[:3], references, sample_weight=weights) == 0
    scores = cross_val_score(generator(), X[:30], Y[:30], cv=3)
    assert (scores > 0).all()


def test_score_without_the_package_says_what_to_install(
    fitted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rouge_score.rouge_scorer", None)
    with pytest.raises(ImportError, match=r"run pip install 'skraee\[rouge\]', or sco"):
        fitted.score(X_NEW, Y_NEW)


def test_rouge_l_is_the_f_measure_of_the_longest_common_subsequence() -> None:
    pytest.importorskip("rouge_score")
    found = rouge.rouge_l(["a b c d", "runs"], [["a x c"], ["run"]])
    # Of 4 and 3 words 2 are in common: 2 * (2/4) * (2/3) / (2/4 + 2/3).
    np.testing.assert_allclose(found, [4 / 7, 1.0])


# scikit-learn's contract

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
def test_check_without_data_passes(check: Callable[..., None]) -> None:
    check("RAEEGenerator", RAEEGenerator(toy.backbone("causal"), "{text} it was"))


def test_checks_are_counted(record_property: Any) -> None:
    own = [name for name in globals() if name.startswith("test_check_")]
    line = f"scikit-learn's contract, RAEEGenerator: {len(DIRECT)} checks called "
    line += f"directly, {len(own) - 1} written again for texts"
    record_property("counted", line)
    assert len(own) >= 12


def test_check_tags_on_texts() -> None:
    tags = get_tags(generator())
    assert tags.estimator_type is None
    assert tags.input_tags.string
    assert tags.input_tags.one_d_array
    assert not tags.input_tags.two_d_array


def test_check_fit_returns_self_on_texts() -> None:
    gen = generator()
    assert gen.fit(X, y=Y) is gen
    assert gen.partial_fit(X[:3], Y[:3]) is gen


def test_check_overwrite_params_on_texts() -> None:
    gen = generator()
    before = {name: joblib.hash(value) for name, value in gen.get_params().items()}
    gen.fit(X, Y).predict(X_NEW)
    after = {name: joblib.hash(value) for name, value in gen.get_params().items()}
    assert after == before


def test_check_predict_changes_nothing_on_texts(fitted: Any) -> None:
    names = set(vars(fitted))
    before = joblib.hash({n: v for n, v in vars(fitted).items() if n != "_fitted"})
    fitted.predict(X_NEW)
    assert set(vars(fitted)) == names
    now = joblib.hash({n: v for n, v in vars(fitted).items() if n != "_fitted"})
    assert now == before


def test_check_unfitted_on_texts() -> None:
    gen = generator()
    for name in ("predict", "generate", "exit_layers", "explain", "kneighbors"):
        with pytest.raises(NotFittedError, match="RAEEGenerator instance is not"):
            getattr(gen, name)(X_NEW[:1])
    with pytest.raises(NotFittedError, match="not fitted"):
        gen.save("nowhere")


def test_check_fit_again_gives_the_same_on_texts(fitted: Any) -> None:
    again = clone(fitted).fit(X, Y)
    same(again.predict(X_NEW), fitted.predict(X_NEW))
    twice = clone(fitted).fit(X[:20], Y[:20]).fit(X, Y)
    same(twice.predict(X_NEW), fitted.predict(X_NEW))
    assert twice.n_samples_fit_ == len(X)


def test_check_fit_forgets_what_a_budget_chose_on_texts() -> None:
    gen = generator(budget=0.7).fit(X, Y)
    assert gen.lambda_ >= 0
    gen.set_params(budget=None)
    with pytest.raises(ValueError, match=r"budget was 0.7 at fit and is None now"):
        gen.predict(X_NEW)
    gen.fit(X, Y)
    assert not hasattr(gen, "lambda_")


def test_check_interrupted_fit_leaves_all_as_it_was_on_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gen = generator().fit(X, Y)
    texts = gen.predict(X_NEW)

    def interrupted(*args: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(teacher_forcing, "_read_batch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        gen.fit(X[:5], Y[:5])
    same(gen.predict(X_NEW), texts)


def test_check_pickle_on_texts(fitted: Any) -> None:
    again = pickle.loads(pickle.dumps(fitted))
    same(again.predict(X_NEW), fitted.predict(X_NEW))
    n_bytes = fitted._fitted.database.keys.nbytes
    assert len(pickle.dumps(fitted)) < 20_000 + n_bytes  # no weights


def test_check_clone_on_texts(fitted: Any) -> None:
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError, match="is not fitted"):
        check_is_fitted(copy)


@pytest.mark.parametrize("make", [list, np.array, pd.Series, tuple])
def test_check_containers_give_the_same_on_texts(make: Any, fitted: Any) -> None:
    gen = generator().fit(make(X), make(Y))
    same(gen.predict(make(X_NEW)), fitted.predict(X_NEW))


def test_check_pipeline_on_texts(fitted: Any) -> None:
    piped = make_pipeline(FunctionTransformer(), generator()).fit(X, Y)
    same(piped.predict(X_NEW), fitted.predict(X_NEW))


def test_check_subset_invariance_on_texts(fitted: Any) -> None:
    halves = [fitted.predict(X_NEW[::2]), fitted.predict(X_NEW[1::2])]
    whole = fitted.predict(X_NEW)
    same(halves[0], whole[::2])
    same(halves[1], whole[1::2])


def test_check_set_params_takes_effect_on_texts(fitted: Any) -> None:
    gen = clone(fitted).fit(X, Y).set_params(max_new_tokens=1)
    assert (gen.generate(X_NEW).n_tokens == 1).all()


# Files


@pytest.mark.parametrize("kind", KINDS)
def test_file_gives_the_same_texts(kind: toy.Kind, tmp_path: Any) -> None:
    texts, targets, _ = told(kind)
    for settings in ({}, {"budget": 0.7}, {"database": "correct", "stop": ["was"]}):
        gen = generator(kind, **settings).fit(texts, targets)
        gen.save(tmp_path / "one.skraee")
        again = RAEEGenerator.load(tmp_path / "one.skraee")
        same(again.predict(texts), gen.predict(texts))
        assert again.get_params().keys() == gen.get_params().keys()
        np.testing.assert_array_equal(again.layer_scores_, gen.layer_scores_)
        again.save(tmp_path / "two.skraee")
        same(
            RAEEGenerator.load(tmp_path / "two.skraee").predict(texts),
            gen.predict(texts),
        )


def test_file_of_another_class_is_refused(fitted: Any, tmp_path: Any) -> None:
    fitted.save(tmp_path / "gen.skraee")
    with pytest.raises(FileFormatError, match=r"read it with RAEEGenerator\.load"):
        RAEEClassifier.load(tmp_path / "gen.skraee")


def test_signed_file_needs_its_key(fitted: Any, tmp_path: Any) -> None:
    fitted.save(tmp_path / "gen.skraee", key=b"0123456789abcdef")
    again = RAEEGenerator.load(tmp_path / "gen.skraee", key=b"0123456789abcdef")
    same(again.predict(X_NEW), fitted.predict(X_NEW))


def with_classes(path: Any) -> None:
    content = npy(np.array(["a", "b"]))
    change(path, lambda manifest: None, **{"attributes/classes_": content})


def with_other_readings(path: Any) -> None:
    readings = npy(np.zeros((len(X), 5, 3), dtype=np.float32))
    change(path, lambda manifest: None, **{"database/proba": readings})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (with_classes, "RAEEGenerator has classes_"),
        (with_other_readings, "array 'database/proba' is of shape"),
        (lambda path: change(path, at("database", None)), "does not agree with the pa"),
        (
            lambda path: change(path, at("parameters.temperature", -1.0)),
            "temperature must be finite and at least 0",
        ),
        (
            lambda path: change(path, at("parameters.speculative", "yes")),
            "speculative must be True or False",
        ),
    ],
    ids=["classes", "readings", "database", "temperature", "speculative"],
)
def test_file_that_was_changed_is_refused(
    damage: Callable[[Any], None], message: str, fitted: Any, tmp_path: Any
) -> None:
    path = tmp_path / "gen.skraee"
    fitted.save(path)
    damage(path)
    with pytest.raises(FileFormatError, match=message):
        RAEEGenerator.load(path)


def test_file_whose_backbone_has_changed_is_refused(fitted: Any, tmp_path: Any) -> None:
    fitted.save(tmp_path / "gen.skraee")
    other = toy.backbone("causal", seed=1)
    moved = RAEEGenerator.load(tmp_path / "gen.skraee", backbone=other)
    with pytest.raises(BackboneChangedError, match="has another weights than the one"):
        moved.predict(X_NEW)


# What is refused

WRONG = {
    "k": (0, ValueError, "k must be at least 1"),
    "tau": (1.5, ValueError, "tau must lie between 0 and 1"),
    "margin": (-0.1, ValueError, "margin must lie between 0 and 1"),
    "max_new_tokens": (0, ValueError, "max_new_tokens must be at least 1"),
    "draft_tokens": (0, ValueError, "draft_tokens must be at least 1"),
    "temperature": (-1.0, ValueError, "temperature must be finite and at least 0"),
    "top_k": (0, ValueError, "top_k must be at least 1"),
    "top_p": (0.0, ValueError, "top_p must be above 0 and at most 1"),
    "stop": ("", ValueError, "stop must be None, a string or a list of strings"),
    "speculative": (1, TypeError, "speculative must be True or False"),
    "long_texts": ("mean", ValueError, "long_texts must be one of 'cut', 'head_tail'"),
    "budget": (0.0, ValueError, "budget must be above 0"),
    "min_exit": (5, ValueError, "min_exit must be at most 4"),
    "below_tau": ("none", ValueError, "below_tau must be one of"),
    "database": ("some", ValueError, "database must be one of"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_parameter_is_refused(name: str) -> None:
    value, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        generator(**{name: value}).fit(X, Y)


def test_drafts_of_drawn_tokens_are_refused() -> None:
    with pytest.raises(ValueError, match=r"draws none, got temperature=0.5; set one"):
        generator(speculative=True, temperature=0.5).fit(X, Y)


def test_settings_that_change_nothing_are_warned_of() -> None:
    with pytest.warns(
        UserWarning, match=r"top_k=3 is not used, as temperature=0 takes"
    ):
        generator(top_k=3).fit(X, Y)
    with pytest.warns(
        UserWarning, match=r"draft_tokens=3 is not used, as speculative=F"
    ):
        generator(draft_tokens=3).fit(X, Y)


def test_masked_backbone_is_refused() -> None:
    with pytest.raises(ValueError, match=r"fills masks and generates no text; choose"):
        RAEEGenerator(toy.backbone(), "{text} it was {mask}.").fit(X, Y)


def test_targets_that_are_none_are_refused() -> None:
    for y, message in (
        (Y[:-1], r"X and y must be of the same length, got 113 texts and 112"),
        ([*Y[:-1], ""], r"a target must not be empty, got '' at position 112"),
        ([*Y[:-1], 3], r"a target must be a string or a list of strings, got 3 at"),
        ([*Y[:-1], []], r"a target must be a string or a list of strings, got \[\] at"),
        ("one string", r"y must be a list, array or Series of target texts"),
    ):
        with pytest.raises(ValueError, match=message):
            generator().fit(X, y)
    with pytest.raises(TypeError, match="y must be a list, array or Series"):
        generator().fit(X, dict.fromkeys(Y))


def test_targets_beyond_the_most_tokens_are_warned_of() -> None:
    with pytest.warns(TruncationWarning, match=r"^1 target\(s\) have more than max"):
        generator().fit(X[:3], [*Y[:2], f"{Y[2]} and more"])


def test_empty_texts_are_warned_of() -> None:
    with pytest.warns(InputWarning, match=r"1 of 3 texts are empty"):
        generator().fit([*X[:2], " "], Y[:3])


def test_prompts_leave_room_for_new_tokens() -> None:
    long = " ".join(["film"] * 200)
    gen = generator(max_new_tokens=100)
    with pytest.warns(TruncationWarning, match=r"1 text\(s\) were cut to fit prompts"):
        gen.fit([*X, long], [*Y, Y[0]])
    with pytest.warns(TruncationWarning, match=r"of 28 tokens; raise max_length"):
        assert gen.generate([long]).n_tokens[0] <= 100
    gen.set_params(max_new_tokens=101)
    with pytest.raises(ValueError, match=r"is more than this fit leaves room for"):
        gen.predict(X[:1])
    with pytest.raises(ValueError, match=r"max_new_tokens must leave room for a"):
        generator(max_new_tokens=128).fit(X, Y)


def test_answer_of_bfloat16_is_finite_and_repeatable() -> None:
    gen = generator(dtype="bfloat16").fit(X, Y)
    same(gen.predict(X_NEW[:5]), gen.predict(X_NEW[:5]))
    assert gen._fitted.sweep_settings.dtype == "bfloat16"
    assert torch.get_default_dtype() == torch.float32
    assert DEPTHS["positive"] == gen.n_layers_


def test_notebook_shows_exits_and_shares_of_targets() -> None:
    gen = generator(k=5, tau=0.25)
    assert "Exits and cost" not in gen._repr_html_()
    html = gen.fit(X, Y)._repr_html_()
    assert f"Fitted on {len(X)} texts: {gen.n_layers_} layers." in html
    assert "k=5 neighbours choose the layer, with tau=0.25." in html
    assert "Share of the targets that it would have said" in html
    assert "classes" not in html.partition('class="skraee-exits"')[2]
    gen = generator(budget=0.5).fit(X, Y)
    assert "neighbours choose the layer, with a budget." in gen._repr_html_()


@pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning")
@pytest.mark.parametrize(
    "way", [{"min_exit": 4}, {"max_new_tokens": 1}, {"speculative": True}]
)
def test_text_kept_of_one_way_is_not_taken_for_another(way: dict[str, Any]) -> None:
    kept = generator(memory=MemoryStore()).fit(X, Y)
    kept.score(X, Y)  # leaves what it generates in the store
    before = kept.generate(X)
    found = kept.set_params(**way).generate(X)
    expected = generator().fit(X, Y).set_params(**way).generate(X)  # no store
    same(found.texts, expected.texts)
    same(found.n_passes, expected.n_passes)
    as_before = found.texts == before.texts, found.n_passes == before.n_passes
    assert not np.all(as_before)
