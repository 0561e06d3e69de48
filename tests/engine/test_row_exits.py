"""Scores on the way are those of the states that a sweep keeps, for every family."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from skraee.backbone.loaded import LoadedBackbone
from skraee.engine.depth_states import StateKind
from skraee.engine.engine import Engine
from skraee.engine.exit_policy import AtGivenDepths
from skraee.engine.head import final_norms, label_head
from skraee.engine.row_exits import RowExits
from skraee.engine.scorer import LabelScorer
from skraee.engine.stacks import layers_of
from skraee.engine.states import unpacked
from skraee.exits.policies import ByConfidence, first_confident
from skraee.readout.ridge import RidgeReadout, fit_ridge
from skraee.readout.scorers import RidgeScorer
from skraee.sweep.layer_sweep import softmax
from skraee.text.token_bags import TokenBags
from tests.support.counting import counted_rows
from tests.support.models import MODELS, loaded
from tests.support.prompts import LABEL_IDS, prompts_for
from tests.support.references import readout_states, reference_hidden, scaled_mean, soft
from tests.support.runs import Deciding, run_to
from tests.support.scorers import EveryDepthScorer

LENGTHS = (9, 4, 14, 6, 9, 7, 5, 12, 8, 8, 11, 10)
ALL: tuple[StateKind, ...] = ("read", "text", "around")


def fitted_readout(
    states: np.ndarray, seed: int = 0, bags: TokenBags | None = None
) -> RidgeReadout:
    """Solve for classes that the states do tell, though better at deeper ones."""
    rng = np.random.default_rng(seed)
    full = np.tile(unpacked(states), (8, 1, 1, 1))
    codes = np.arange(len(full)) % len(states) % 3
    noise = np.linspace(4.0, 1.5, full.shape[1])[:, None, None] * full.std(axis=0)
    full += noise * rng.normal(size=full.shape).astype(np.float32)
    if bags is not None:
        # Tokens of any text, more often of one of the class.
        texts = rng.integers(0, len(states), len(full))
        wrong = (texts % 3 != codes) & (rng.random(len(full)) < 0.65)
        texts[wrong] += (codes - texts % 3)[wrong]
        bags = bags.take(texts)
    return fit_ridge(full, codes, 3, np.ones(len(full)), bags=bags)[0]


def ridge_scorer(
    backbone: LoadedBackbone, readout: RidgeReadout, kinds: tuple[StateKind, ...] = ALL
) -> RidgeScorer:
    return RidgeScorer(readout, final_norms(backbone), kinds, backbone.device)


class Case:
    """A tiny model, prompts, their states and a readout of them."""

    def __init__(
        self, name: str, kinds: tuple[StateKind, ...] = ALL, **engine: Any
    ) -> None:
        self.backbone = loaded(name)
        self.engine = Engine(self.backbone, **engine)
        self.prompts = prompts_for(self.backbone.family.kind, LENGTHS)
        states = self.engine.sweep(self.prompts, None, states=kinds).states
        assert states is not None
        self.states = states
        self.bags = TokenBags.of(self.prompts)
        self.readout = fitted_readout(states, bags=self.bags)
        assert self.readout.bag is not None
        self.scorer = ridge_scorer(self.backbone, self.readout, kinds)
        self.scores = self.readout.scores(states, self.bags)
        self.confidence = softmax(self.scores).max(axis=2)

    @property
    def n_layers(self) -> int:
        return self.engine.n_layers

    def some_exits(self, seed: int = 1) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return rng.integers(0, self.n_layers + 1, len(self.prompts))

    def threshold(self) -> float:
        """Return one with which rows leave all along, not too near a confidence."""
        ordered = np.unique(self.confidence)
        middles = (ordered[1:] + ordered[:-1])[np.diff(ordered) > 2e-3] / 2

        def n_exits(threshold: float) -> int:
            exits = [
                first_confident(self.confidence, threshold, least) for least in (0, 1)
            ]
            return sum(len(np.unique(found)) for found in exits)

        return float(max(middles, key=n_exits))

    def at(self, exits: np.ndarray) -> np.ndarray:
        return self.scores[np.arange(len(exits)), exits]


# States


@pytest.mark.parametrize("name", MODELS)
def test_states_are_the_closed_read_position_and_the_means_of_the_tokens(
    name: str,
) -> None:
    case = Case(name)
    for prompt, found in zip(case.prompts[:6], case.states, strict=False):
        expected = readout_states(case.backbone, prompt)
        np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("name", ["llama", "bert", "t5"])
def test_words_before_the_text_count_where_they_know_of_it(name: str) -> None:
    backbone = loaded(name)
    prompts = [
        replace(prompt, spans=((3, len(prompt.ids) - 1),), n_prefix=3)
        for prompt in prompts_for(backbone.family.kind, (9, 12, 14))
    ]
    found = Engine(backbone).sweep(prompts, None, states=ALL).states
    for prompt, states in zip(prompts, found, strict=True):
        expected = readout_states(backbone, prompt)
        np.testing.assert_allclose(states, expected, atol=2e-5)


@pytest.mark.parametrize("name", MODELS)
def test_states_do_not_depend_on_the_batch(name: str) -> None:
    case = Case(name)
    engine = Engine(case.backbone, batch_tokens=1)
    alone = engine.sweep(case.prompts, None, states=ALL).states
    np.testing.assert_allclose(alone, case.states, atol=2e-5)


def test_a_sweep_for_states_gives_logits_and_keys_as_without_them() -> None:
    backbone = loaded("bert")
    engine, prompts = Engine(backbone), prompts_for("masked")
    head = label_head(backbone, LABEL_IDS)
    plain = engine.sweep(prompts, head, text_means=True, state_depth=2)
    found = engine.sweep(prompts, head, text_means=True, state_depth=2, states=ALL)
    np.testing.assert_allclose(found.logits, plain.logits, atol=1e-5)
    np.testing.assert_array_equal(found.text_means, plain.text_means)
    np.testing.assert_allclose(found.key_states, plain.key_states, atol=1e-5)
    assert plain.states is None


def test_of_several_fields_all_own_tokens_count_alike() -> None:
    backbone = loaded("bert")
    (prompt,) = prompts_for("masked", (12,))
    prompt = replace(prompt, spans=((1, 3), (5, 9)))
    found = Engine(backbone).sweep([prompt], None, states=("text",)).states
    assert found is not None
    for depth, hidden in enumerate(reference_hidden(backbone, prompt)):
        expected = scaled_mean(hidden, [1, 2, 5, 6, 7, 8]).numpy()
        np.testing.assert_allclose(found[0, depth, 0], expected, atol=1e-5)


def test_a_text_without_tokens_has_the_mean_zero() -> None:
    backbone = loaded("bert")
    (prompt,) = prompts_for("masked", (6,))
    empty = replace(prompt, spans=((1, 1),))
    found = Engine(backbone).sweep([empty], None, states=("text",)).states
    assert found is not None
    assert not found.any()


@pytest.mark.parametrize(
    "kinds", [("text",), ("read",), ("text", "around"), ("read", "text")]
)
def test_some_kinds_of_states_can_be_kept_alone(kinds: Any) -> None:
    whole, some = Case("bert"), Case("bert", kinds)
    assert some.states.shape == (12, 4, len(kinds), 16)
    kept = [ALL.index(kind) for kind in kinds]
    np.testing.assert_array_equal(some.states, whole.states[:, :, kept])
    exits = some.some_exits()
    found = some.engine.run(some.prompts, AtGivenDepths(exits), some.scorer)
    np.testing.assert_allclose(soft(found.scores), soft(some.at(exits)), atol=1e-4)


# Stops


def test_where_no_part_counts_yet_the_scaled_mean_of_the_parts_is_read() -> None:
    case = Case("bert")
    weight = case.readout.weight.copy()
    weight[:2] = 0
    readout = replace(case.readout, weight=weight, bag=None)
    scorer = ridge_scorer(case.backbone, readout)
    expected = readout.scores(case.states)
    for depth in range(3):
        exits = np.full(len(case.prompts), depth)
        found = case.engine.run(case.prompts, AtGivenDepths(exits), scorer)
        np.testing.assert_allclose(
            softmax(found.scores), softmax(expected[:, depth]), atol=1e-5
        )


@pytest.mark.parametrize("name", MODELS)
def test_scores_at_given_exits_are_those_of_the_states(name: str) -> None:
    case = Case(name)
    exits = case.some_exits()
    assert {0, case.n_layers} <= set(exits.tolist())
    with counted_rows(case.backbone) as rows:
        found = case.engine.run(case.prompts, AtGivenDepths(exits), case.scorer)
    np.testing.assert_allclose(soft(found.scores), soft(case.at(exits)), atol=1e-4)
    assert found.scores.dtype == np.float32
    assert found.exits.tolist() == exits.tolist()
    assert not found.undecided.any()
    assert [*rows.values()] == [(exits > d).sum() for d in range(case.n_layers)]


@pytest.mark.parametrize("name", MODELS)
def test_rows_leave_at_the_first_depth_that_is_sure_and_run_no_further(
    name: str,
) -> None:
    case = Case(name)
    threshold = case.threshold()
    assert len(np.unique(first_confident(case.confidence, threshold, 0))) > 1
    for min_exit in (0, 1):
        expected = first_confident(case.confidence, threshold, min_exit)
        policy = ByConfidence(threshold, min_exit)
        with counted_rows(case.backbone) as rows:
            found = case.engine.run(case.prompts, policy, case.scorer)
        assert found.exits.tolist() == expected.tolist()
        at_exits = soft(case.at(expected))
        np.testing.assert_allclose(soft(found.scores), at_exits, atol=1e-4)
        assert not found.undecided.any()
        ran = [int((expected > depth).sum()) for depth in range(case.n_layers)]
        assert [*rows.values()] == ran[: expected.max()]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("at", [1, 2])
def test_exits_decided_on_the_way_score_as_given_ones(name: str, at: int) -> None:
    case = Case(name)
    swept = case.engine.sweep(case.prompts, None, state_depth=at)
    assert swept.key_states is not None
    keys, wanted = swept.key_states, case.some_exits(2)

    def decide(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gaps = np.abs(states[:, None] - keys[None]).max(-1)
        assert gaps.min(1).max() < 1e-4
        return wanted[gaps.argmin(1)], gaps.argmin(1) == 3

    with counted_rows(case.backbone) as rows:
        found = case.engine.run(case.prompts, Deciding(at, decide), case.scorer)
    assert found.exits.tolist() == wanted.tolist()
    assert np.flatnonzero(found.undecided).tolist() == [3]
    np.testing.assert_allclose(soft(found.scores), soft(case.at(wanted)), atol=1e-4)
    ran = [12 if d < at else int((wanted > d).sum()) for d in range(case.n_layers)]
    assert [*rows.values()] == ran


@pytest.mark.parametrize("name", ["bert", "gemma3_text", "t5"])
def test_label_words_are_scored_on_the_way_too(name: str) -> None:
    backbone = loaded(name)
    engine = Engine(backbone)
    prompts = prompts_for(backbone.family.kind, LENGTHS)
    head = label_head(backbone, LABEL_IDS)
    factors = np.linspace(0.5, 2.0, engine.n_layers + 1)
    scores = engine.sweep(prompts, head).logits * factors[:, None]
    exits = np.random.default_rng(0).integers(0, engine.n_layers + 1, len(prompts))
    scorer = EveryDepthScorer(head, factors)
    found = engine.run(prompts, AtGivenDepths(exits), scorer)
    expected = scores[np.arange(len(prompts)), exits]
    np.testing.assert_allclose(soft(found.scores), soft(expected), atol=1e-5)


@pytest.mark.parametrize("name", ["bert", "mistral", "deberta-v2", "t5"])
def test_nothing_depends_on_how_texts_are_batched(name: str) -> None:
    case = Case(name)
    policy = ByConfidence(case.threshold())
    expected = case.engine.run(case.prompts, policy, case.scorer)
    for batch_tokens in (1, 30, 10_000):
        engine = Engine(case.backbone, batch_tokens=batch_tokens)
        order = np.random.default_rng(batch_tokens).permutation(len(case.prompts))
        prompts = [case.prompts[i] for i in order]
        found = engine.run(prompts, policy, case.scorer)
        np.testing.assert_array_equal(found.exits, expected.exits[order])
        again = soft(expected.scores[order])
        np.testing.assert_allclose(soft(found.scores), again, atol=1e-4)


def test_a_batch_that_ran_out_of_memory_on_the_way_is_begun_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = Case("bert")
    exits = case.some_exits()
    visit = RowExits.visit

    def greedy(self: RowExits, depth: int, hidden: Any, rows: Any) -> Any:
        if depth == 2 and len(self.batch.numbers) > 4:
            raise torch.OutOfMemoryError("too much")
        return visit(self, depth, hidden, rows)

    monkeypatch.setattr(RowExits, "visit", greedy)
    found = case.engine.run(case.prompts, AtGivenDepths(exits), case.scorer)
    assert found.exits.tolist() == exits.tolist()
    np.testing.assert_allclose(soft(found.scores), soft(case.at(exits)), atol=1e-4)


def test_done_texts_are_told_of_with_all_stops() -> None:
    case = Case("bert", batch_tokens=30)
    told: list[int] = []
    policy = ByConfidence(0.5)
    case.engine.run(case.prompts, policy, case.scorer, on_progress=told.append)
    assert sum(told) == len(case.prompts)
    assert len(told) > 1


# Numbers that do not fit


def in_float16(name: str, layer: int = -1) -> LoadedBackbone:
    """Return a model of which a layer gives more than float16 can hold."""
    backbone = loaded(name)
    backbone = replace(backbone, model=backbone.model.half(), dtype=torch.float16)
    stack = backbone.family.stacks[-1]
    chosen = layers_of(backbone.model, backbone.family, stack)[layer]
    with torch.no_grad():
        chosen.mlp.up_proj.weight.mul_(100)
        chosen.mlp.down_proj.weight.mul_(1000)
    return backbone


def test_states_that_overflow_are_computed_again() -> None:
    backbone = in_float16("llama")
    engine, prompts = Engine(backbone), prompts_for("causal", LENGTHS)
    states = engine.sweep(prompts, None, states=ALL).states
    assert engine.n_repeated > 0
    assert states is not None
    assert states.dtype == np.float16
    assert np.isfinite(states).all()
    exact = Engine(backbone.in_float32).sweep(prompts, None, states=ALL).states
    np.testing.assert_allclose(states, exact, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("how", ["given", "confident", "decided"])
def test_texts_that_overflow_on_the_way_are_scored_as_their_states_are(
    how: str,
) -> None:
    backbone = in_float16("llama")
    engine, prompts = Engine(backbone), prompts_for("causal", LENGTHS)
    states = engine.sweep(prompts, None, states=ALL).states
    assert states is not None
    readout = fitted_readout(states)
    scorer = ridge_scorer(backbone, readout)
    scores = readout.scores(states)
    last = np.full(len(prompts), engine.n_layers)
    n_repeated = engine.n_repeated
    policy: Any = {
        "given": AtGivenDepths(last),
        "confident": ByConfidence(2.0),
        "decided": Deciding(1, lambda keys: (last[: len(keys)], last[: len(keys)] < 0)),
    }[how]
    found = engine.run(prompts, policy, scorer)
    assert engine.n_repeated > n_repeated
    assert found.exits.tolist() == last.tolist()
    np.testing.assert_allclose(soft(found.scores), soft(scores[:, -1]), atol=0.02)


def test_keys_that_overflow_are_computed_again_and_decide() -> None:
    backbone = in_float16("llama", layer=0)
    engine, prompts = Engine(backbone), prompts_for("causal", LENGTHS)
    head = label_head(backbone, LABEL_IDS)
    exact = Engine(backbone.in_float32)
    keys = exact.keys(prompts, 1)
    swept = engine.sweep(prompts, head, state_depth=1).key_states
    for states in (swept, engine.keys(prompts, 1)):
        np.testing.assert_allclose(states, keys, rtol=0.05, atol=0.05)
    wanted = np.arange(len(prompts)) % (engine.n_layers + 1)

    def decide(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert np.isfinite(states).all()
        nearest = np.abs(states[:, None] - keys[None]).max(-1).argmin(1)
        return wanted[nearest], nearest % 2 == 0

    expected = run_to(exact, prompts, wanted, head)
    on_the_way = EveryDepthScorer(head, np.ones(engine.n_layers + 1))
    for scorer in (LabelScorer(head), on_the_way):
        found = engine.run(prompts, Deciding(1, decide), scorer)
        assert found.exits.tolist() == wanted.tolist()
        assert found.undecided.tolist() == [i % 2 == 0 for i in range(len(prompts))]
        np.testing.assert_allclose(soft(found.scores), soft(expected), atol=0.02)


def test_keys_that_fit_stay_as_they_are_where_deeper_states_overflow() -> None:
    backbone = in_float16("llama")
    engine, prompts = Engine(backbone), prompts_for("causal", LENGTHS)
    swept = engine.sweep(prompts, None, text_means=True, states=ALL)
    assert engine.n_repeated > 0
    np.testing.assert_array_equal(swept.text_means, engine.keys(prompts))


def test_states_that_are_not_finite_in_float32_are_a_clear_error() -> None:
    backbone = loaded("llama")
    with torch.no_grad():
        backbone.model.model.layers[1].mlp.down_proj.weight.fill_(torch.nan)
    prompts = prompts_for("causal")
    with pytest.raises(ValueError, match=r"not finite for 5 text.* even in float32"):
        Engine(backbone).sweep(prompts, None, states=ALL)
