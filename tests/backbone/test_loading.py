"""Folders, hub names and GGUF files become models, wholly and safely or not at all."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from huggingface_hub import constants
from huggingface_hub.utils import filter_repo_objects
from transformers.utils import logging as library_logging

from skraee import templates
from skraee.backbone import hub
from skraee.backbone.families import FAMILIES
from skraee.backbone.handle import Backbone
from skraee.backbone.loaded import LoadedBackbone
from skraee.backbone.quiet import quiet_loading
from skraee.engine.agreement import check_agreement
from skraee.engine.cost import depth_costs
from skraee.engine.engine import Engine
from skraee.engine.head import label_head
from tests.support.checkpoints import (
    COMMIT,
    change_settings,
    into_hub_cache,
    saved,
    small_tokenizer,
    with_weights,
)
from tests.support.models import MODELS, loaded, tiny_model
from tests.support.prompts import prompts_for
from tests.support.runs import label_proba
from tests.support.walk import tiny_text_model

pytestmark = pytest.mark.usefixtures("fresh_backbones")

OLD_FORM = pytest.mark.filterwarnings("ignore:.*pytorch_model.bin only:UserWarning")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the libraries believe in a network, and note every attempt to use it."""
    attempts: list[str] = []

    def connect(self: socket.socket, address: Any) -> None:
        attempts.append(str(address))
        raise OSError("there is no network here")

    def resolve(host: Any, *args: Any, **kwargs: Any) -> None:
        attempts.append(str(host))
        raise socket.gaierror("there is no network here")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return attempts


def load(folder: Path) -> LoadedBackbone:
    return Backbone(folder).load(dtype="float32", device="cpu")


def assert_same_weights(found: Any, expected: Any) -> None:
    weights = expected.state_dict()
    assert found.state_dict().keys() == weights.keys()
    for name, tensor in found.state_dict().items():
        assert torch.equal(tensor, weights[name]), name


# Whole checkpoints


@pytest.mark.parametrize("name", MODELS)
def test_folder_of_each_family_gives_the_label_logits_of_the_model(
    name: str, tmp_path: Path
) -> None:
    saved(tmp_path, name)
    found = load(tmp_path)
    assert not found.model.training
    np.testing.assert_array_equal(label_proba(found), label_proba(loaded(name)))


@pytest.mark.parametrize("name", ["bert", "gpt2", "gemma3_text", "t5"])
def test_sharded_safetensors_load_whole(name: str, tmp_path: Path) -> None:
    model = saved(tmp_path, name, max_shard_size="4KB")
    assert not (tmp_path / "model.safetensors").exists()
    assert_same_weights(load(tmp_path).model, model)


@OLD_FORM
@pytest.mark.parametrize("name", MODELS)
def test_pytorch_file_with_tied_copies_of_each_family_loads_whole(
    name: str, tmp_path: Path
) -> None:
    model = tiny_model(name)
    with_weights(tmp_path, model.config, model.state_dict(), "bin")
    assert_same_weights(load(tmp_path).model, model)


