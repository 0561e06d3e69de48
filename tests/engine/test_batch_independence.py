"""A text gives the same numbers alone and in any batch, by whatever way it is run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer

from skraee import Encoder, toy
from skraee.baselines import (
    AdaInferClassifier,
    CALMClassifier,
    DeeBERTClassifier,
    FullDepthClassifier,
    HashEEClassifier,
    SLEBClassifier,
)
from skraee.engine.engine import Engine
from skraee.engine.head import final_norms
from skraee.engine.rows import RunningRows
from skraee.text.prompt import Prompt
from tests.support.checkpoints import saved_toy
from tests.support.classifiers import early_exit, make_classifier, raee
from tests.support.models import MODELS, loaded
from tests.support.prompts import prompts_for
from tests.support.ways import WAYS, assert_alone_as_together

LENGTHS = (9, 4, 14, 6, 9, 7, 5, 12)


# By every way of the engine, for every family


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MODELS)
def test_a_text_gives_the_same_alone_and_beside_texts_of_other_lengths(
    name: str, way: str
) -> None:
    backbone = loaded(name)
    prompts = prompts_for(backbone.family.kind, LENGTHS)
    m = Engine(backbone).n_layers
    leaving = np.random.default_rng(2).integers(0, m + 1, len(prompts))
    staying = 2 + np.arange(len(prompts)) % (m - 1)  # none leaves where all decide
    for exits in (leaving, staying):
        assert_alone_as_together(backbone, prompts, exits, WAYS[way])


def states_of(engine: Engine, prompt: Prompt) -> list[torch.Tensor]:
    """Return a prompt's states (T, H) at every depth."""
    seen: list[torch.Tensor] = []
    engine.visit([prompt], lambda depth, hidden, rows: seen.append(hidden[0]))
    return seen


@pytest.mark.parametrize(
    "name", ["bert", "modernbert", "gemma3_text", "opt-350m", "t5"]
)
def test_pooled_states_are_the_same_alone_and_those_of_a_loop(name: str) -> None:
    backbone = loaded(name)
    prompts = prompts_for(backbone.family.kind, LENGTHS)
    engine = Engine(backbone, batch_tokens=10_000, reuse_prefix=False)
    kinds: Any = ("cls", "mean", "max", "last")
    together = engine.sweep(prompts, None, states=kinds).states
    alone = [engine.sweep([prompt], None, states=kinds).states for prompt in prompts]
    assert together is not None
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-5, atol=5e-6)
    norm, m = final_norms(backbone)[0], engine.n_encoder_layers or engine.n_layers
    for row, prompt in enumerate(prompts):
        seen = states_of(engine, prompt)
        for depth, states in enumerate(norm(hidden) for hidden in seen[: m + 1]):
            expected = [states[0], states.mean(0), states.amax(0), states[-1]]
            found = together[row, depth, :, : states.shape[-1]]
            np.testing.assert_allclose(
                found, torch.stack(expected).detach(), rtol=1e-5, atol=5e-6
            )
        for later in together[row, m + 1 :]:  # a decoder keeps the encoder's last
            np.testing.assert_array_equal(later, together[row, m])


@pytest.mark.parametrize("n_rows", [2, 8, 16, 24])
@pytest.mark.parametrize("name", MODELS)
def test_as_many_texts_as_tokens_heads_or_features_are_not_taken_for_them(
    name: str, n_rows: int
) -> None:
    backbone = loaded(name)
    prompts = prompts_for(backbone.family.kind, (8,) * n_rows)
    m = Engine(backbone).n_layers
    exits = np.arange(n_rows) % (m + 1)
    for way in (WAYS["given"], WAYS["deciding"]):
        assert_alone_as_together(backbone, prompts, exits, way)


@pytest.mark.parametrize("name", MODELS)
def test_rows_may_change_places_at_every_depth_and_none_leave(name: str) -> None:
    backbone = loaded(name)
    engine = Engine(backbone, batch_tokens=10_000)
    prompts = prompts_for(backbone.family.kind, LENGTHS)
    depths = range(engine.n_layers + 1)
    expected = [engine.keys(prompts, depth) for depth in depths]
    found = []

    def turn_round(depth: int, hidden: torch.Tensor, rows: torch.Tensor) -> Any:
        in_decoder = 0 < engine.n_encoder_layers < depth
        at = [0 if in_decoder else prompts[by_length[row]].read for row in rows]
        states = torch.empty(len(rows), hidden.shape[-1])
        states[by_length[rows]] = hidden[torch.arange(len(rows)), at]
        found.append(states.numpy())
        return torch.arange(len(rows) - 1, -1, -1)

    by_length = np.argsort([-len(p.ids) for p in prompts], kind="stable")
    engine.visit(prompts, turn_round)
    for states, known in zip(found, expected, strict=True):
        np.testing.assert_allclose(states, known, rtol=1e-5, atol=5e-6)


def test_what_a_layer_made_follows_the_rows_that_ran_there() -> None:
    turns = {1: torch.tensor([2, 0, 1]), 2: torch.tensor([1, 2]), 3: 1}
    rows = torch.arange(3)
    flight = RunningRows(lambda depth, hidden, rows: turns.get(depth), rows)
    before, shared = torch.arange(3.0)[:, None], torch.zeros(1, 3)
    hidden, made = before, (before, before)
    for depth, order in enumerate(([0, 1, 2], [2, 0, 1], [0, 1], [0])):
        hidden = flight.arrive(depth, hidden)
        assert flight.rows.tolist() == hidden[:, 0].tolist() == order
        assert flight.align(before)[:, 0].tolist() == order
        assert flight.align((shared, "none", None)) == (shared, "none", None)
        assert flight.align(made[1])[:, 0].tolist() == order
        made = (hidden, hidden.clone())
        flight.note(made)


