"""A damaged model is one clear error that names the file, soon, and leaves nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from benchmarks.trust import folders
from benchmarks.trust.damages import Damage, damages
from benchmarks.trust.models import error_of, fit_on, is_clear
from skraee import Encoder
from skraee.backbone.claims import refuse_false_counts, refuse_more_layers
from skraee.backbone.handle import Backbone
from tests.support.checkpoints import change_settings, saved, small_tokenizer
from tests.support.models import tiny_model

pytestmark = pytest.mark.usefixtures("fresh_backbones")

# One of each kind; the others are tried where there is time.
KINDS = (
    "config.json: deep",
    "config.json: architectures [7]",
    "config.json: num_hidden_layers 10000000",
    "config.json: num_hidden_layers 0",
    "config.json: max_position_embeddings 1000000000000",
    "config.json: hidden_act 'no_such_function'",
    "config.json: 10000000 shared layers",
    "config.json: 2 of 4 layers (masked)",
    "config.json: 2 of 4 layers (causal)",
    "model.safetensors.index.json: a map to numbers",
    "model.safetensors.index.json: leads outside",
    "shards: a link outside",
    "model.safetensors: a header of 2**63 bytes",
    "model.safetensors: NaN",
    "model.safetensors: infinite",
    "model.safetensors: whole numbers",
    "pytorch_model.bin: cut off",
    "pytorch_model.bin.index.json: leads outside",
    "tokenizer.json: added token 2147483648",
    "tokenizer.json: mask 99",
    "tokenizer_config.json: deep",
    "modules.json: leads to nothing",
    "config.json: a link outside",
    "model.gguf: cut off in its header",
    "model.gguf: 10000000 layers",
    "model.gguf: 2 layers",
    "model.gguf: NaN",
)
ALL = {str(damage): damage for damage in damages()}


def parameters() -> list[Any]:
    return [
        pytest.param(one, id=name, marks=() if name in KINDS else pytest.mark.slow)
        for name, one in ALL.items()
    ]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SKRAEE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_kinds_are_among_the_damages() -> None:
    assert set(KINDS) <= ALL.keys()
    assert len(ALL) >= 150


@pytest.mark.parametrize("damage", parameters())
def test_damage_is_one_clear_error(damage: Damage, tmp_path: Path, cache: Path) -> None:
    if damage.whole is folders.gguf:
        pytest.importorskip("gguf")
    folder = tmp_path / "model"
    damage.whole(folder)
    damage.change(folder)
    began = time.monotonic()
    error = error_of(lambda: fit_on(damage, folder))
    assert time.monotonic() - began < 30  # of which a busy machine needs its share
    assert error is not None
    assert is_clear(error, damage), repr(error)
    assert not [file for file in cache.rglob("*") if file.is_file()]


WHOLE = (
    folders.masked,
    folders.sharded,
    folders.old_form,
    folders.causal,
    folders.shared_layers,
    folders.sentence,
)


@pytest.mark.parametrize("whole", WHOLE, ids=lambda whole: whole.__name__)
def test_whole_folder_is_fitted(whole: Callable[[Path], None], tmp_path: Path) -> None:
    whole(tmp_path)
    damage = Damage("none", whole, "config.json", lambda folder: None)
    assert error_of(lambda: fit_on(damage, tmp_path)) is None


def test_whole_gguf_file_is_fitted(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    folders.gguf(tmp_path)
    damage = Damage("none", folders.gguf, "model.gguf", lambda folder: None)
    assert error_of(lambda: fit_on(damage, tmp_path)) is None


def test_folder_that_is_a_link_and_links_within_it_are_read(tmp_path: Path) -> None:
    saved(tmp_path / "real")
    (tmp_path / "real" / "weights").mkdir()
    file = tmp_path / "real" / "model.safetensors"
    file.rename(tmp_path / "real" / "weights" / "a.safetensors")
    file.symlink_to("weights/a.safetensors")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert Backbone(tmp_path / "link").load("float32", "cpu").has_head


def test_links_to_the_hubs_cache_are_read(tmp_path: Path) -> None:
    saved(tmp_path / "model")
    blobs = tmp_path / "models--org--tiny" / "blobs"
    blobs.mkdir(parents=True)
    file = tmp_path / "model" / "model.safetensors"
    file.rename(blobs / "0a1b")
    file.symlink_to(blobs / "0a1b")
    assert Backbone(tmp_path / "model").load("float32", "cpu").has_head


@pytest.mark.parametrize(
    "settings",
    [
        {"num_hidden_layers": 512},
        {"num_experts": 600},
        {"hidden_size_per_layer_input": 10**6},
        {"max_position_embeddings": 10**7},
        {"quantization_config": {"block_count": 10**6}},
        {"text_config": {"num_hidden_layers": 600}},
        {"layer_norm_eps": 1e-5, "is_layer": True},
    ],
)
def test_counts_that_models_have_are_believed(settings: dict[str, Any]) -> None:
    refuse_false_counts(Path("config.json"), settings, 600)


@pytest.mark.parametrize(
    "settings",
    [
        {"num_hidden_layers": 601},
        {"text_config": {"n_layer": 10**6}},
        {"num_experts": 10**7},
        {"num_attention_heads": -2},
    ],
)
def test_counts_beyond_the_weights_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^config\.json in '/m' says \w+=-?\d+"):
        refuse_false_counts(Path("/m/config.json"), settings, 600)


@pytest.mark.parametrize(
    "unexpected",
    [
        "cls.seq_relationship.weight",
        "bert.pooler.dense.weight",
        "bert.encoder.layer.9.another.weight",
        "heads.7.weight",
    ],
)
def test_weights_of_other_heads_are_no_layers(unexpected: str) -> None:
    refuse_more_layers(Path("/m"), tiny_model("bert"), [unexpected])


@pytest.mark.parametrize("prefix", ["bert.", ""])
def test_weights_of_a_further_layer_are_refused(prefix: str) -> None:
    name = f"{prefix}encoder.layer.3.output.dense.bias"
    with pytest.raises(ValueError, match=r"config\.json in '/m' says 3 of the layers"):
        refuse_more_layers(Path("/m"), tiny_model("bert"), [name])


def test_a_bias_may_be_infinite_and_take_a_word_out(tmp_path: Path) -> None:
    model = saved(tmp_path)
    with torch.no_grad():
        model.cls.predictions.bias[5] = -torch.inf
    model.save_pretrained(tmp_path)
    assert Backbone(tmp_path).load("float32", "cpu").has_head


def test_object_without_layers_is_refused() -> None:
    config = transformers.LlamaConfig(
        vocab_size=64, hidden_size=16, num_hidden_layers=0, num_attention_heads=2
    )
    model = transformers.LlamaForCausalLM(config).eval()
    with pytest.raises(ValueError, match="no layer to leave at: its config says num"):
        Backbone(model, small_tokenizer()).load()


def test_adapter_whose_settings_are_no_object_is_a_clear_error(tmp_path: Path) -> None:
    saved(tmp_path)
    (tmp_path / "config.json").unlink()
    for settings in ("[]", "junk", "[" * 100_000, '{"base_model_name_or_path": 7}'):
        (tmp_path / "adapter_config.json").write_text(settings)
        with pytest.raises(OSError, match=r"^adapter_config\.json in "):
            Backbone(tmp_path).load()


def test_encoder_that_averages_is_held_against_its_weights_too(tmp_path: Path) -> None:
    saved(tmp_path)
    change_settings(tmp_path, num_hidden_layers=2)
    with pytest.raises(ValueError, match=r"config\.json in .* says 2 of the layers"):
        Encoder(tmp_path).encode(["a"])
    settings = json.loads((tmp_path / "config.json").read_text())
    assert settings["num_hidden_layers"] == 2  # and nothing was written