def _renamed(weights: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    return {name.replace(old, new): tensor for name, tensor in weights.items()}


def _without(weights: dict[str, Any], *parts: str) -> dict[str, Any]:
    return {
        name: tensor
        for name, tensor in weights.items()
        if not any(part in name for part in parts)
    }


def _bert_base_uncased(weights: dict[str, Any]) -> dict[str, Any]:
    weights = _without(weights, "decoder")
    weights = _renamed(weights, "LayerNorm.weight", "LayerNorm.gamma")
    weights = _renamed(weights, "LayerNorm.bias", "LayerNorm.beta")
    return weights | {
        "bert.pooler.dense.weight": torch.zeros(16, 16),
        "bert.embeddings.position_ids": torch.arange(160)[None],
        "cls.seq_relationship.weight": torch.zeros(2, 16),
    }


def _gpt2(weights: dict[str, Any]) -> dict[str, Any]:
    weights = _renamed(_without(weights, "lm_head"), "transformer.", "")
    return weights | {"h.0.attn.bias": torch.ones(1, 1, 160, 160)}


def _t5_small(weights: dict[str, Any]) -> dict[str, Any]:
    extra = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    return _without(weights, "lm_head") | {extra: torch.zeros(32, 2)}


def _pythia(weights: dict[str, Any]) -> dict[str, Any]:
    return weights | {
        "gpt_neox.layers.0.attention.masked_bias": torch.tensor(-1e9),
        "gpt_neox.layers.0.attention.rotary_emb.inv_freq": torch.ones(2),
    }


#: How checkpoints name their weights on the hub, where that is not how they are saved.
PUBLISHED: dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "bert-base-uncased": ("bert", _bert_base_uncased),
    "roberta-large": (
        "roberta",
        lambda w: (
            _without(w, "lm_head.decoder")
            | {"roberta.embeddings.position_ids": torch.arange(160)[None]}
        ),
    ),
    "distilbert": ("distilbert", lambda w: _without(w, "vocab_projector.weight")),
    "albert-base-v2": (
        "albert",
        lambda w: w | {"sop_classifier.classifier.weight": torch.zeros(2, 16)},
    ),
    "electra-generator": (
        "electra",
        lambda w: _without(w, "generator_lm_head.weight"),
    ),
    "deberta-v3": (
        "deberta-v3",
        lambda w: w | {"mask_predictions.dense.weight": torch.zeros(16, 16)},
    ),
    "mpnet-base": ("mpnet", lambda w: _without(w, "lm_head.decoder")),
    "gpt2": ("gpt2", _gpt2),
    "pythia": ("gpt_neox", _pythia),
    "opt": (
        "opt",
        lambda w: _renamed(_without(w, "lm_head"), "model.decoder", "decoder"),
    ),
    "gemma": ("gemma3_text", lambda w: _without(w, "lm_head")),
    "t5-small": ("t5", _t5_small),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_checkpoint_with_the_names_of_the_hub_loads_whole(
    name: str, tmp_path: Path
) -> None:
    zoo_name, publish = PUBLISHED[name]
    model = tiny_model(zoo_name)
    weights = publish(dict(model.state_dict()))
    with_weights(tmp_path, model.config, weights, "safetensors")
    assert_same_weights(load(tmp_path).model, model)


def test_loading_leaves_the_random_state_of_torch_alone(tmp_path: Path) -> None:
    saved(tmp_path)
    before = torch.get_rng_state()
    load(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


# Incomplete checkpoints


@pytest.mark.parametrize(
    ("name", "stack", "settings"),
    [
        ("bert", "bert", {}),
        ("mpnet", "mpnet", {}),
        ("llama", "model", {"tie_word_embeddings": False}),
    ],
)
def test_checkpoint_of_a_stack_that_names_a_head_is_read_without_one(
    name: str, stack: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    """So do the configurations of all-mpnet-base-v2 and its like."""
    model = saved(tmp_path, name)
    getattr(model, stack).save_pretrained(tmp_path)
    change_settings(tmp_path, architectures=[type(model).__name__], **settings)
    found = load(tmp_path)
    assert not found.has_head
    with pytest.raises(ValueError, match=r"no language-model head .*readout='ridge'"):
        label_head(found, [5, 6])


@pytest.mark.parametrize("name", ["bert", "roberta", "mpnet", "electra", "distilbert"])
def test_body_of_a_sequence_classifier_is_read_and_its_head_left_aside(
    name: str, tmp_path: Path
) -> None:
    from transformers import AutoModelForSequenceClassification

    whole = saved(tmp_path, name)
    torch.manual_seed(1)
    task = AutoModelForSequenceClassification.from_config(whole.config)
    task.save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match="a head for a task .*Class.*aside") as caught:
        found = load(tmp_path)
    assert len(caught) == 1
    assert not found.has_head
    expected = dict(task.base_model.named_parameters())
    for weight, tensor in found.model.named_parameters():
        assert torch.equal(tensor, expected[weight])


@pytest.mark.parametrize("name", ["bert", "llama", "bart"])
def test_body_of_a_task_model_in_memory_is_taken_and_its_head_left_aside(
    name: str,
) -> None:
    from transformers import AutoModelForSequenceClassification

    whole = tiny_model(name) if name in MODELS else tiny_text_model(name)[0]
    config = whole.config
    task = AutoModelForSequenceClassification.from_config(config).eval()
    with pytest.warns(UserWarning, match=r"the \w+ForSeq\w+ comes with a head") as told:
        found = Backbone(task, small_tokenizer()).load()
    assert len(told) == 1
    assert found.model is task.base_model
    check_agreement(found)


def test_checkpoint_with_a_part_of_its_head_is_a_clear_error(tmp_path: Path) -> None:
    model = tiny_model("bert")
    weights = _without(model.state_dict(), "cls.predictions.transform.dense")
    with_weights(tmp_path, model.config, weights, "safetensors")
    change_settings(tmp_path, architectures=["BertModel"])
    with pytest.raises(ValueError, match=r"lacks weights.*cls\.predictions\.transf"):
        load(tmp_path)


# A BERT-like, others with tied heads of several parts, and untied causal ones.
HEADLESS = (
    "bert roberta distilbert albert deberta-v2 mpnet electra modernbert llama opt "
    "opt-350m gpt_neox".split()
)


@pytest.mark.parametrize("name", HEADLESS)
@pytest.mark.parametrize("source", ["folder", "object"])
def test_checkpoint_of_the_stack_alone_loads_without_a_head_and_runs(
    name: str, source: str, tmp_path: Path
) -> None:
    model = saved(tmp_path, name)
    stack = model.base_model
    model.config.tie_word_embeddings = False
    stack.save_pretrained(tmp_path)
    expected, prompts = (
        loaded(name),
        prompts_for(FAMILIES[model.config.model_type].kind),
    )
    before = torch.get_rng_state()
    if source == "folder":
        found = load(tmp_path)
    else:
        found = Backbone(stack, small_tokenizer()).load("float32", "cpu")
    assert torch.equal(torch.get_rng_state(), before)
    assert not found.has_head
    with pytest.raises(ValueError, match=r"no language-model head .*readout='ridge'"):
        label_head(found, [3, 4])
    kinds: Any = ("read", "text", "around")
    np.testing.assert_allclose(
        Engine(found).sweep(prompts, None, states=kinds).states,
        Engine(expected).sweep(prompts, None, states=kinds).states,
        atol=1e-6,
    )
    np.testing.assert_array_equal(depth_costs(found), depth_costs(expected))


def test_a_head_that_is_lacking_rightly_is_no_matter_for_the_terminal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = saved(tmp_path)
    model.bert.save_pretrained(tmp_path)
    assert not load(tmp_path).has_head
    assert not [said for said in caplog.messages if "checkpoint" in said]


def test_checkpoint_of_a_fine_tuned_classifier_serves_as_its_stack(
    tmp_path: Path,
) -> None:
    model = tiny_model("bert")
    weights = _without(model.state_dict(), "cls") | {
        "classifier.weight": torch.zeros(2, 16),
        "classifier.bias": torch.zeros(2),
    }
    with_weights(tmp_path, model.config, weights, "safetensors")
    change_settings(tmp_path, architectures=["BertForSequenceClassification"])
    with pytest.warns(UserWarning, match="a head for a task"):
        assert not load(tmp_path).has_head


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("bert", "bert.encoder.layer.1.attention.self.query.weight"),
        ("gemma3_text", "model.layers.2.mlp.up_proj.weight"),
        ("t5", "decoder.block.1.layer.2.DenseReluDense.wo.weight"),
        ("opt", "model.decoder.final_layer_norm.bias"),
    ],
)
def test_checkpoint_without_one_weight_is_a_clear_error(
    name: str, lost: str, tmp_path: Path
) -> None:
    model = tiny_model(name)
    weights = dict(model.state_dict())
    del weights[lost]
    with_weights(tmp_path, model.config, weights, "safetensors")
    with pytest.raises(ValueError, match=rf"lacks weights .*\({lost}\)"):
        load(tmp_path)