# By every setting of the classifiers

X, Y = toy.reviews(60)
X_NEW = [
    *toy.reviews(9, seed=1)[0],
    "",
    "a lovely film " * 30,  # beyond the toys' positions: cut
    "a film",
    "not so bad " * 9,
    *X[:2],  # known, so that their nearest is at distance 0
]
X_NEW += X_NEW[3:5]
SHUFFLED = np.random.default_rng(4).permutation(len(X_NEW))


def letters(texts: list[str]) -> np.ndarray:
    return np.array([[text.count(chr(97 + i)) for i in range(26)] for text in texts])


@pytest.fixture(scope="module")
def plain_encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return Encoder(saved_toy(tmp_path_factory.mktemp("encoder") / "toy"))


# Keys of the backbone's own; those of others know nothing of it, so that one kind of
# backbone does.
OWN = [None, 1, 2, 4]
OTHERS = ["name", "transformer", "callable"]
KINDS_AND_ENCODERS = [
    *((kind, encoder) for kind in ("masked", "causal", "seq2seq") for encoder in OWN),
    *(("masked", encoder) for encoder in OTHERS),
]


def assert_texts_alone_as_together(clf: Any) -> None:
    together = clf.predict_proba(X_NEW, return_exit_layers=True)
    alone = [clf.predict_proba([text], return_exit_layers=True) for text in X_NEW]
    shuffled = [X_NEW[i] for i in SHUFFLED]
    moved = clf.predict_proba(shuffled, return_exit_layers=True)
    for part, found in enumerate(together):
        one_by_one = np.concatenate([answer[part] for answer in alone])
        # Coefficients of up to 200 make more of a float32's last bits.
        np.testing.assert_allclose(found, one_by_one, atol=1e-5, rtol=0)
        np.testing.assert_allclose(found[SHUFFLED], moved[part], atol=1e-5, rtol=0)
    assert clf.predict(X_NEW).tolist() == clf.classes_[together[0].argmax(1)].tolist()


@pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning")
@pytest.mark.filterwarnings("ignore::skraee.exceptions.TruncationWarning")
@pytest.mark.parametrize("readout", ["lm_head", "ridge"])
@pytest.mark.parametrize(("kind", "encoder"), KINDS_AND_ENCODERS)
def test_classifier_answers_a_text_alone_as_beside_others(
    kind: Any, readout: Any, encoder: Any, plain_encoder: Encoder
) -> None:
    others = {
        "name": plain_encoder,
        "transformer": TfidfVectorizer(),
        "callable": letters,
    }
    encoder = others.get(encoder, encoder)
    clf = raee(kind, readout=readout, encoder=encoder).fit(X, Y)
    for changes in (
        {"min_exit": 0},
        {"min_exit": 2},
        {"min_exit": 4, "tau": 0.5},
        {"min_exit": 1, "tau": 0.99, "below_tau": "skip", "k": 3},
        {"min_exit": 0, "tau": 0.99, "below_tau": "skip", "k": 1},
    ):
        assert_texts_alone_as_together(clf.set_params(**changes))


@pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning")
@pytest.mark.filterwarnings("ignore::skraee.exceptions.TruncationWarning")
@pytest.mark.parametrize(
    "changes",
    [
        {"budget": 0.7},
        {"budget": 0.9, "min_exit": 2},
        {"database": "correct", "min_exit": 2},
        {"metric": "cosine", "index": "exact"},
        {"max_length": 16, "long_texts": "mean"},
    ],
    ids=str,
)
@pytest.mark.parametrize("encoder", [None, 1])
@pytest.mark.parametrize("readout", ["lm_head", "ridge"])
@pytest.mark.parametrize("kind", ["masked", "causal", "seq2seq"])
def test_each_choice_of_exits_is_the_same_alone_as_beside_others(
    kind: Any, readout: Any, encoder: Any, changes: dict[str, Any]
) -> None:
    clf = raee(kind, readout=readout, encoder=encoder, **changes)
    assert_texts_alone_as_together(clf.fit(X, Y))


@pytest.mark.filterwarnings("ignore::skraee.exceptions.TruncationWarning")
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"threshold": 0.6, "min_exit": 2},
        {"budget": 0.8},
        {"class_weight": "balanced", "budget": 0.6},
        {"max_length": 16, "long_texts": "mean"},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["masked", "causal", "seq2seq"])
def test_confident_exits_are_the_same_alone_as_beside_others(
    kind: Any, changes: dict[str, Any]
) -> None:
    assert_texts_alone_as_together(early_exit(kind, **changes).fit(X, Y))


BASELINES: dict[str, Callable[..., Any]] = {
    "full depth": FullDepthClassifier,
    "hashee": partial(HashEEClassifier, n_buckets=3),
    "hashee by cluster": partial(HashEEClassifier, hash_by="cluster", n_buckets=4),
    "sleb": partial(SLEBClassifier, n_remove=2),
    "calm": partial(CALMClassifier, measure="state", threshold=0.9),
    "calm by entropy": partial(CALMClassifier, measure="entropy", threshold=0.6),
    "adainfer": partial(AdaInferClassifier, memory=None),
    "deebert": partial(DeeBERTClassifier, n_epochs=3, learning_rate=1e-2, memory=None),
}


@pytest.mark.filterwarnings("ignore::skraee.exceptions.TruncationWarning")
@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("kind", ["masked", "causal", "seq2seq"])
def test_baseline_answers_a_text_alone_as_beside_others(kind: Any, name: str) -> None:
    clf = make_classifier(BASELINES[name], kind)
    assert_texts_alone_as_together(clf.fit(X, Y))
