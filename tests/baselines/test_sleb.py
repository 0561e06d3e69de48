"""Removed blocks, against every removal tried by hooks on the model's own forward."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score

from skraee import Backbone, toy
from skraee.backbone.families import family_of
from skraee.backbone.loaded import LoadedBackbone
from skraee.baselines import SLEBClassifier
from skraee.baselines.sleb import classifier as sleb_classifier
from skraee.baselines.sleb import lm_loss
from skraee.baselines.sleb.block_removal import removable_blocks, without_blocks
from skraee.baselines.sleb.block_search import find_removal_order, losses_without
from skraee.baselines.sleb.exercises import Exercise, exercises_for
from skraee.baselines.sleb.lm_loss import LanguageModelLoss
from skraee.engine.engine import Engine
from skraee.engine.head import label_head
from skraee.engine.prefix import kept_prefixes
from skraee.engine.stacks import layers_of
from skraee.sweep.sweeper import open_sweeper
from skraee.text.prompt import Prompt
from skraee.text.tokenizer import TextTokenizer
from tests.engine.test_engine import LABEL_IDS, own_answer, prompts_for, soft
from tests.support.checkpoints import small_tokenizer
from tests.support.models import MODELS, toy_objects
from tests.support.runs import run_to

KINDS: tuple[toy.Kind, ...] = ("masked", "causal", "seq2seq")
N_LAYERS = 6


def deep_model(name: str, n_layers: int = N_LAYERS) -> Any:
    """Make a tiny model with enough blocks to choose from; of a T5 as many each."""
    model_class, make_config = MODELS[name]
    config = make_config()
    config.num_hidden_layers = n_layers
    if hasattr(config, "num_decoder_layers"):
        config.num_decoder_layers = n_layers
    kinds = getattr(config, "layer_types", None)
    if kinds:
        config.layer_types = (list(kinds) * n_layers)[:n_layers]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = model_class(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                noise = torch.randn_like(parameter)
                parameter.add_(noise, alpha=0.1 if parameter.ndim == 1 else 0.3)
        model.tie_weights()
    return model


def deep(name: str) -> LoadedBackbone:
    model = deep_model(name)
    return LoadedBackbone(
        model=model,
        tokenizer=TextTokenizer.from_hf(small_tokenizer()),
        family=family_of(model.config.model_type),
        dtype=torch.float32,
        device=torch.device("cpu"),
        fingerprint=name,
    )


def blocks(backbone: LoadedBackbone) -> list[Any]:
    model, family = backbone.model, backbone.family
    return [
        layer for stack in family.stacks for layer in layers_of(model, family, stack)
    ]


@contextmanager
def skipping(backbone: LoadedBackbone, removed: Iterable[int]) -> Iterator[None]:
    """Let some blocks of the model return their input."""
    removed = set(removed)
    n_called = 0

    def skip(module: Any, args: Any, kwargs: Any, out: Any) -> Any:
        nonlocal n_called
        n_called += 1
        if n_called - 1 not in removed:
            return None
        entered = args[0] if args else kwargs["hidden_states"]
        return (entered, *out[1:]) if isinstance(out, tuple) else entered

    hooks = [
        layer.register_forward_hook(skip, with_kwargs=True)
        for layer in dict.fromkeys(blocks(backbone))
    ]
    yield
    for hook in hooks:
        hook.remove()


@torch.no_grad()
def loss_by_hand(
    backbone: LoadedBackbone, removed: Iterable[int], exercises: Sequence[Exercise]
) -> float:
    """Mean loss over all predicted tokens, one text after the other."""
    losses = []
    for exercise in exercises:
        inputs = {"input_ids": torch.tensor([exercise.prompt.ids])}
        if exercise.decoder_ids:
            inputs["decoder_input_ids"] = torch.tensor([exercise.decoder_ids])
        with skipping(backbone, removed):
            logits = backbone.model(**inputs).logits[0].double()
        logs = torch.log_softmax(logits, dim=-1)
        losses += [
            -float(logs[place, token])
            for place, token in zip(exercise.positions, exercise.targets, strict=True)
        ]
    return float(np.mean(losses))


def some_exercises(backbone: LoadedBackbone, n_texts: int = 7) -> list[Exercise]:
    rng = np.random.default_rng(2)
    texts = [
        " ".join(f"w{i}" for i in rng.integers(3, 63, size=rng.integers(2, 30)))
        for _ in range(n_texts)
    ]
    return exercises_for(backbone, texts, np.random.RandomState(0))


# ---- a backbone without blocks


@pytest.mark.parametrize("name", MODELS)
def test_backbone_without_blocks_answers_as_if_they_returned_their_input(
    name: str,
) -> None:
    backbone = deep(name)
    prompts = prompts_for(backbone.family.kind)
    last = len(blocks(backbone)) - 2
    for removed in ((2,), (1, last), (1, 2, last)):
        rest = without_blocks(backbone, removed)
        engine = Engine(rest)
        assert engine.n_layers == len(blocks(backbone)) - len(removed)
        depths = np.full(len(prompts), engine.n_layers)
        found = soft(run_to(engine, prompts, depths, label_head(rest, LABEL_IDS)))
        expected = []
        for prompt in prompts:
            with skipping(backbone, removed):
                expected.append(own_answer(backbone, prompt))
        np.testing.assert_allclose(found, expected, atol=1e-5)
        whole = np.stack([own_answer(backbone, prompt) for prompt in prompts])
        assert np.abs(whole - expected).max() > 1e-2  # the blocks do matter


CAUSAL = [
    name
    for name in MODELS
    if MODELS[name][0].__name__.endswith(("CausalLM", "LMHeadModel"))
]


@pytest.mark.parametrize("name", CAUSAL)
def test_backbone_without_blocks_goes_on_from_a_common_prefix(name: str) -> None:
    backbone = deep(name)
    first = (5, 9, 17, 33)
    prompts = [
        Prompt(first + p.ids, p.read + 4, ((4, 5),), n_prefix=4)
        for p in prompts_for("causal")
    ]
    whole = np.full(len(prompts), N_LAYERS)  # leaves a prefix of its own
    run_to(Engine(backbone), prompts, whole, label_head(backbone, LABEL_IDS))
    rest = without_blocks(backbone, [1, 3])
    depths = np.full(len(prompts), N_LAYERS - 2)
    found = run_to(Engine(rest), prompts, depths, label_head(rest, LABEL_IDS))
    assert kept_prefixes(rest).names() == [first]
    expected = []
    for prompt in prompts:
        with skipping(backbone, [1, 3]):
            expected.append(own_answer(backbone, prompt))
    np.testing.assert_allclose(soft(found), expected, atol=1e-5)


def test_backbone_without_blocks_is_made_once() -> None:
    backbone = deep("llama")
    assert without_blocks(backbone, [3, 1]) is without_blocks(backbone, (1, 3))
    assert without_blocks(backbone, []) is backbone


def test_removable_blocks_are_all_but_each_stacks_first_and_last() -> None:
    assert removable_blocks(deep("bert")) == [1, 2, 3, 4]
    assert removable_blocks(deep("t5")) == [1, 2, 3, 4, 7, 8, 9, 10]


# ---- the search


@pytest.mark.parametrize("name", MODELS)
def test_losses_are_those_of_the_models_own_forward(name: str) -> None:
    backbone = deep(name)
    exercises = some_exercises(backbone)
    for gone in ((), (2,)):
        found = losses_without(backbone, gone, exercises)
        assert sorted(found) == [b for b in removable_blocks(backbone) if b not in gone]
        for block, loss in found.items():
            expected = loss_by_hand(backbone, [*gone, block], exercises)
            assert loss == pytest.approx(expected, rel=1e-5)
        if name != "albert":  # whose blocks are one and the same
            assert np.ptp(list(found.values())) > 1e-2


@pytest.mark.parametrize("name", ["bert", "modernbert", "gpt2", "gemma3_text", "t5"])
def test_greedy_search_equals_brute_force_in_every_round(name: str) -> None:
    backbone = deep(name)
    exercises = some_exercises(backbone)
    removed, losses = find_removal_order(backbone, exercises, 3, batch_tokens=40)
    gone: list[int] = []
    for _ in range(3):
        tried = {
            block: loss_by_hand(backbone, [*gone, block], exercises)
            for block in removable_blocks(backbone)
            if block not in gone
        }
        best = min(tried, key=lambda block: tried[block])
        gone.append(best)
        assert losses[len(gone) - 1] == pytest.approx(tried[best], abs=1e-5)
    assert removed == gone


def test_equally_good_blocks_go_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = deep("bert")
    with torch.no_grad():  # blocks 2, 3 and 4 do the same
        for block in blocks(backbone)[3:5]:
            block.load_state_dict(blocks(backbone)[2].state_dict())
    removed, _ = find_removal_order(backbone, some_exercises(backbone), 4)
    assert [block for block in removed if block > 1] == [2, 3, 4]


def test_blocks_that_only_rounding_tells_apart_go_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    losses = iter([3.0, 2.0 + 4e-7, 2.0, 2.1])
    monkeypatch.setattr(LanguageModelLoss, "__call__", lambda *_: next(losses))
    backbone = deep("bert")
    removed, _ = find_removal_order(backbone, some_exercises(backbone), 1, 10_000)
    assert removed == [2]


@contextmanager
def counted_calls(backbone: LoadedBackbone) -> Iterator[Counter[int]]:
    """Count how often each block runs."""
    calls: Counter[int] = Counter()
    hooks = [
        layer.attention.register_forward_pre_hook(
            lambda module, args, i=i: calls.update([i])
        )
        for i, layer in enumerate(blocks(backbone))
    ]
    yield calls
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize("gone", [(), (1,), (3,)])
def test_states_before_a_block_that_is_tried_are_computed_once(
    gone: tuple[int, ...],
) -> None:
    backbone = deep("bert")
    exercises = some_exercises(backbone)
    with counted_calls(backbone) as calls:
        losses_without(backbone, gone, exercises, batch_tokens=10_000)
    left = [block for block in range(N_LAYERS) if block not in gone]
    tried = left[1:-1]
    for place, block in enumerate(left):
        behind = sum(candidate < block for candidate in tried)
        on_the_way = int(place < len(left) - 2)
        assert calls[block] == behind + on_the_way
    assert all(calls[block] == 0 for block in gone)
    assert calls[0] == 1


def test_a_loss_that_is_not_a_number_is_never_the_best(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    losses = iter([float("nan"), 3.0, 2.0, float("nan")])
    monkeypatch.setattr(LanguageModelLoss, "__call__", lambda *_: next(losses))
    backbone = deep("bert")
    removed, found = find_removal_order(backbone, some_exercises(backbone), 1, 10_000)
    assert removed == [3]
    assert np.isfinite(found).all()


def test_a_batch_that_does_not_fit_is_halved_and_counts_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backbone = deep("bert")
    exercises = some_exercises(backbone)
    expected = losses_without(backbone, [], exercises)
    loss_of = LanguageModelLoss.__call__
    n_calls = 0

    def greedy(self: LanguageModelLoss, hidden: Any, batch: Any) -> float:
        nonlocal n_calls
        n_calls += 1
        found = loss_of(self, hidden, batch)
        if len(batch) > 2 and n_calls % 3 == 0:  # some blocks were tried before
            raise torch.OutOfMemoryError("too much")
        return found

    monkeypatch.setattr(LanguageModelLoss, "__call__", greedy)
    found = losses_without(backbone, [], exercises)
    assert found == pytest.approx(expected, abs=1e-5)


def test_losses_are_the_same_with_few_scores_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backbone = deep("gpt2")
    exercises = some_exercises(backbone)
    expected = losses_without(backbone, [], exercises)
    monkeypatch.setattr(lm_loss, "_SCORES", 64 * 5)
    assert losses_without(backbone, [], exercises) == pytest.approx(expected, rel=1e-6)


# ---- exercises


def prompt_ids(backbone: LoadedBackbone, text: str) -> list[int]:
    tokenizer = backbone.tokenizer
    own = tokenizer.plain([text], first=True)[0]
    return [*tokenizer.prefix_ids, *own, *tokenizer.suffix_ids]


TEXT = " ".join(toy.reviews(12, seed=3)[0])


def test_causal_exercise_predicts_every_next_token() -> None:
    backbone = toy.backbone("causal").load()
    (exercise,) = exercises_for(backbone, [TEXT], np.random.RandomState(0))
    ids = [
        *backbone.tokenizer.prefix_ids,
        *backbone.tokenizer.plain([TEXT], first=True)[0],
    ]
    assert list(exercise.prompt.ids) == ids
    assert list(exercise.targets) == ids[1:]
    assert exercise.positions == tuple(range(len(ids) - 1))


def test_masked_exercise_hides_15_percent_of_the_texts_own_tokens() -> None:
    backbone = toy.backbone("masked").load()
    (exercise,) = exercises_for(backbone, [TEXT], np.random.RandomState(0))
    ids = prompt_ids(backbone, TEXT)
    hidden = [
        i
        for i, (a, b) in enumerate(zip(ids, exercise.prompt.ids, strict=True))
        if a != b
    ]
    assert list(exercise.positions) == hidden
    assert [exercise.prompt.ids[i] for i in hidden] == [
        backbone.tokenizer.mask_id
    ] * len(hidden)
    assert [ids[i] for i in hidden] == list(exercise.targets)
    assert len(hidden) == round(0.15 * (len(ids) - 2))
    assert min(hidden) >= 1
    assert max(hidden) < len(ids) - 1


def test_seq2seq_exercise_can_be_put_together_again() -> None:
    backbone = toy.backbone("seq2seq").load()
    (exercise,) = exercises_for(backbone, [TEXT], np.random.RandomState(0))
    mark = backbone.tokenizer.unk_id
    ids = prompt_ids(backbone, TEXT)
    read, written = list(exercise.prompt.ids), list(exercise.targets)
    n_spans = read.count(mark)
    assert n_spans == written.count(mark) > 2
    assert written[0] == mark
    assert exercise.decoder_ids == (
        backbone.model.config.decoder_start_token_id,
        *written[:-1],
    )
    starts = [i for i, token in enumerate(written) if token == mark]
    ends = [*starts[1:], len(written) - 1]
    spans = [written[a + 1 : b] for a, b in zip(starts, ends, strict=True)]
    assert min(map(len, spans)) >= 1
    assert sum(map(len, spans)) == round(0.15 * (len(ids) - 1))
    together = []
    for token in read:
        together += spans.pop(0) if token == mark else [token]
    assert together == ids
    assert [mark, mark] not in [read[i : i + 2] for i in range(len(read))]


def test_seq2seq_exercise_uses_the_models_sentinels() -> None:
    _, hf = toy_objects("seq2seq")
    hf.add_special_tokens(
        {"additional_special_tokens": ["<extra_id_0>", "<extra_id_1>"]}
    )
    backbone = toy.backbone("seq2seq").load()
    tokenizer = TextTokenizer.from_hf(hf)
    changed = LoadedBackbone(
        backbone.model, tokenizer, backbone.family, backbone.dtype, backbone.device, ""
    )
    text = " ".join(["film"] * 40)
    (exercise,) = exercises_for(changed, [text], np.random.RandomState(0))
    marks = hf.convert_tokens_to_ids(["<extra_id_0>", "<extra_id_1>"])
    assert [i for i in exercise.prompt.ids if i in marks] == marks
    assert [i for i in exercise.targets if i in marks] == marks


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_words", range(1, 30))
def test_exercises_of_every_length_are_whole(kind: toy.Kind, n_words: int) -> None:
    backbone = toy.backbone(kind).load()
    text = " ".join(["film"] * n_words)
    for seed in range(3):
        (exercise,) = exercises_for(backbone, [text], np.random.RandomState(seed))
        assert len(exercise.positions) == len(exercise.targets) >= 1
        assert len(exercise.prompt.ids) <= n_words + 2
        if kind == "masked":
            assert len(exercise.positions) == max(1, round(0.15 * n_words))


@pytest.mark.parametrize("kind", KINDS)
def test_texts_that_are_all_empty_are_a_clear_error(kind: toy.Kind) -> None:
    backbone = toy.backbone(kind).load()
    with pytest.raises(ValueError, match="none of 2 calibration texts is long enough"):
        exercises_for(backbone, ["", "  "], np.random.RandomState(0))


# ---- the classifier


def classifier(kind: toy.Kind = "masked", **more: Any) -> SLEBClassifier:
    return SLEBClassifier(
        toy.backbone(kind), toy.TEMPLATES[kind], label_words=toy.LABEL_WORDS, **more
    )


@pytest.mark.parametrize("kind", KINDS)
def test_classifier_equals_the_model_without_the_removed_blocks(kind: toy.Kind) -> None:
    X, y = toy.reviews(30)
    clf = classifier(kind).fit(X, y)
    n_blocks = 8 if kind == "seq2seq" else 4
    assert len(clf.removal_order_) == len(clf.removal_losses_) == int(0.6 * n_blocks)
    sweeper = open_sweeper(clf._fitted.sweep_settings, "cpu", "auto")
    backbone = sweeper.backbone
    ids = [
        backbone.tokenizer.plain([f" {w}"], first=False)[0][0]
        for w in ("terrible", "great")
    ]
    expected = []
    for prompt in sweeper.prompts.encode([(text,) for text in X]):
        inputs = {"input_ids": torch.tensor([prompt.ids])}
        read = prompt.read
        if kind == "seq2seq":
            start = backbone.model.config.decoder_start_token_id
            inputs["decoder_input_ids"] = torch.tensor([[start]])
            read = 0
        with skipping(backbone, clf.removal_order_.tolist()), torch.no_grad():
            expected.append(soft(backbone.model(**inputs).logits[0, read, ids]))
    proba, exits = clf.predict_proba(X, return_exit_layers=True)
    np.testing.assert_allclose(proba, expected, atol=1e-5)
    assert exits.tolist() == [n_blocks - int(0.6 * n_blocks)] * len(X)


@pytest.mark.parametrize("kind", KINDS)
def test_fit_searches_greedily_on_the_training_texts(kind: toy.Kind) -> None:
    X, y = toy.reviews(10)
    clf = classifier(kind, n_remove=2, random_state=3).fit(X, y)
    backbone = open_sweeper(clf._fitted.sweep_settings, "cpu", "auto").backbone
    random = np.random.RandomState(3)
    texts = [X[i] for i in random.permutation(10)]
    exercises = exercises_for(backbone, texts, random)
    gone: list[int] = []
    for loss in clf.removal_losses_:
        tried = {
            block: loss_by_hand(backbone, [*gone, block], exercises)
            for block in removable_blocks(backbone)
            if block not in gone
        }
        gone.append(min(tried, key=lambda block: tried[block]))
        assert loss == pytest.approx(tried[gone[-1]], abs=1e-5)
    assert clf.removal_order_.tolist() == gone


def test_calibration_is_a_seeded_sample_of_the_texts_or_what_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X, y = toy.reviews(50)
    seen: list[list[str]] = []

    def noting(backbone: Any, texts: Any, *rest: Any) -> Any:
        seen.append(list(texts))
        return exercises_for(backbone, texts, *rest)

    monkeypatch.setattr(sleb_classifier, "exercises_for", noting)
    for seed in (0, 0, 1):
        classifier(n_calibration=20, random_state=seed).fit(X, y)
    assert seen[0] == seen[1] != seen[2]
    assert len(seen[0]) == 20
    assert Counter(seen[0]) <= Counter(X)
    classifier(calibration_texts=["other words", "and more"]).fit(X, y)
    assert seen[3] == ["other words", "and more"]


def test_predict_runs_the_blocks_that_are_left_and_no_other() -> None:
    X, y = toy.reviews(30)
    clf = classifier(n_remove=2).fit(X, y)
    backbone = open_sweeper(clf._fitted.sweep_settings, "cpu", "auto").backbone
    with counted_calls(backbone) as calls:
        clf.predict(X[:1])
    removed = clf.removal_order_.tolist()
    assert [calls[block] for block in range(4)] == [
        int(b not in removed) for b in range(4)
    ]


def test_removal_order_handed_over_is_not_searched_and_answers_alike() -> None:
    X, y = toy.reviews(30)
    searched = classifier(n_remove=2).fit(X, y)
    given = classifier(n_remove=2, removal_order=searched.removal_order_)
    backbone = toy.backbone().load()
    with counted_calls(backbone) as calls:
        given.fit(X, y)
    assert not calls
    assert given.removal_order_.tolist() == searched.removal_order_.tolist()
    assert len(given.removal_losses_) == 0
    np.testing.assert_array_equal(given.predict_proba(X), searched.predict_proba(X))
    fewer = classifier(n_remove=1, removal_order=searched.removal_order_).fit(X, y)
    assert fewer.removal_order_.tolist() == searched.removal_order_[:1].tolist()
    assert (fewer.exit_layers(X) == 3).all()


def test_model_object_is_left_as_it_was() -> None:
    model = deep_model("gemma3_text")
    before = deepcopy(model.state_dict())
    config = model.config.to_dict()
    modules = {path: id(module) for path, module in model.named_modules()}
    numbers = [layer.self_attn.layer_idx for layer in model.model.layers]
    clf = SLEBClassifier(
        Backbone(model, small_tokenizer()),
        "{text} w5",
        label_words={"a": "w7", "b": "w9"},
        n_remove=2,
    )
    clf.fit(["w3 w4 w8", "w5 w6 w9"], ["a", "b"]).predict(["w3 w10"])
    assert {path: id(module) for path, module in model.named_modules()} == modules
    assert model.config.to_dict() == config
    assert [layer.self_attn.layer_idx for layer in model.model.layers] == numbers
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])


@pytest.mark.parametrize(
    ("name", "n_layers", "n_left"),
    [("bert", 6, 3), ("bert", 3, 2), ("bert", 2, 2)],  # 60 % of 3 were 1, of 2 were 1
)
def test_60_percent_of_the_blocks_go_as_far_as_they_may(
    name: str, n_layers: int, n_left: int
) -> None:
    clf = SLEBClassifier(
        Backbone(deep_model(name, n_layers), small_tokenizer()),
        "{text} {mask}",
        label_words={"a": "w7", "b": "w9"},
    )
    texts = ["w3 w4 w8", "w5 w6 w9"]
    assert clf.fit(texts, ["a", "b"]).exit_layers(texts).tolist() == [n_left] * 2


def test_none_removed_is_full_depth() -> None:
    X, y = toy.reviews(20)
    clf = classifier(n_remove=0).fit(X, y)
    assert (clf.exit_layers(X) == 4).all()
    assert clf.removal_order_.tolist() == []


@pytest.mark.parametrize("kind", KINDS)
def test_pickled_classifier_answers_alike(kind: toy.Kind) -> None:
    X, y = toy.reviews(20)
    clf = classifier(kind).fit(X, y)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    np.testing.assert_array_equal(again.removal_order_, clf.removal_order_)


def test_clone_is_unfitted_and_has_the_parameters() -> None:
    X, y = toy.reviews(20)
    clf = classifier(n_remove=1, removal_order=[2, 1]).fit(X, y)
    copy = clone(clf)
    assert (copy.n_remove, copy.removal_order) == (1, [2, 1])
    with pytest.raises(NotFittedError):
        copy.predict(X)


def test_cross_validation_runs_the_same_blocks_with_an_order_handed_over() -> None:
    X, y = toy.reviews(60)
    order = classifier(n_remove=1).fit(X, y).removal_order_
    clf = classifier(n_remove=1, removal_order=order)
    scores = cross_val_score(clf, X, y, cv=3)
    assert scores.mean() > 0.55


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"n_remove": 3}, ValueError, "at most 2 for this backbone of 4 blocks.*got 3"),
        ({"n_remove": -1}, ValueError, "n_remove must be at least 0, got -1"),
        ({"n_remove": 0.6}, TypeError, "n_remove must be a whole number, got 0.6"),
        (
            {"removal_order": [0, 1]},
            ValueError,
            r"blocks of \[1, 2\] once each.*\[0, 1\]",
        ),
        (
            {"removal_order": [1, 1]},
            ValueError,
            r"blocks of \[1, 2\] once each.*\[1, 1\]",
        ),
        (
            {"removal_order": [1.0]},
            TypeError,
            "every block of removal_order must be a w",
        ),
        ({"removal_order": [2]}, ValueError, "names 1 blocks and 2 are to be removed"),
        ({"n_calibration": 0}, ValueError, "n_calibration must be at least 1, got 0"),
        ({"calibration_texts": "one"}, ValueError, "expected a sequence of texts"),
    ],
)
def test_wrong_parameters_are_refused_by_fit(
    changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    X, y = toy.reviews(10)
    clf = classifier().set_params(**changes)
    with pytest.raises(error, match=message):
        clf.fit(X, y)
    assert not hasattr(clf, "classes_")


def test_removal_changed_after_fit_is_refused_by_predict() -> None:
    X, y = toy.reviews(10)
    clf = classifier(n_remove=1).fit(X, y).set_params(n_remove=2)
    with pytest.raises(ValueError, match="n_remove was 1 at fit and is 2 now"):
        clf.predict(X)