def test_weights_of_other_shapes_are_a_clear_error(tmp_path: Path) -> None:
    saved(tmp_path)
    change_settings(tmp_path, intermediate_size=20)
    with pytest.raises(ValueError, match=r"other shapes.*is \(24,\), not \(20,\)"):
        load(tmp_path)


def test_missing_shard_is_a_clear_error(tmp_path: Path) -> None:
    saved(tmp_path, max_shard_size="4KB")
    next(tmp_path.glob("model-00002-of-*")).unlink()
    with pytest.raises(OSError, match=r"lacks 1 of the \d+ files.*'model-00002"):
        load(tmp_path)


# Folders that are no checkpoints


def test_unsupported_model_type_is_a_clear_error(tmp_path: Path) -> None:
    saved(tmp_path)
    change_settings(tmp_path, model_type="whisper")
    with pytest.raises(ValueError, match=r"'whisper' are not supported.*no language"):
        load(tmp_path)


def test_folder_without_config_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"has no config\.json; give a folder"):
        load(tmp_path)


def test_folder_without_weights_is_a_clear_error(tmp_path: Path) -> None:
    saved(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(OSError, match=r"holds no weights \(model\.safetensors or"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "t5"])
def test_folder_without_tokenizer_is_a_clear_error(name: str, tmp_path: Path) -> None:
    tiny_model(name).save_pretrained(tmp_path)  # some would get an empty tokenizer
    with pytest.raises(OSError, match=r"has no tokenizer; save it there"):
        load(tmp_path)


