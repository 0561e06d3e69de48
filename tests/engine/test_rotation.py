"""Rotary embeddings that change with the longest text of a batch, or of an earlier."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from skraee import Backbone, Encoder, RAEEClassifier
from skraee.backbone.loaded import LoadedBackbone
from skraee.baselines.sleb.block_search import losses_without
from skraee.baselines.sleb.exercises import Exercise
from skraee.engine.batching import Cutter, run_batches
from skraee.engine.engine import Engine
from skraee.engine.rotation import changing_rotations
from tests.support.checkpoints import small_tokenizer
from tests.support.models import MODELS, loaded_as, with_weights_drawn
from tests.support.prompts import prompts_for
from tests.support.references import reference_proba
from tests.support.runs import label_proba
from tests.support.ways import WAYS, assert_alone_as_together

LIMIT = 12
LENGTHS = (9, 4, 14, 12, 13, 14, 5, 12, 30, 11, 14)


def dynamic() -> dict[str, Any]:
    return {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 100.0}


def longrope(n_frequencies: int = 4) -> dict[str, Any]:
    return {
        "rope_type": "longrope",
        "short_factor": [1.0] * n_frequencies,
        "long_factor": [3.0, 1.5] * (n_frequencies // 2),
        "original_max_position_embeddings": LIMIT,
        "factor": 4.0,
        "rope_theta": 100.0,
    }


def with_rotation(name: str, rotation: dict[str, Any], limit: int) -> Any:
    config = MODELS[name][1]()
    config.max_position_embeddings = limit
    if getattr(config, "layer_types", None) and name in ("modernbert", "gemma3_text"):
        default = {"rope_type": "default", "rope_theta": 100.0}
        rotation = {"full_attention": rotation, "sliding_attention": default}
    config.rope_parameters = rotation
    if name == "phi3":  # its configuration has the limit of its own
        config.original_max_position_embeddings = LIMIT
    return with_weights_drawn(MODELS[name][0], config)


#: name -> what makes a model that has seen no text yet.
ROTATING: dict[str, Callable[[], Any]] = {
    "phi3-longrope": lambda: with_rotation("phi3", longrope(), 48),
    "llama-dynamic": lambda: with_rotation("llama", dynamic(), LIMIT),
    "llama-longrope": lambda: with_rotation("llama", longrope(), 48),
    "gpt_neox-dynamic": lambda: with_rotation("gpt_neox", dynamic(), LIMIT),
    "gemma3_text-dynamic": lambda: with_rotation("gemma3_text", dynamic(), LIMIT),
    "modernbert-dynamic": lambda: with_rotation("modernbert", dynamic(), LIMIT),
    "modernbert-longrope": lambda: with_rotation("modernbert", longrope(), 48),
}


def rotations_of(backbone: LoadedBackbone) -> dict[str, Any]:
    stack = backbone.model.get_submodule(backbone.family.stacks[0])
    return changing_rotations(stack, backbone.family)


@pytest.fixture(params=ROTATING)
def backbone(request: pytest.FixtureRequest) -> LoadedBackbone:
    return loaded_as(request.param, ROTATING[request.param]())


def test_sweep_equals_that_of_a_model_that_has_seen_no_other_text(
    backbone: LoadedBackbone,
) -> None:
    prompts = prompts_for(backbone.family.kind, LENGTHS)
    expected = []
    for prompt in prompts:
        fresh = loaded_as("fresh", ROTATING[backbone.fingerprint]())
        expected.append(reference_proba(fresh, prompt))
    reference_proba(backbone, prompts[8])  # 30 tokens: the user's own
    np.testing.assert_allclose(label_proba(backbone, prompts), expected, atol=1e-5)
    last_first = label_proba(backbone, prompts[::-1], batch_tokens=40)[::-1]
    np.testing.assert_allclose(last_first, expected, atol=1e-5)
    one_by_one = np.concatenate([label_proba(backbone, [p]) for p in reversed(prompts)])
    np.testing.assert_allclose(one_by_one[::-1], expected, atol=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_a_text_gives_the_same_alone_and_beside_longer_ones(
    backbone: LoadedBackbone, way: str
) -> None:
    prompts = prompts_for(backbone.family.kind, LENGTHS)
    m = Engine(backbone).n_layers
    leaving = np.random.default_rng(2).integers(0, m + 1, len(prompts))
    assert_alone_as_together(backbone, prompts, leaving, WAYS[way])


def test_model_is_left_as_it_was(backbone: LoadedBackbone) -> None:
    before = {path: deepcopy(vars(r)) for path, r in rotations_of(backbone).items()}
    assert before
    label_proba(backbone, prompts_for(backbone.family.kind, LENGTHS))
    for path, rotation in rotations_of(backbone).items():
        after = vars(rotation)
        assert after.keys() == before[path].keys()
        assert after["max_seq_len_cached"] == before[path]["max_seq_len_cached"]
        for name, frequencies in after["_buffers"].items():
            assert torch.equal(frequencies, before[path]["_buffers"][name])


def test_threads_with_long_and_short_texts_find_what_one_finds(
    backbone: LoadedBackbone,
) -> None:
    kind = backbone.family.kind
    work = [prompts_for(kind, (5, 9)), prompts_for(kind, (30,))] * 8
    expected = [label_proba(backbone, prompts) for prompts in work[:2]]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda prompts: label_proba(backbone, prompts), work))
    for i, proba in enumerate(found):
        np.testing.assert_array_equal(proba, expected[i % 2])


@pytest.mark.parametrize("name", ["phi3-longrope", "llama-dynamic"])
def test_loss_of_a_text_does_not_depend_on_longer_ones(name: str) -> None:
    backbone = loaded_as(name, ROTATING[name]())
    exercises = [
        Exercise(p, tuple(range(len(p.ids) - 1)), p.ids[1:])
        for p in prompts_for("causal", LENGTHS)
    ]
    n = [len(e.targets) for e in exercises]
    together = losses_without(backbone, [], exercises)
    alone = [losses_without(backbone, [], [exercise]) for exercise in exercises]
    for block, loss in together.items():
        assert loss == pytest.approx(np.average([a[block] for a in alone], weights=n))


def test_rotation_that_stays_the_same_is_shared() -> None:
    yarn = {"rope_type": "yarn", "factor": 4.0, "rope_theta": 100.0}
    backbone = loaded_as("yarn", with_rotation("llama", yarn, 48))
    assert not rotations_of(backbone)


def test_batches_hold_rows_of_one_side() -> None:
    lengths = [5, 30, 4, 14, 13, 14, 3]
    sides = [max(n, 12) for n in lengths]
    seen: list[list[int]] = []
    cutter = Cutter(lengths, sides=sides)
    run_batches(cutter, 40, lambda rows: seen.append([lengths[i] for i in rows]))
    assert seen == [[30], [14, 14], [13], [5, 4, 3]]


# From an estimator's side


def texts(n: int, seed: int, n_words: tuple[int, int]) -> list[str]:
    rng = np.random.default_rng(seed)
    return [
        " ".join(f"w{i}" for i in rng.integers(3, 62, rng.integers(*n_words)))
        for _ in range(n)
    ]


@pytest.mark.parametrize("encoder", [None, 1])
@pytest.mark.parametrize("readout", ["lm_head", "ridge"])
def test_short_texts_are_answered_and_stored_alike_beside_a_long_one(
    readout: Any, encoder: Any
) -> None:
    X = texts(40, 0, (2, 8))
    y = np.arange(40) % 2
    X_new, long_text = texts(30, 1, (2, 8)), texts(1, 2, (25, 26))
    classifiers = []
    for X_fit, y_fit in ((X, y), ([*long_text, *X], [0, *y])):
        clf = RAEEClassifier(
            Backbone(ROTATING["phi3-longrope"](), small_tokenizer()),
            "{text} w5",
            label_words={0: "w9", 1: "w17"},
            encoder=encoder,
            readout=readout,
            memory=None,
        )
        classifiers.append(clf.fit(X_fit, y_fit))
    short, beside = classifiers
    stored, plain = beside.sweep(long_text + X), short.sweep(X)
    np.testing.assert_allclose(stored.keys[1:], plain.keys, atol=1e-5)
    read = "logits" if readout == "lm_head" else "states"
    found, expected = getattr(stored, read), getattr(plain, read)
    np.testing.assert_allclose(found[1:], expected, atol=1e-5)
    together = short.predict_proba(long_text + X_new)[1:]
    alone = np.concatenate([short.predict_proba([text]) for text in X_new])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(short.predict_proba(X_new), alone, atol=1e-6)


# Of "dynamic" the frequencies change where a plain encoder's texts are cut.
@pytest.mark.parametrize("name", ["llama-longrope", "modernbert-longrope"])
def test_encoder_gives_a_text_the_same_vector_beside_longer_ones(
    name: str, tmp_path: Path
) -> None:
    ROTATING[name]().base_model.save_pretrained(tmp_path)
    small_tokenizer().save_pretrained(tmp_path)
    words = [f"w{i}" for i in range(3, 43)]
    texts = [" ".join(words[:n]) for n in (5, 9, 30, 12, 14, 40, 3)]
    encoder = Encoder(tmp_path)
    together = encoder.encode(texts)
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_array_equal(encoder.encode(texts), together)
