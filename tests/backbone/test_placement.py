"""Models whose layers are on several devices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from skraee import Backbone, EarlyExitClassifier, RAEEClassifier, toy
from skraee.backbone import placement, precision
from skraee.backbone.families import FAMILIES
from skraee.backbone.loaded import LoadedBackbone
from skraee.backbone.placement import place, spread
from skraee.engine import agreement, head, head_view
from skraee.engine.engine import Engine
from skraee.engine.prefix import kept_prefixes
from skraee.text.prompt import Prompt
from skraee.text.tokenizer import TextTokenizer
from tests.support.checkpoints import small_tokenizer
from tests.support.models import MODELS, loaded, loaded_as, tiny_model, toy_objects
from tests.support.pretended import CARDS, PretendedDevices, bring, device_of
from tests.support.prompts import prompts_for
from tests.support.ways import WAYS

CPU = torch.device("cpu")
LENGTHS = (9, 4, 14, 6, 9, 7)


# How layers are spread


@pytest.mark.parametrize(
    ("layers", "rest", "rooms", "places"),
    [
        ([4, 4, 4], 2, [14], [0, 0, 0]),
        ([4, 4, 4], 2, [14, 99], [0, 0, 0]),
        ([4, 4, 4], 2, [13, 99], [0, 0, 1]),
        ([4, 4, 4], 2, [2, 99], [1, 1, 1]),
        ([4, 4, 4, 4], 2, [6, 3, 8, 99], [0, 2, 2, 3]),
        ([1, 9, 1], 0, [5, 20], [0, 1, 1]),  # in order, even where one fits before
        ([4, 4], 2, [6, float("inf")], [0, 1]),
    ],
)
def test_layers_go_in_order_to_the_first_device_with_room(
    layers: list[int], rest: int, rooms: list[float], places: list[int]
) -> None:
    assert spread(layers, rest, rooms) == places


@pytest.mark.parametrize(
    ("layers", "rest", "rooms"),
    [([4, 4], 2, [9]), ([4, 4], 2, [6, 3]), ([4], 5, [4, 99])],
)
def test_too_little_room_is_a_clear_error(
    layers: list[int], rest: int, rooms: list[float]
) -> None:
    with pytest.raises(ValueError, match=r"^the model's weights take .*such as 'cpu'"):
        spread(layers, rest, rooms)


# What layers on several devices answer


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let there be two devices beside the CPU."""
    monkeypatch.setattr(placement, "_bring", bring)
    monkeypatch.setattr(placement, "_room", lambda device: 0.0)
    for module in (head, head_view):  # a copy would be of no pretended device
        monkeypatch.setattr(module, "float32_copy", lambda part: part)
    monkeypatch.setattr(agreement, "settings_hash_of", lambda model: "")
    with PretendedDevices():
        yield


def spread_after(n_layers: int) -> Any:
    """Let the first device have room for so many layers, and the second for all."""

    def spread_so(layers: list[int], rest: int, rooms: list[float]) -> list[int]:
        return spread(layers, rest, [rest + sum(layers[:n_layers]), float("inf")])

    return spread_so


def on_cards(
    name: str, n_layers: int, monkeypatch: pytest.MonkeyPatch
) -> LoadedBackbone:
    """Make a model of the table whose first layers are on one device."""
    model = tiny_model(name)
    monkeypatch.setattr(placement, "spread", spread_after(n_layers))
    place(model, FAMILIES[model.config.model_type], CARDS)
    devices = {device_of(weight) for weight in model.parameters()}
    assert devices == {*CARDS} or name == "albert"  # whose layers are one
    return replace(loaded_as(name, model), device=CARDS[0])