def test_damaged_tokenizer_is_a_clear_error(tmp_path: Path) -> None:
    saved(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(OSError, match=r"tokenizer in .* cannot be read \(\w+\)"):
        load(tmp_path)


def test_tokenizer_without_a_fast_form_is_a_clear_error(tmp_path: Path) -> None:
    saved(tmp_path, "roberta")
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "vocab.txt").write_text("a 1\nb 2\n")
    (tmp_path / "bpe.codes").write_text("#version: 0.2\na b 3\n")
    change_settings(
        tmp_path, "tokenizer_config.json", tokenizer_class="BertweetTokenizer"
    )
    with pytest.raises(ValueError, match=r"must be a fast one.*BertweetTokenizer"):
        load(tmp_path)


def test_model_that_needs_code_from_the_hub_is_refused(
    tmp_path: Path, no_network: list[str]
) -> None:
    saved(tmp_path)
    change_settings(
        tmp_path, model_type="own", auto_map={"AutoModelForMaskedLM": "evil.Model"}
    )
    (tmp_path / "evil.py").write_text("raise SystemExit")
    with pytest.raises(ValueError, match=r"'own' are not supported"):
        load(tmp_path)
    change_settings(tmp_path, model_type="bert")
    assert type(load(tmp_path).model).__name__ == "BertForMaskedLM"
    assert no_network == []


# pytorch_model.bin


def _old_form(folder: Path, name: str = "bert") -> Any:
    model = tiny_model(name)
    with_weights(folder, model.config, model.state_dict(), "bin")
    return model


def _old_shards(folder: Path) -> Any:
    model = _old_form(folder)
    (folder / "pytorch_model.bin").unlink()
    names = list(model.state_dict())
    where = {
        n: f"pytorch_model-{1 + i % 2:05}-of-00002.bin" for i, n in enumerate(names)
    }
    for file in sorted(set(where.values())):
        part = {n: t for n, t in model.state_dict().items() if where[n] == file}
        torch.save(part, folder / file)
    index = {"metadata": {"total_size": 1}, "weight_map": where}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return model


