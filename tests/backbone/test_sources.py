"""A source is known by what it holds now: objects, folders and files may change."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import AddedToken, normalizers
from torch import nn

from skraee import Encoder, RAEEClassifier, toy
from skraee.backbone import gguf
from skraee.backbone import loaded as loaded_module
from skraee.backbone.handle import Backbone
from skraee.backbone.registry import clear_backbones
from skraee.backbone.source_state import state_of_files, state_of_objects
from skraee.baselines.sleb.block_removal import without_blocks
from skraee.engine.engine import Engine
from skraee.engine.head import label_head
from skraee.exceptions import BackboneChangedError, BackboneDriftWarning
from skraee.sweep.memory import clear_sweeps
from tests.support.checkpoints import change_settings, saved_toy, small_tokenizer
from tests.support.classifiers import raee
from tests.support.models import MODELS, loaded, tiny_model, toy_objects
from tests.support.prompts import LABEL_IDS, prompts_for
from tests.support.runs import label_proba

pytestmark = pytest.mark.usefixtures("fresh_backbones", "fresh_sweeps")

X, Y = toy.reviews(40)
X_NEW, _ = toy.reviews(12, seed=1)

Change = Callable[[Any, Any], None]


classifier = partial(raee, memory="process")


def fresh_proba(model: Any, tokenizer: Any, kind: toy.Kind, **params: Any) -> Any:
    """What a process gives that has seen nothing else."""
    clear_backbones()
    clf = classifier(kind, backbone=Backbone(model, tokenizer), **params)
    return clf.set_params(memory=None).fit(X, Y).layer_proba(X_NEW)


# Changes of objects


@torch.no_grad()
def _scaled(model: Any, tokenizer: Any) -> None:
    for weight in model.parameters():
        weight.mul_(1.5)


def _scaled_behind_the_counter(model: Any, tokenizer: Any) -> None:
    before = model.get_input_embeddings().weight._version
    model.get_input_embeddings().weight.data[20:40] *= -2
    assert model.get_input_embeddings().weight._version == before


def _scaled_by_numpy(model: Any, tokenizer: Any) -> None:
    model.get_input_embeddings().weight.detach().numpy()[20:40] *= -2


def _other_tensor(model: Any, tokenizer: Any) -> None:
    embedding = model.get_input_embeddings()
    embedding.weight = nn.Parameter(-embedding.weight.detach())
    model.tie_weights()


def _other_buffer(model: Any, tokenizer: Any) -> None:
    model.model.rotary_emb.inv_freq.mul_(3)


def _other_number(model: Any, tokenizer: Any) -> None:
    for layer in model.model.layers:
        layer.self_attn.scaling *= 20


def _other_module(model: Any, tokenizer: Any) -> None:
    for layer in model.model.layers:
        layer.mlp.act_fn = nn.Tanh()


def _other_function(model: Any, tokenizer: Any) -> None:
    for layer in model.bert.encoder.layer:
        del layer.intermediate.intermediate_act_fn
        layer.intermediate.intermediate_act_fn = torch.cos


def _layers_swapped(model: Any, tokenizer: Any) -> None:
    layers = model.bert.encoder.layer
    layers[1], layers[2] = layers[2], layers[1]


def _other_setting(model: Any, tokenizer: Any) -> None:
    model.config.decoder_start_token_id = 9


def _other_normalizer(model: Any, tokenizer: Any) -> None:
    replaced = normalizers.Sequence([normalizers.Replace("film", "meal")])
    tokenizer.backend_tokenizer.normalizer = replaced


def _added_token(model: Any, tokenizer: Any) -> None:
    tokenizer.add_tokens([AddedToken("film", normalized=True)])
    tokenizer.add_tokens(["dull and"])
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)


def _other_mask(model: Any, tokenizer: Any) -> None:
    tokenizer.mask_token = "[SEP]"


CHANGES: dict[str, tuple[toy.Kind, Change, str]] = {
    "weights": ("masked", _scaled, "weights"),
    "weights, causal": ("causal", _scaled, "weights"),
    "weights, seq2seq": ("seq2seq", _scaled, "weights"),
    "weights by .data": ("masked", _scaled_behind_the_counter, "weights"),
    "weights by numpy": ("causal", _scaled_by_numpy, "weights"),
    "another tensor": ("masked", _other_tensor, "weights"),
    "layers swapped": ("masked", _layers_swapped, "weights"),
    "buffer": ("causal", _other_buffer, "configuration and modules"),
    "number": ("causal", _other_number, "configuration and modules"),
    "module": ("causal", _other_module, "configuration and modules"),
    "function": ("masked", _other_function, "configuration and modules"),
    "configuration": ("seq2seq", _other_setting, "configuration and modules"),
    "normalizer": ("masked", _other_normalizer, "tokenizer"),
    "tokens": ("masked", _added_token, "weights"),
    "special token": ("masked", _other_mask, "tokenizer"),
}


@pytest.mark.slow
@pytest.mark.parametrize("memory", ["process", "folder"])
@pytest.mark.parametrize("case", CHANGES)
def test_a_new_fit_takes_an_object_as_it_is_now(
    case: str, memory: str, tmp_path: Path
) -> None:
    kind, change, what = CHANGES[case]
    model, tokenizer = toy_objects(kind)
    backbone = Backbone(model, tokenizer)
    params = {"memory": memory if memory == "process" else tmp_path}
    before = classifier(kind, backbone=backbone, **params).fit(X, Y)
    old = before.layer_proba(X_NEW)
    change(model, tokenizer)
    with pytest.raises(BackboneChangedError, match=rf"the {what}.*fit again"):
        before.predict(X_NEW)
    again = classifier(kind, backbone=backbone, **params).fit(X, Y)
    found = again.layer_proba(X_NEW)
    np.testing.assert_array_equal(again.layer_proba(X_NEW), found)
    assert np.abs(found - old).max() > 1e-3
    expected = fresh_proba(model, tokenizer, kind)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("params", [{"readout": "ridge"}, {"encoder": 2}])
def test_all_that_a_fit_reads_follows_the_object(params: dict[str, Any]) -> None:
    model, tokenizer = toy_objects()
    backbone = Backbone(model, tokenizer)
    classifier(backbone=backbone, **params).fit(X, Y).predict(X)
    _scaled_behind_the_counter(model, tokenizer)
    found = classifier(backbone=backbone, **params).fit(X, Y)
    again = found.predict_proba(X_NEW)
    clear_backbones()
    clear_sweeps()
    expected = classifier(backbone=Backbone(model, tokenizer), **params).fit(X, Y)
    np.testing.assert_allclose(again, expected.predict_proba(X_NEW), atol=1e-6)


def test_a_copy_in_another_dtype_follows_the_object() -> None:
    model, tokenizer = toy_objects()
    backbone = Backbone(model, tokenizer)
    old = backbone.load("bfloat16")
    assert backbone.load("bfloat16") is old
    _scaled(model, tokenizer)
    new = backbone.load("bfloat16")
    assert new.fingerprint != old.fingerprint
    weight = model.get_input_embeddings().weight
    found = new.model.get_input_embeddings().weight
    assert torch.equal(found, weight.to(torch.bfloat16))


def test_blocks_left_out_follow_the_object() -> None:
    model, tokenizer = toy_objects()
    backbone = Backbone(model, tokenizer)
    old = without_blocks(backbone.load(), [1])
    assert without_blocks(backbone.load(), [1]) is old
    before = label_proba(old)
    _other_tensor(model, tokenizer)
    found = label_proba(without_blocks(backbone.load(), [1]))
    assert np.abs(found - before).max() > 0.01
    fresh = Backbone(deepcopy(model), tokenizer).load()
    np.testing.assert_array_equal(found, label_proba(without_blocks(fresh, [1])))


def test_an_object_changed_back_serves_its_estimators_again() -> None:
    model, tokenizer = toy_objects()
    clf = classifier(backbone=Backbone(model, tokenizer), memory=None).fit(X, Y)
    expected = clf.predict_proba(X_NEW)
    bias = model.cls.predictions.bias
    with torch.no_grad():
        bias[7] += 1
    with pytest.raises(BackboneChangedError, match="the weights of backbone"):
        clf.predict(X_NEW)
    with torch.no_grad():
        bias[7] -= 1
    np.testing.assert_array_equal(clf.predict_proba(X_NEW), expected)


@pytest.mark.parametrize("name", MODELS)
def test_running_changes_nothing_that_tells_what_a_model_is(name: str) -> None:
    backbone = loaded(name)
    before = state_of_objects(backbone.model, small_tokenizer())[:-1]
    prompts = prompts_for(backbone.family.kind)
    Engine(backbone).sweep(prompts, label_head(backbone, LABEL_IDS))
    assert state_of_objects(backbone.model, small_tokenizer())[:-1] == before
    assert state_of_objects(tiny_model(name), small_tokenizer())[:-1] == before


@pytest.mark.parametrize("kind", ["dynamic", "longrope"])
def test_rotations_that_stretch_with_a_batch_are_no_change(kind: str) -> None:
    import transformers

    rope: dict[str, Any] = {"rope_type": kind, "factor": 2.0, "rope_theta": 1e4}
    if kind == "longrope":
        halves = {"short_factor": [1.0] * 4, "long_factor": [2.0] * 4}
        rope |= {**halves, "original_max_position_embeddings": 32}
    config = transformers.LlamaConfig(
        vocab_size=64,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=64 if kind == "longrope" else 32,
        rope_parameters=rope,
    )
    model = transformers.LlamaForCausalLM(config).eval()
    before = state_of_objects(model, small_tokenizer())[:-1]
    with torch.no_grad():
        model(torch.ones(1, 50, dtype=torch.long))
    assert state_of_objects(model, small_tokenizer())[:-1] == before


# Changes of files


def write_over(folder: Path, seed: int = 1) -> None:
    """Put other weights into a folder, file by file in place."""
    model, _ = toy_objects(seed=seed)
    beside = folder.with_name("beside")
    model.save_pretrained(beside)
    for file in beside.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    shutil.rmtree(beside)


def write_other_normalizer(folder: Path) -> None:
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    content["normalizer"] = {"type": "Replace", "pattern": {"String": "film"}}
    content["normalizer"] |= {"content": "meal"}
    path.write_text(json.dumps(content))


FILE_CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "weights": (write_over, "weights"),
    "tokenizer": (write_other_normalizer, "tokenizer"),
    "configuration": (
        lambda folder: change_settings(folder, hidden_act="relu"),
        "configuration and modules",
    ),
}


@pytest.mark.parametrize("memory", ["process", "folder"])
@pytest.mark.parametrize("case", FILE_CHANGES)
@pytest.mark.parametrize("as_handle", [False, True])
def test_a_new_fit_takes_a_folder_as_it_is_now(
    case: str, memory: str, as_handle: bool, tmp_path: Path
) -> None:
    change, what = FILE_CHANGES[case]
    folder = saved_toy(tmp_path / "model")
    source: Any = Backbone(folder) if as_handle else folder
    params = {"memory": memory if memory == "process" else tmp_path / "sweeps"}
    params |= {"dtype": "float32"}
    before = classifier(backbone=source, **params).fit(X, Y)
    old = before.layer_proba(X_NEW)
    change(folder)
    with pytest.raises(BackboneChangedError, match=f"the {what}"):
        before.predict(X_NEW)
    found = classifier(backbone=source, **params).fit(X, Y).layer_proba(X_NEW)
    assert np.abs(found - old).max() > 1e-3
    clear_backbones()
    expected = classifier(backbone=folder, **{**params, "memory": None}).fit(X, Y)
    np.testing.assert_array_equal(found, expected.layer_proba(X_NEW))


def test_files_that_did_not_change_are_read_once(tmp_path: Path) -> None:
    backbone = Backbone(saved_toy(tmp_path / "model"))
    first = backbone.load("float32")
    (tmp_path / "model" / "training.log").write_text("no part of a model")
    assert backbone.load("float32") is first
    os.utime(tmp_path / "model" / "config.json")
    assert backbone.load("float32") is not first


def test_a_folder_that_is_gone_serves_from_memory(tmp_path: Path) -> None:
    folder = saved_toy(tmp_path / "model")
    clf = classifier(backbone=folder, memory=None).fit(X, Y)
    expected = clf.predict_proba(X_NEW)
    shutil.rmtree(folder)
    np.testing.assert_array_equal(clf.predict_proba(X_NEW), expected)


def test_a_gguf_file_that_was_replaced_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "model.gguf"
    for name, seed in (("one", 0), ("other", 1)):
        write_over(saved_toy(tmp_path / name), seed)
    monkeypatch.setattr(gguf, "unpacked", lambda file: tmp_path / file.read_text())
    file.write_text("one")
    clf = classifier(backbone=file, dtype="float32").fit(X, Y)
    file.write_text("other")
    with pytest.raises(BackboneChangedError, match="the weights of backbone"):
        clf.predict(X_NEW)
    found = classifier(backbone=file, dtype="float32").fit(X, Y).layer_proba(X_NEW)
    expected = classifier(backbone=tmp_path / "other", dtype="float32").fit(X, Y)
    np.testing.assert_array_equal(found, expected.layer_proba(X_NEW))


def test_what_a_source_holds_is_told_without_reading_it(tmp_path: Path) -> None:
    folder = saved_toy(tmp_path / "model")
    state = state_of_files(folder)
    assert state is not None
    assert {Path(name).name for name, *_ in state} >= {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    }
    (folder / "model.safetensors").chmod(0)
    assert state_of_files(folder) == state
    assert state_of_files(tmp_path / "nowhere") is None


# Pickles


def test_a_pickle_is_not_held_to_what_other_versions_hash_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = Backbone(saved_toy(tmp_path / "model"))
    pinned = backbone.pinned_to(backbone.load("float32"))
    again = pickle.loads(pickle.dumps(pinned))
    clear_backbones()
    monkeypatch.setattr(loaded_module, "settings_with_pooling", lambda *_: "otherwise")
    assert again.load("float32").settings_hash == "otherwise"
    with pytest.raises(BackboneChangedError, match="the configuration and modules"):
        pinned.load("float32")
    write_over(tmp_path / "model")
    with pytest.raises(BackboneChangedError, match="the weights of backbone"):
        again.load("float32")


def test_a_pickled_estimator_is_held_to_weights_and_tokenizer(tmp_path: Path) -> None:
    folder = saved_toy(tmp_path / "model")
    data = pickle.dumps(classifier(backbone=folder).fit(X, Y))
    write_other_normalizer(folder)
    clear_backbones()
    with pytest.raises(BackboneChangedError, match="the tokenizer's tokens and set"):
        pickle.loads(data).predict(X_NEW)


def test_a_loaded_file_probes_a_folder_again_that_changed(tmp_path: Path) -> None:
    folder = saved_toy(tmp_path / "model")
    classifier(backbone=folder, dtype="float32").fit(X, Y).save(tmp_path / "clf.skraee")
    clf = RAEEClassifier.load(tmp_path / "clf.skraee")
    clf.predict(X_NEW)
    change_settings(folder, hidden_act="relu")
    with pytest.warns(BackboneDriftWarning, match="its configuration has changed"):
        clf.predict(X_NEW)


# Encoders


@pytest.fixture
def plain_encoder(tmp_path: Path) -> Path:
    model, tokenizer = toy_objects()
    model.bert.save_pretrained(tmp_path / "encoder")
    tokenizer.save_pretrained(tmp_path / "encoder")
    return tmp_path / "encoder"


@pytest.mark.parametrize("memory", ["process", "folder"])
def test_a_new_fit_takes_an_encoders_folder_as_it_is_now(
    plain_encoder: Path, memory: str, tmp_path: Path
) -> None:
    encoder = Encoder(plain_encoder)
    params = {"memory": memory if memory == "process" else tmp_path / "sweeps"}
    params |= {"encoder": encoder}
    before = classifier(**params).fit(X, Y)
    old, _ = before.kneighbors(X_NEW, 3)
    toy_objects(seed=1)[0].bert.save_pretrained(plain_encoder)
    with pytest.raises(BackboneChangedError, match="the weights of encoder"):
        before.predict(X_NEW)
    found, _ = classifier(**params).fit(X, Y).kneighbors(X_NEW, 3)
    assert np.abs(found - old).max() > 1e-3
    clear_backbones()
    fresh = classifier(encoder=plain_encoder, memory=None).fit(X, Y)
    np.testing.assert_array_equal(found, fresh.kneighbors(X_NEW, 3)[0])


class Adapter(nn.Module):
    """A layer that keeps what decides in places of its own, as adapters do."""

    def __init__(self) -> None:
        super().__init__()
        self.scaling = {"default": 1.0, "other": object()}
        self.factors = [1.0, {"more": 1.0}]
        self.table = np.ones(2)
        self._scale = 1.0

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        factor = self.scaling["default"] * self.factors[0] * self._scale  # type: ignore[operator]
        return torch.relu(states) * float(factor) * float(self.table[0])


def change_dict(adapter: Adapter) -> None:
    adapter.scaling["default"] = 5.0


def change_list(adapter: Adapter) -> None:
    adapter.factors[0] = 5.0


def change_array(adapter: Adapter) -> None:
    adapter.table[0] = 5.0


def change_private(adapter: Adapter) -> None:
    adapter._scale = 5.0


@pytest.mark.parametrize(
    "change", [change_dict, change_list, change_array, change_private]
)
def test_what_an_adapter_keeps_is_part_of_the_model(
    change: Callable[[Adapter], None],
) -> None:
    model, tokenizer = toy_objects()
    adapter = Adapter()
    model.bert.encoder.layer[1].intermediate.intermediate_act_fn = adapter
    X, y = toy.reviews(40)
    backbone = Backbone(model, tokenizer)
    before = classifier(backbone=backbone).fit(X, y)
    first = before.layer_proba(X)
    change(adapter)
    again = classifier(backbone=backbone).fit(X, y).layer_proba(X)
    assert np.abs(again - first).max() > 1e-3
    with pytest.raises(BackboneChangedError, match="configuration and modules"):
        before.predict(X)


def test_state_of_a_folder_counts_its_files_and_those_of_its_modules(
    tmp_path: Path,
) -> None:
    modules = [{"idx": 0, "name": "0", "path": "1_Pooling", "type": "models.Pooling"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "1_Pooling" / "onnx").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    before = state_of_files(tmp_path)
    counted = ["model.safetensors", "1_Pooling/config.json", "1_Pooling/onnx/a.json"]
    for name in counted:
        (tmp_path / name).write_text("{}")
        now = state_of_files(tmp_path)
        assert now != before
        before = now
    for name in ("notes.md", "other/config.json", "1_Pooling/onnx/a.onnx"):
        (tmp_path / name).write_text("{}")
        assert state_of_files(tmp_path) == before
