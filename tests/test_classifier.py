"""The estimator: the method held to plain loops, and the contract that users see."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from skraee import LayerSweep, RAEEClassifier, Template, toy
from skraee.engine.engine import Engine
from skraee.engine.exit_policy import Exits
from skraee.engine.row_exits import RowExits
from skraee.engine.sweep_visitor import SweepVisitor
from skraee.exceptions import InputWarning, TruncationWarning, UndecidedWarning
from skraee.exits.policies import ByVotes
from skraee.text.inputs import check_texts
from tests.support.classifiers import raee
from tests.support.prompts import encoder

KINDS = list(toy.TEMPLATES)
X, Y = toy.reviews(80)
X_NEW, Y_NEW = toy.reviews(40, seed=1)


def word_counts(texts: list[str]) -> np.ndarray:
    words = sorted({word for text in X for word in text.split()})
    return np.array([[text.split().count(word) for word in words] for text in texts])


ENCODERS = {
    "depth 0": None,
    "depth 2": 2,
    "callable": word_counts,
    "transformer": make_pipeline(TfidfVectorizer(), TruncatedSVD(8, random_state=0)),
}


def plain_exit(
    distances: np.ndarray, sweeps: np.ndarray, labels: np.ndarray, **rule: Any
) -> int:
    """Equations 4 to 6 for one text, as the paper has them, in plain Python."""
    scores: Counter[int] = Counter()
    for distance, sweep, label in zip(distances, sweeps, labels, strict=True):
        weight = min(distances) / distance if distance > 0 else 1.0
        if distance > 0 and min(distances) == 0:
            weight = 0.0
        right = [
            (depth, proba[label])
            for depth, proba in enumerate(sweep)
            if proba.argmax() == label and depth >= rule["min_exit"]
        ]
        sure = [(depth, p) for depth, p in right if p >= rule["tau"]]
        if not sure and rule["below_tau"] == "top3":
            sure = sorted(right, key=lambda pair: (-pair[1], pair[0]))[:3]
        for depth, p in sure:
            scores[depth] += weight * p
    if not any(scores.values()):
        return len(sweeps[0]) - 1
    best = max(scores.values())
    return min(depth for depth, score in scores.items() if score == best)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_predict_proba_is_the_exits_row_of_layer_proba(kind: str, encoder: str) -> None:
    clf = raee(kind, encoder=ENCODERS[encoder]).fit(X, Y)
    proba, exits = clf.predict_proba(X_NEW, return_exit_layers=True)
    rows = clf.layer_proba(X_NEW)[np.arange(len(X_NEW)), exits]
    np.testing.assert_allclose(proba, rows, atol=1e-5)
    np.testing.assert_array_equal(clf.exit_layers(X_NEW), exits)
    np.testing.assert_array_equal(clf.classes_[rows.argmax(1)], clf.predict(X_NEW))
    assert len(set(exits.tolist())) > 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("below_tau", ["top3", "skip"])
@pytest.mark.parametrize(("tau", "min_exit"), [(0.0, 0), (0.7, 0), (0.9, 2), (1.0, 1)])
@pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning")
def test_exits_are_those_of_the_plain_rule(
    kind: str, below_tau: Any, tau: float, min_exit: int
) -> None:
    clf = raee(kind, below_tau=below_tau, tau=tau, min_exit=min_exit).fit(X, Y)
    sweeps = clf.layer_proba(X).astype(np.float32)
    codes = np.searchsorted(clf.classes_, Y)
    distances, near = clf.kneighbors(X_NEW)
    expected = [
        plain_exit(
            distances[i],
            sweeps[near[i]],
            codes[near[i]],
            tau=np.float32(tau),
            min_exit=min_exit,
            below_tau=below_tau,
        )
        for i in range(len(X_NEW))
    ]
    assert clf.exit_layers(X_NEW).tolist() == expected


@pytest.mark.parametrize("kind", KINDS)
def test_predict_is_better_than_chance_on_the_toy_texts(kind: str) -> None:
    clf = raee(kind).fit(X, Y)
    assert clf.score(X_NEW, Y_NEW) > 0.8
    assert clf.layer_scores_.shape == (clf.n_layers_ + 1,)
    assert clf.n_samples_fit_ == len(X)


def test_kneighbors_are_those_of_the_mean_embedding_output() -> None:
    clf = raee(index="exact").fit(X, Y)
    keys = clf.sweep(X).keys
    new = clf.sweep(X_NEW).keys
    expected = ((new[:, None].astype(float) - keys[None]) ** 2).sum(-1)
    distances, positions = clf.kneighbors(X_NEW, 7)
    np.testing.assert_allclose(distances, np.sort(expected)[:, :7], rtol=1e-5)
    assert positions.shape == (40, 7)


def test_a_stored_text_finds_itself_at_distance_zero() -> None:
    clf = raee().fit(X, Y)
    distances, _ = clf.kneighbors(X, 1)
    assert distances.max() == 0


def test_predict_runs_each_text_through_its_exit_layers_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from skraee.engine import gates

    clf = raee().fit(X, Y)
    exits = clf.exit_layers(X_NEW)
    rows = 0
    forward = gates.Gate.forward

    def counting(self: Any, hidden: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal rows
        is_passed_by = self.way.running.have_run_layer(self.depth)
        out = forward(self, hidden, *args, **kwargs)
        if not is_passed_by:
            rows += len(out if not isinstance(out, tuple) else out[0])
        return out

    monkeypatch.setattr(gates.Gate, "forward", counting)
    clf.predict(X_NEW)
    distinct = dict(zip(X_NEW, exits, strict=True))
    assert rows == sum(distinct.values())


def test_fit_runs_every_distinct_text_once(monkeypatch: pytest.MonkeyPatch) -> None:
    swept = []
    sweep = Engine.sweep

    def counting(self: Any, prompts: Any, *args: Any, **kwargs: Any) -> Any:
        swept.append(len(prompts))
        return sweep(self, prompts, *args, **kwargs)

    monkeypatch.setattr(Engine, "sweep", counting)
    raee().fit([*X, *X], [*Y, *Y])
    assert swept == [len(set(X))]


def test_predict_is_the_same_shuffled_and_one_by_one() -> None:
    clf = raee("causal").fit(X, Y)
    together, exits = clf.predict_proba(X_NEW, return_exit_layers=True)
    order = np.random.default_rng(0).permutation(len(X_NEW))
    shuffled = clf.predict_proba([X_NEW[i] for i in order])
    alone = np.concatenate([clf.predict_proba([text]) for text in X_NEW])
    np.testing.assert_allclose(shuffled, together[order], atol=1e-5)
    np.testing.assert_allclose(alone, together, atol=1e-5)
    assert [int(clf.exit_layers([text])[0]) for text in X_NEW] == exits.tolist()


def test_predict_in_chunks_equals_predict_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clf = raee().fit(X, Y)
    expected, exits = clf.predict_proba(X_NEW, return_exit_layers=True)
    monkeypatch.setattr("skraee.sweep.chunks.CHUNK_SIZE", 7)
    found, in_chunks = clf.predict_proba(X_NEW, return_exit_layers=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_array_equal(in_chunks, exits)
    np.testing.assert_array_equal(clf.exit_layers(X_NEW), exits)
    assert clf.layer_proba(X_NEW).shape == (40, 5, 2)
    assert clf.kneighbors(X_NEW)[1].shape == (40, 5)


def test_empty_input_gives_empty_results() -> None:
    clf = raee().fit(X, Y)
    labels, exits = clf.predict([], return_exit_layers=True)
    assert labels.shape == exits.shape == (0,)
    assert labels.dtype == clf.classes_.dtype
    assert clf.predict_proba([]).shape == (0, 2)
    assert clf.layer_proba([]).shape == (0, 5, 2)
    assert clf.exit_distribution([]).shape == (0, 5)
    assert clf.kneighbors([])[0].shape == (0, 5)


def test_exit_distribution_peaks_at_the_exit() -> None:
    clf = raee().fit(X, Y)
    distribution = clf.exit_distribution(X_NEW)
    np.testing.assert_allclose(distribution.sum(1), 1)
    np.testing.assert_array_equal(distribution.argmax(1), clf.exit_layers(X_NEW))


def test_undecided_texts_run_all_layers_and_are_counted_in_one_warning() -> None:
    clf = raee(tau=1.0, below_tau="skip").fit(X, Y)
    with pytest.warns(UndecidedWarning, match=r"^40 text\(s\) .*positions 0, 1, 2"):
        _, exits = clf.predict(X_NEW, return_exit_layers=True)
    assert (exits == clf.n_layers_).all()


def test_undecided_texts_are_told_by_their_places_among_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clf = raee(k=1, tau=1.0, below_tau="skip", index="exact").fit(X, Y)
    monkeypatch.setattr("skraee.sweep.chunks.CHUNK_SIZE", 3)
    texts = X_NEW[:7]

    def some(self: Any, keys: Any, last: int) -> Exits:
        n_seen.append(len(keys))
        nobody = np.arange(sum(n_seen) - len(keys), sum(n_seen)) == 4
        return Exits(np.full(len(keys), last), nobody)

    n_seen: list[int] = []
    monkeypatch.setattr(ByVotes, "depths", some)
    with pytest.warns(UndecidedWarning, match=r"^1 text\(s\) .*\(positions 4\)"):
        clf.predict(texts)


def test_k_and_tau_set_after_fit_are_used_by_predict() -> None:
    clf = raee(k=5, tau=0.9).fit(X, Y)
    other = raee(k=9, tau=0.2).fit(X, Y)
    clf.set_params(k=9, tau=0.2)
    np.testing.assert_array_equal(clf.exit_layers(X_NEW), other.exit_layers(X_NEW))


def test_database_correct_holds_the_right_ones_at_their_fit_positions() -> None:
    clf = raee("seq2seq", database="correct").fit(X, Y)
    full = raee("seq2seq").fit(X, Y)
    answers = full.classes_[full.layer_proba(X)[:, -1].argmax(1)]
    right = set(np.flatnonzero(answers == Y).tolist())
    _, positions = clf.kneighbors(X_NEW, len(X))
    assert set(positions.ravel().tolist()) == right
    assert 0 < len(right) < len(X)


def test_database_correct_without_any_names_the_accuracy() -> None:
    wrong = np.where(Y == "positive", "negative", "positive")
    clf = raee("causal", database="correct")
    answers = raee("causal").fit(X, Y).layer_proba(X)[:, -1].argmax(1)
    keep = answers == np.searchsorted(["negative", "positive"], Y)
    texts = [text for text, kept in zip(X, keep, strict=True) if kept]
    with pytest.raises(ValueError, match=r"accuracy.*0"):
        clf.fit(texts, wrong[keep])


def test_a_dict_of_words_may_name_more_classes() -> None:
    words = {**toy.LABEL_WORDS, "mixed": "quite"}
    clf = raee(label_words=words).fit(X, Y)
    assert clf.classes_.tolist() == ["negative", "positive"]
    np.testing.assert_allclose(
        clf.predict_proba(X_NEW), raee().fit(X, Y).predict_proba(X_NEW), atol=1e-6
    )


def test_a_list_of_words_follows_the_sorted_classes() -> None:
    codes = (Y == "positive").astype(int)
    clf = raee(label_words=["terrible", "great"]).fit(X, codes)
    expected = raee().fit(X, Y).predict(X_NEW) == "positive"
    np.testing.assert_array_equal(clf.predict(X_NEW), expected.astype(int))


def test_class_names_serve_as_words() -> None:
    names = np.where(Y == "positive", "great", "terrible")
    clf = raee(label_words=None).fit(X, names)
    assert set(clf.predict(X_NEW)) == {"great", "terrible"}


def test_one_class_is_answered_always() -> None:
    clf = raee()
    with pytest.warns(InputWarning, match="one class only, 'positive'") as caught:
        clf.fit(X[:6], ["positive"] * 6)
    assert [one.filename for one in caught] == [__file__]
    assert clf.predict(X_NEW[:3]).tolist() == ["positive"] * 3
    assert clf.predict_proba(X_NEW[:3]).tolist() == [[1.0]] * 3


def test_several_fields_take_the_columns_of_a_frame() -> None:
    frame = pd.DataFrame({"note": "x", "thing": ["film"] * len(X), "text": X})
    clf = raee(template="the {thing} : {text} it was {mask}.")
    clf.fit(frame, Y)
    assert clf.score(frame, Y) > 0.7
    same = raee(template="the film : {text} it was {mask}.").fit(X, Y)
    np.testing.assert_allclose(clf.layer_proba(frame), same.layer_proba(X), atol=1e-5)


def test_a_template_object_serves_like_its_text() -> None:
    clf = raee(template=Template(toy.TEMPLATES["masked"])).fit(X, Y)
    np.testing.assert_array_equal(clf.predict(X_NEW), raee().fit(X, Y).predict(X_NEW))


def test_fit_sweep_on_joined_parts_equals_fit(tmp_path: Path) -> None:
    clf = raee("causal")
    parts = [clf.sweep(X[:30]), clf.sweep(X[30:])]
    parts[0].save(tmp_path / "part.npz")
    joined = LayerSweep.concatenate([LayerSweep.load(tmp_path / "part.npz"), parts[1]])
    swept = clone(clf).fit_sweep(joined, Y)
    fitted = clf.fit(X, Y)
    np.testing.assert_allclose(
        swept.predict_proba(X_NEW), fitted.predict_proba(X_NEW), atol=1e-6
    )
    np.testing.assert_array_equal(swept.exit_layers(X_NEW), fitted.exit_layers(X_NEW))


def test_fit_sweep_of_another_backbone_is_refused() -> None:
    sweep = raee("seq2seq").sweep(X)
    with pytest.raises(ValueError, match="8 layers but the backbone 4"):
        raee().fit_sweep(sweep, Y)


def test_fit_sweep_without_a_classs_word_is_refused() -> None:
    sweep = raee(label_words={"negative": "bad"}).sweep(X)
    with pytest.raises(ValueError, match="no logits for the label-word tokens"):
        raee().fit_sweep(sweep, Y)


def test_sweep_with_an_unfitted_transformer_is_refused() -> None:
    clf = raee(encoder=ENCODERS["transformer"])
    with pytest.raises(ValueError, match="FrozenEstimator"):
        clf.sweep(X)
    frozen = FrozenEstimator(clone(ENCODERS["transformer"]).fit(X))
    assert raee(encoder=frozen).sweep(X).keys.shape == (80, 8)


def test_sweep_without_label_words_is_refused() -> None:
    with pytest.raises(ValueError, match="give label_words"):
        raee(label_words=None).sweep(X)


def test_a_transformer_is_cloned_and_fitted_on_the_training_texts() -> None:
    encoder = TfidfVectorizer()
    clf = raee(encoder=encoder).fit(X, Y)
    assert not hasattr(encoder, "vocabulary_")
    fitted = TfidfVectorizer().fit(X)
    keys, queries = (fitted.transform(texts).toarray() for texts in (X, X_NEW))
    distances, near = clf.kneighbors(X_NEW, 3)
    expected = ((queries[:, None] - keys[near]) ** 2).sum(axis=2)
    np.testing.assert_allclose(distances, expected, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore::skraee.exceptions.TruncationWarning")
def test_hostile_texts_predict_at_the_templates_own_read_position(kind: str) -> None:
    clf = raee(kind).fit(X, Y)
    specials = "[PAD] [UNK] [CLS] [SEP] [MASK] <s> </s> <pad> <unk> <mask> {mask}"
    hostile = [
        *(f"a lovely film {special}" for special in specials.split()),
        "{text} {mask} {{ }} {0} %s",
        "\N{GRINNING FACE}\N{ZERO WIDTH JOINER}\N{COMBINING ACUTE ACCENT} \x00 \ud800",
        "lovely " * 150_000,
        "",
        " \n\t",
    ]
    proba = clf.predict_proba(hostile)
    assert proba.shape == (len(hostile), 2)
    assert np.isfinite(proba).all()
    backbone = toy.backbone(kind).load()
    ends = {"masked": None, "causal": 1, "seq2seq": 2}
    prompts = encoder(
        toy.TEMPLATES[kind], backbone.tokenizer, kind, limit=backbone.position_limit
    )
    for prompt in prompts.encode(check_texts(hostile), warn=False):
        if ends[kind] is None:
            mask = backbone.tokenizer.mask_id
            assert [i for i, t in enumerate(prompt.ids) if t == mask] == [prompt.read]
        else:
            assert prompt.read == len(prompt.ids) - ends[kind]


def test_long_texts_are_cut_with_one_warning() -> None:
    clf = raee(max_length=20).fit(X, Y)
    with pytest.warns(TruncationWarning, match=r"^2 text\(s\) .* 20 tokens") as caught:
        clf.predict(["lovely " * 50, "bad " * 40, "a lovely film"])
    assert len(caught) == 1


def test_one_truncation_warning_for_many_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clf = raee(max_length=20).fit(X, Y)
    monkeypatch.setattr("skraee.sweep.chunks.CHUNK_SIZE", 2)
    texts = [f"lovely {i} " * 20 for i in range(7)]
    for method in (clf.predict, clf.exit_layers, clf.layer_proba, clf.kneighbors):
        with pytest.warns(TruncationWarning, match=r"^7 text\(s\)") as caught:
            method(texts)
        assert len(caught) == 1


def test_explain_names_the_neighbours_and_their_votes() -> None:
    clf = raee().fit(X, Y)
    told = clf.explain(X_NEW[0], texts=X)
    assert told.label == clf.predict([X_NEW[0]])[0]
    assert told.exit_layer == clf.exit_layers([X_NEW[0]])[0]
    distances, positions = clf.kneighbors([X_NEW[0]])
    assert [n.position for n in told.neighbors] == positions[0].tolist()
    assert [n.text for n in told.neighbors] == [X[i] for i in positions[0]]
    assert [n.distance for n in told.neighbors] == distances[0].tolist()
    assert told.neighbors[0].weight == 1
    assert f"answered at layer {told.exit_layer} of 4" in str(told)
    assert str(clf.explain(X_NEW[0]))


def test_explain_counts_the_layers_that_the_key_needs() -> None:
    clf = raee(encoder=3).fit(X, Y)
    told = [clf.explain(text) for text in X_NEW[:12]]
    assert [t.layers_run for t in told] == [max(3, t.exit_layer) for t in told]
    early = next(t for t in told if t.exit_layer < 3)
    assert "(3 ran, for its key)" in str(early)


def test_explain_takes_one_text() -> None:
    clf = raee().fit(X, Y)
    with pytest.raises(ValueError, match="one text at a time, got 2"):
        clf.explain(X[:2])


def test_cross_val_score_and_grid_search_run() -> None:
    clf = raee()
    assert cross_val_score(clf, X, Y, cv=3).shape == (3,)
    search = GridSearchCV(clf, {"k": [2, 5], "tau": [0.0, 0.9]}, cv=2).fit(X, Y)
    assert set(search.best_params_) == {"k", "tau"}
    assert search.predict(X_NEW).shape == (40,)


def test_joblib_round_trip_in_a_fresh_process(tmp_path: Path) -> None:
    clf = raee("causal", encoder=2).fit(X, Y)
    expected, exits = clf.predict_proba(X_NEW, return_exit_layers=True)
    joblib.dump(clf, tmp_path / "clf.joblib")
    joblib.dump(X_NEW, tmp_path / "texts.joblib")
    script = (
        "import joblib\n"
        "clf, texts = joblib.load('clf.joblib'), joblib.load('texts.joblib')\n"
        "found = clf.predict_proba(texts, return_exit_layers=True)\n"
        "joblib.dump(found, 'found.joblib')\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    found, found_exits = joblib.load(tmp_path / "found.joblib")
    np.testing.assert_array_equal(found_exits, exits)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning")
def test_joblib_file_holds_keys_sweeps_and_labels_and_little_more(
    kind: str, tmp_path: Path
) -> None:
    texts, labels = toy.reviews(3000)
    clf = raee(kind).fit(texts, labels)
    clf.predict(X_NEW)  # what predict makes is not in the file
    joblib.dump(clf, tmp_path / "clf.joblib")
    sweep = clf.sweep(texts)
    held = sweep.keys.nbytes + 4 * sweep.logits.size + len(labels)
    assert (tmp_path / "clf.joblib").stat().st_size < 1.05 * held + 100_000


def test_clone_shares_the_backbone_and_forgets_the_fit() -> None:
    clf = raee().fit(X, Y)
    twin = clone(clf)
    assert twin.backbone is clf.backbone
    with pytest.raises(NotFittedError):
        twin.predict(X)


def test_predict_changes_nothing_that_is_pickled() -> None:
    clf = raee().fit(X, Y)
    before = joblib.hash(clf)
    state = set(vars(clf))
    clf.predict(X_NEW)
    clf.set_params(tau=0.3).predict_proba(X_NEW)
    clf.set_params(tau=0.9)
    assert joblib.hash(clf) == before
    assert set(vars(clf)) == state


def test_a_failed_fit_leaves_the_estimator_as_it_was() -> None:
    clf = raee().fit(X, Y)
    expected = clf.predict_proba(X_NEW)
    before = joblib.hash(clf)
    with pytest.raises(ValueError, match="label_words must name every class"):
        clf.fit(X, ["other"] * len(X))
    assert joblib.hash(clf) == before
    np.testing.assert_array_equal(clf.predict_proba(X_NEW), expected)


def test_sixteen_threads_give_the_serial_answer() -> None:
    clf = raee("seq2seq").fit(X, Y)
    parts = [X_NEW[i::16] * 3 for i in range(16)]
    expected = [clf.predict_proba(part) for part in parts]
    found: list[Any] = [None] * 16

    def work(i: int) -> None:
        found[i] = clf.predict_proba(parts[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(16):
        np.testing.assert_allclose(found[i], expected[i], atol=1e-6)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"k": 0}, ValueError, "k must be at least 1, got 0"),
        ({"k": 2.5}, TypeError, "k must be a whole number, got 2.5"),
        ({"tau": 1.5}, ValueError, "tau must lie between 0 and 1, got 1.5"),
        ({"tau": "high"}, TypeError, "tau must be a number, got 'high'"),
        ({"min_exit": 9}, ValueError, "min_exit must be at most 4"),
        ({"below_tau": "top5"}, ValueError, "below_tau must be one of 'top3', 'skip'"),
        ({"metric": "l1"}, ValueError, "metric must be one of"),
        ({"index": "faiss"}, ValueError, "index must be one of 'hnsw', 'exact'"),
        ({"encoder": 7}, ValueError, "choose a depth from 1 to 4"),
        ({"encoder": 0}, ValueError, "encoder=None for the mean"),
        ({"encoder": 1.5}, TypeError, "encoder must be None, a depth"),
        ({"max_length": 0}, ValueError, "max_length must be at least 1"),
        ({"max_length": 5}, ValueError, "room for the text"),
        ({"max_length": 4000}, ValueError, "max_length must be at most 128"),
        ({"batch_tokens": 0}, ValueError, "batch_tokens must be 'auto' or"),
        ({"dtype": "int8"}, ValueError, "dtype must be"),
        ({"device": "cuda:99"}, ValueError, "device 'cuda:99' is not to be had"),
        ({"backbone": 3}, TypeError, "backbone must be a hub name"),
        ({"template": "no field"}, ValueError, "field"),
        ({"template": "{text}"}, ValueError, "mask"),
        ({"budget": 0}, ValueError, "budget must be above 0, got 0"),
        ({"budget": 1.2}, ValueError, "budget must lie between 0 and 1"),
        ({"budget": "small"}, TypeError, "budget must be a number"),
    ],
)
def test_a_wrong_parameter_is_one_clear_error(
    params: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        raee(**params).fit(X, Y)


def test_the_constructor_checks_nothing() -> None:
    RAEEClassifier(None, None, k=-1, tau="x")  # type: ignore[arg-type]


def test_predict_iter_takes_any_iterable_and_yields_chunks() -> None:
    clf = raee().fit(X, Y)
    chunks = list(clf.predict_iter((text for text in X_NEW), chunk_size=16))
    assert [len(chunk) for chunk in chunks] == [16, 16, 8]
    np.testing.assert_array_equal(np.concatenate(chunks), clf.predict(X_NEW))
    assert list(clf.predict_iter([])) == []


def test_predict_iter_holds_no_more_than_a_chunk() -> None:
    clf = raee().fit(X, Y)
    taken = 0

    def endless() -> Any:
        nonlocal taken
        while True:
            taken += 1
            yield X_NEW[taken % 40]

    stream = clf.predict_iter(endless(), chunk_size=8)
    next(stream)
    assert taken == 8
    next(stream)
    assert taken == 16


def test_predict_iter_of_one_string_is_refused() -> None:
    clf = raee().fit(X, Y)
    with pytest.raises(ValueError, match="got one string"):
        next(clf.predict_iter("a lovely film"))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_timings_name_every_part_and_change_nothing(encoder: str) -> None:
    clf = raee(encoder=ENCODERS[encoder]).fit(X, Y)
    before = joblib.hash(clf)
    told = clf.timings(X_NEW)
    parts = {"tokenize", "search", "layers", "head", "other"}
    assert set(told.seconds) == parts | ({"key"} if encoder != "depth 2" else set())
    assert min(told.seconds.values()) >= 0
    assert sum(told.shares.values()) == pytest.approx(1)
    assert (told.n_texts, told.undecided, told.n_repeated) == (40, (), 0)
    assert "40 texts in" in str(told)
    assert joblib.hash(clf) == before


def test_timings_count_undecided_texts() -> None:
    clf = raee(tau=1.0, below_tau="skip").fit(X, Y)
    assert clf.timings(X_NEW).undecided == tuple(range(40))


@pytest.mark.parametrize("encoder", [None, 2])
def test_logits_that_are_not_finite_are_computed_again_in_float32(
    encoder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clf = raee(dtype="bfloat16", encoder=encoder).fit(X, Y)
    exact = raee(dtype="float32").fit(X, Y).layer_proba(X_NEW)
    scored, swept = RowExits.scores, SweepVisitor.logits

    def overflowing(self: RowExits) -> Any:
        scores, numbers = scored(self), self.batch.numbers.tolist()
        for number, column, value in ((3, 0, np.nan), (7, 1, np.inf)):
            if number in numbers and len(numbers) > 2:  # not when run again
                scores[numbers.index(number), column] = value
        return scores

    def overflowing_sweep(self: SweepVisitor, head: Any) -> Any:
        logits, numbers = swept(self, head), self.batch.numbers.tolist()
        if 5 in numbers and len(numbers) > 1:  # not when run again
            logits[numbers.index(5), 2] = torch.nan
        return logits

    monkeypatch.setattr(RowExits, "scores", overflowing)
    proba, exits = clf.predict_proba(X_NEW, return_exit_layers=True)
    assert np.isfinite(proba).all()
    np.testing.assert_allclose(proba[3], exact[3, exits[3]], atol=1e-2)
    assert clf.timings(X_NEW).n_repeated == 2
    monkeypatch.setattr(SweepVisitor, "logits", overflowing_sweep)
    assert np.isfinite(clf.layer_proba(X_NEW)).all()


def test_logits_that_are_not_finite_in_float32_are_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clf = raee().fit(X, Y)

    swept = SweepVisitor.logits

    def broken(self: SweepVisitor, head: Any) -> Any:
        return torch.full_like(swept(self, head), torch.nan)

    monkeypatch.setattr(SweepVisitor, "logits", broken)
    with pytest.raises(ValueError, match=r"not finite for 40 text.*even in float32"):
        clf.layer_proba(X_NEW)