@pytest.mark.parametrize("write", [_old_form, _old_shards])
def test_pytorch_file_loads_with_one_warning_and_no_conversion(
    write: Callable[[Path], Any],
    tmp_path: Path,
    no_network: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = write(tmp_path)
    monkeypatch.delenv("DISABLE_SAFETENSORS_CONVERSION", raising=False)
    started: list[str] = []
    start = threading.Thread.start

    def note(thread: threading.Thread) -> None:
        started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", note)
    with pytest.warns(UserWarning, match=r"pytorch_model\.bin only") as caught:
        found = load(tmp_path)
    assert len(caught) == 1
    assert_same_weights(found.model, model)
    assert not [name for name in started if "conversion" in name]
    assert no_network == []


def test_safetensors_are_read_where_both_forms_are_there(tmp_path: Path) -> None:
    model = saved(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"never opened")
    assert_same_weights(load(tmp_path).model, model)


class _Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@OLD_FORM
@pytest.mark.parametrize("name", ["bert", "deberta-v2", "elasticbert"])
def test_code_in_a_pytorch_file_is_not_run(name: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    _old_form(tmp_path, "bert" if name == "elasticbert" else name)
    change_settings(tmp_path, model_type=name)
    weights = torch.load(tmp_path / "pytorch_model.bin", weights_only=True)
    torch.save(weights | {"trap": _Trap(mark)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"UnpicklingError.*would run code, and none"):
        load(tmp_path)
    assert not mark.exists()
    torch.load(tmp_path / "pytorch_model.bin", weights_only=False)
    assert mark.exists()  # the trap does work


@OLD_FORM
@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("rest", [0, 100, 5000])
def test_damaged_weights_are_a_clear_error(
    file: str, rest: int, tmp_path: Path
) -> None:
    form = file.rpartition(".")[2]
    model = tiny_model("bert")
    with_weights(tmp_path, model.config, dict(model.state_dict()), form)
    (tmp_path / file).write_bytes((tmp_path / file).read_bytes()[:rest])
    with pytest.raises(ValueError, match=r"cannot be read as plain tensors"):
        load(tmp_path)


# What the library prints


def test_loading_prints_nothing_and_leaves_the_librarys_settings(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny_model("bert")
    extra = {"bert.pooler.dense.weight": torch.zeros(16, 16)}
    with_weights(
        tmp_path, model.config, dict(model.state_dict()) | extra, "safetensors"
    )
    monkeypatch.setattr(library_logging, "_tqdm_active", True)
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    logger = logging.getLogger("transformers.modeling_utils")
    before = (library_logging.get_verbosity(), list(logger.filters))
    capfd.readouterr()
    load(tmp_path)
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
    assert (library_logging.get_verbosity(), list(logger.filters)) == before
    assert library_logging.is_progress_bar_enabled()
    assert library_logging.set_tqdm_hook(None) is None
    # Without our hands on it, the library does print.
    transformers.BertForMaskedLM.from_pretrained(tmp_path)
    assert "Loading weights" in capfd.readouterr().err
    assert "LOAD REPORT" in caplog.text


def test_loading_is_quiet_for_its_own_thread_only(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    made: list[str] = []

    def users_hook(factory: Any, args: Any, options: Any) -> Any:
        made.append(threading.current_thread().name)
        return factory(*args, **options, disable=True)

    def load_something() -> None:
        logger = logging.getLogger("transformers.modeling_utils")
        logger.warning("LOAD REPORT of %s", threading.current_thread().name)
        assert list(library_logging.tqdm([1])) == [1]

    library_logging.set_tqdm_hook(users_hook)
    try:
        with quiet_loading():
            load_something()
            other = threading.Thread(target=load_something, name="another")
            other.start()
            other.join()
    finally:
        assert library_logging.set_tqdm_hook(None) is users_hook
    assert made == ["another"]
    assert set(caplog.messages) == {"LOAD REPORT of another"}


# Heads that the file decides


@pytest.mark.parametrize("form", ["safetensors", "bin"])
@pytest.mark.parametrize("name", ["deberta-v2", "deberta-v3"])
@OLD_FORM
def test_deberta_head_is_chosen_by_the_weights(
    name: str, form: str, tmp_path: Path
) -> None:
    model = tiny_model(name)
    with_weights(tmp_path, model.config, dict(model.state_dict()), form)
    change_settings(tmp_path, legacy=None)
    found = load(tmp_path)
    assert found.model.config.legacy is (name == "deberta-v2")
    np.testing.assert_array_equal(label_proba(found), label_proba(loaded(name)))


def test_sharded_deberta_v3_head_is_found_in_any_shard(tmp_path: Path) -> None:
    saved(tmp_path, "deberta-v3", max_shard_size="4KB")
    change_settings(tmp_path, legacy=None)
    assert load(tmp_path).model.config.legacy is False


@OLD_FORM
@pytest.mark.parametrize("form", ["safetensors", "bin"])
@pytest.mark.parametrize("prefix", ["elasticbert.", "bert.", ""])
def test_elasticbert_loads_headless_and_runs(
    prefix: str, form: str, tmp_path: Path
) -> None:
    bert = tiny_model("bert").bert
    weights = {f"{prefix}{n}": t for n, t in bert.state_dict().items()}
    for layer in range(3):
        pooler = f"{prefix}encoder.pooler.{layer}.dense."
        weights[f"{pooler}weight"] = torch.zeros(16, 16)
        weights[f"{pooler}bias"] = torch.zeros(16)
    weights["cls.predictions.bias"] = torch.zeros(64)
    with_weights(tmp_path, bert.config, weights, form)
    change_settings(
        tmp_path,
        model_type="elasticbert",
        architectures=["ElasticBertForPreTraining"],
        max_output_layers=3,
    )
    found = load(tmp_path)
    assert not found.has_head
    with pytest.raises(ValueError, match=r"elasticbert checkpoint has no language-"):
        label_head(found, [3, 4])
    engine, prompts = Engine(found), prompts_for("masked")
    assert engine.n_layers == 3
    for depth in range(4):
        states = engine.keys(prompts, depth)
        for prompt, state in zip(prompts, states, strict=True):
            with torch.no_grad():
                out = bert(torch.tensor([prompt.ids]), output_hidden_states=True)
            expected = out.hidden_states[depth][0, prompt.read]
            np.testing.assert_allclose(state, expected, atol=1e-5)


def test_elasticbert_in_a_pytorch_file_loads_with_one_warning(tmp_path: Path) -> None:
    bert = tiny_model("bert").bert
    with_weights(tmp_path, bert.config, bert.state_dict(), "bin")
    change_settings(tmp_path, model_type="elasticbert")
    with pytest.warns(UserWarning, match=r"pytorch_model\.bin only") as caught:
        load(tmp_path)
    assert len(caught) == 1


def test_elasticbert_without_one_weight_is_a_clear_error(tmp_path: Path) -> None:
    bert = tiny_model("bert").bert
    weights = {f"elasticbert.{n}": t for n, t in bert.state_dict().items()}
    lost = "encoder.layer.2.output.dense.bias"
    del weights[f"elasticbert.{lost}"]
    with_weights(tmp_path, bert.config, weights, "safetensors")
    change_settings(tmp_path, model_type="elasticbert")
    with pytest.raises(ValueError, match=rf"lacks weights .*\({lost}\)"):
        load(tmp_path)


# The hub


def test_tests_are_offline() -> None:
    assert constants.HF_HUB_OFFLINE


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache that holds org/tiny on its branch main; no network."""
    cache, plain = tmp_path / "hub", tmp_path / "plain"
    saved(plain)
    into_hub_cache(cache, plain, "org/tiny")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    return cache


@pytest.mark.parametrize(
    ("name", "revision"),
    [
        ("org/tiny", None),
        ("org/tiny@main", None),
        ("org/tiny@main", "main"),
        ("org/tiny", "main"),
        (f"org/tiny@{COMMIT}", None),
        ("org/tiny", COMMIT),
    ],
)
@pytest.mark.usefixtures("hub_cache")
def test_hub_name_is_found_in_the_cache_offline(
    name: str, revision: str | None
) -> None:
    found = Backbone(name, revision=revision).load(dtype="float32")
    assert_same_weights(found.model, tiny_model("bert"))


@pytest.mark.usefixtures("hub_cache")
def test_local_files_only_asks_no_hub(no_network: list[str]) -> None:
    Backbone("org/tiny", local_files_only=True).load(dtype="float32")
    assert no_network == []


@pytest.mark.usefixtures("hub_cache")
def test_hub_that_does_not_answer_leaves_the_cache(no_network: list[str]) -> None:
    Backbone("org/tiny").load(dtype="float32")
    assert no_network  # it was asked, in vain


def test_revision_of_a_folder_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is a path.*no revision 'v2'; leave"):
        Backbone(tmp_path, revision="v2")


def test_two_revisions_are_a_clear_error() -> None:
    with pytest.raises(ValueError, match=r"two revisions.*'main'.*'v2'; give one"):
        Backbone("org/tiny@main", revision="v2")


@pytest.mark.usefixtures("hub_cache")
@pytest.mark.parametrize(
    "name",
    ["org/other", "org/tiny@v9", "a/b/c", "/no/such/folder", "no/such/file.gguf"],
)
def test_unknown_name_is_one_clear_sentence(name: str) -> None:
    with pytest.raises(OSError, match=r"^model '\S+' .*nor to be had") as caught:
        Backbone(name).load()
    assert str(caught.value).count("\n") == 0


def test_gguf_file_in_the_hub_cache_is_known_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"GGUF")
    (tmp_path / "model.gguf").symlink_to(tmp_path / "blob")
    assert Backbone(tmp_path / "model.gguf").name.endswith("model.gguf")


ON_THE_HUB = [
    "config.json",
    "tokenizer.json",
    "vocab.txt",
    "spiece.model",
    "model.safetensors",
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model-00001-of-00001.bin",
    "model.fp16.safetensors",
    "model-q4_0.gguf",
    "model-fp16.bin",
    "tf_model.h5",
    "flax_model.msgpack",
    "rust_model.ot",
    "training_args.bin",
    "onnx/config.json",
    "onnx/model.safetensors",
    "onnx/model.onnx",
    "original/params.json",
    "original/consolidated.00.pth",
    "openvino/openvino_model.bin",
    "1_Pooling/config.json",
    "2_Dense/model.safetensors",
    "2_Dense/pytorch_model.bin",
    "modules.json",
    "config_sentence_transformers.json",
]


def _record_fetches(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[list[str]]:
    fetched: list[list[str]] = []

    def download(name: str, **options: Any) -> str:
        patterns = {k: v for k, v in options.items() if k.endswith("_patterns")}
        fetched.append(list(filter_repo_objects(ON_THE_HUB, **patterns)))
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    return fetched


def test_hub_is_asked_for_one_form_of_the_weights_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path)
    fetched = _record_fetches(monkeypatch, tmp_path)
    Backbone("org/tiny").load(dtype="float32")
    steps = ["1_Pooling/config.json", "2_Dense/model.safetensors"]
    lists = ["modules.json", "config_sentence_transformers.json"]
    assert fetched == [[*ON_THE_HUB[:8], *steps, *lists]]
    assert templates.of_backbone("org/tiny") == {}
    assert fetched[1:] == [lists]


def test_hub_is_asked_for_pytorch_files_where_there_is_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _old_form(tmp_path)
    fetched = _record_fetches(monkeypatch, tmp_path)
    with pytest.warns(UserWarning, match=r"pytorch_model\.bin only") as caught:
        Backbone("org/tiny").load(dtype="float32")
    assert len(caught) == 1
    weights = [file for file in fetched[1] if file.endswith((".bin", ".safetensors"))]
    assert weights == [*ON_THE_HUB[8:10], "2_Dense/pytorch_model.bin"]


@pytest.mark.parametrize("listed", [False, True])
def test_cache_with_pytorch_file_only_serves_offline_with_one_warning(
    listed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _old_form(tmp_path / "plain")
    snapshot = into_hub_cache(tmp_path / "hub", tmp_path / "plain", "org/old")
    if listed:  # the hub has safetensors, and the cache knows it
        files = [*(file.name for file in snapshot.iterdir()), "model.safetensors"]
        entries = {name: {"size": 1, "blob_id": "0" * 40} for name in files}
        trees = snapshot.parent.parent / "trees"
        trees.mkdir()
        tree = {"format_version": 1, "files": entries}
        (trees / f"{COMMIT}.json").write_text(json.dumps(tree))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.warns(UserWarning, match=r"pytorch_model\.bin only") as caught:
        Backbone("org/old").load(dtype="float32")
    assert len(caught) == 1


# Imports


def test_naming_a_backbone_imports_neither_transformers_nor_the_hub() -> None:
    code = (
        "import sys; from skraee.backbone.handle import Backbone; Backbone('org/tiny');"
        "print({'transformers', 'huggingface_hub', 'gguf'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_snapshot_asks_with_the_users_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, ...]] = []

    def download(name: str, **options: Any) -> str:
        asked.append((name, options["revision"], options["local_files_only"]))
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    (tmp_path / "model.safetensors").touch()
    hub.snapshot("org/tiny", "v2", local_files_only=True)
    assert asked == [("org/tiny", "v2", True)]