@pytest.mark.usefixtures("pretended")
@pytest.mark.parametrize("n_layers", [0, 1])
@pytest.mark.parametrize("name", MODELS)
def test_layers_on_two_devices_answer_as_on_one(
    name: str, n_layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_one = Engine(loaded(name))
    prompts = prompts_for(on_one.backbone.family.kind, LENGTHS)
    on_two = Engine(on_cards(name, n_layers, monkeypatch))
    exits = np.random.default_rng(2).integers(0, on_one.n_layers + 1, len(prompts))
    for way in WAYS.values():
        found, expected = way(on_two, prompts, exits), way(on_one, prompts, exits)
        for answer, values in expected.items():
            np.testing.assert_array_equal(found[answer], values, err_msg=answer)


@pytest.mark.usefixtures("pretended")
def test_pretended_devices_do_not_meet() -> None:
    one, other = (torch.ones(2, device=card) for card in CARDS)
    assert (one.device, (one + one).device, one.cpu().device) == (*CARDS[:1] * 2, CPU)
    for meeting in (
        lambda: one + other,
        lambda: one + torch.ones(2),
        lambda: one[other.long()],
        lambda: torch.cat([one, other]),
        lambda: one.numpy(),
    ):
        with pytest.raises(RuntimeError, match="tensor"):
            meeting()
    assert (one + other.to(one.device)).device == CARDS[0]


@pytest.mark.usefixtures("pretended")
def test_first_tokens_that_are_kept_lie_where_their_layers_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backbone = on_cards("gemma3_text", 1, monkeypatch)
    first, on_one = (7, 8, 9, 10, 11, 12), Engine(loaded("gemma3_text"))
    prompts = [
        Prompt(first + p.ids, p.read + len(first), p.spans, n_prefix=len(first))
        for p in prompts_for("causal", LENGTHS)
    ]
    depths = np.arange(len(prompts)) % (on_one.n_layers + 1)
    found, expected = (
        WAYS["given"](engine, prompts, depths) for engine in (Engine(backbone), on_one)
    )
    np.testing.assert_array_equal(found["scores"], expected["scores"])
    (kept,) = kept_prefixes(backbone).names()
    layers = kept_prefixes(backbone).get(kept, list).layers
    assert {device_of(layer.keys) for layer in layers} == {*CARDS}


@pytest.mark.usefixtures("pretended")
@pytest.mark.parametrize("name", ["mpnet", "gemma3_text", "t5"])
def test_the_look_believes_a_model_on_two_devices(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = on_cards(name, 1, monkeypatch)
    agreement.check_agreement(
        replace(backbone, tokenizer=TextTokenizer.from_hf(small_tokenizer()))
    )


def test_layers_that_share_weights_are_not_spread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny_model("gpt2")
    model.transformer.h[1].mlp = model.transformer.h[0].mlp
    monkeypatch.setattr(placement, "spread", spread_after(1))
    with pytest.raises(ValueError, match=r"^layers of this GPT2LMHeadModel share"):
        place(model, FAMILIES["gpt2"], CARDS)


# How devices are named


def test_several_devices_are_taken_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "resolve_device", torch.device)
    named = ["cuda:1", torch.device("cuda:0"), "cpu"]
    found = precision.resolve_devices(named)
    assert found == tuple(map(torch.device, ["cuda:1", "cuda:0", "cpu"]))


@pytest.mark.parametrize("n_gpus", [0, 1, 2, 3])
def test_auto_is_all_gpus(n_gpus: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    monkeypatch.setattr(
        precision, "resolve_device", lambda d: torch.device("cuda:0" if n_gpus else CPU)
    )
    gpus = tuple(torch.device("cuda", number) for number in range(n_gpus))
    assert precision.resolve_devices("auto") == (gpus or (CPU,))


@pytest.mark.parametrize(
    ("device", "match"),
    [
        ([], r"^device must name each of several devices once, got \[\]"),
        (
            ["cpu", torch.device("cpu")],
            "^device must name each of several devices once",
        ),
        (["cpu", "cuda:99"], "^device 'cuda:99' is not to be had here"),
        (["cpu", 3.5], "^device 3.5 is not to be had here"),
    ],
)
def test_devices_that_cannot_be_are_refused_before_anything_runs(
    device: Any, match: str
) -> None:
    clf = RAEEClassifier(toy.backbone(), "{text}", device=device)
    with pytest.raises(ValueError, match=match):
        clf.fit(*toy.reviews(20))


def test_a_file_keeps_several_devices(tmp_path: Path) -> None:
    X, y = toy.reviews(30)
    clf = EarlyExitClassifier(toy.backbone(), threshold=0.9, device=["cpu"]).fit(X, y)
    clf.save(tmp_path / "clf")
    read = EarlyExitClassifier.load(tmp_path / "clf")
    assert read.device == ["cpu"]
    np.testing.assert_array_equal(read.predict_proba(X), clf.predict_proba(X))


def test_a_model_that_accelerate_has_spread_is_refused() -> None:
    model, tokenizer = toy_objects()
    model.hf_device_map = {"model.layers.0": 0, "model.layers.1": 1}
    with pytest.raises(ValueError, match=r"^accelerate has spread the model over"):
        Backbone(model, tokenizer)
    model.hf_device_map = {"": "cpu"}
    assert Backbone(model, tokenizer).load().device == CPU


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("name", ["mpnet", "gemma3_text", "t5"])
def test_layers_on_a_gpu_and_the_cpu_answer_as_on_one(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_cpu = Engine(loaded(name))
    prompts = prompts_for(on_cpu.backbone.family.kind, LENGTHS)
    gpu = torch.device("cuda:0")
    model = tiny_model(name)
    monkeypatch.setattr(placement, "spread", spread_after(1))
    place(model, FAMILIES[model.config.model_type], (gpu, CPU))
    on_both = Engine(replace(loaded_as(name, model), device=gpu))
    exits = np.random.default_rng(2).integers(0, on_cpu.n_layers + 1, len(prompts))
    for way in WAYS.values():
        found, expected = way(on_both, prompts, exits), way(on_cpu, prompts, exits)
        for answer, values in expected.items():
            np.testing.assert_allclose(found[answer], values, atol=1e-4)
