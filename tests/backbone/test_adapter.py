"""Adapters become a plain model: merged into their base, whatever was trained."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from huggingface_hub import constants
from safetensors.torch import save_file

from skraee.backbone.handle import Backbone
from skraee.backbone.loaded import LoadedBackbone
from skraee.engine.agreement import believed
from tests.support.checkpoints import (
    change_settings,
    headless,
    into_hub_cache,
    saved,
    small_tokenizer,
)

pytestmark = [
    pytest.mark.usefixtures("fresh_backbones"),
    # What peft itself calls.
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*tie_word_embeddings:UserWarning"),
]

IDS = torch.tensor([[3, 14, 15, 9, 26]])


@pytest.fixture
def peft() -> Any:
    """The library, where it is installed."""
    return pytest.importorskip("peft")


def load(folder: Path) -> LoadedBackbone:
    return Backbone(folder).load(dtype="float32", device="cpu")


def states_of(model: Any) -> torch.Tensor:
    """Return the states of all depths, of an encoder where there is a decoder."""
    inputs = {"input_ids": IDS, "output_hidden_states": True}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = IDS[:, :1]
    with torch.no_grad():
        out = model(**inputs)
    states = getattr(out, "encoder_hidden_states", None) or out.hidden_states
    return torch.stack(states)


def trained(peft: Any, base: Path, folder: Path, auto: str, config: Any) -> Any:
    """Save an adapter whose weights are drawn; return the model with it."""
    torch.manual_seed(0)
    model = getattr(transformers, auto).from_pretrained(base)
    wrapped = peft.get_peft_model(model, config)
    for weight in wrapped.parameters():
        if weight.requires_grad:
            weight.data.add_(torch.randn_like(weight), alpha=0.1)
    wrapped.save_pretrained(folder)
    return wrapped.eval()


def lora(peft: Any, targets: list[str], task: str | None = None, **options: Any) -> Any:
    return peft.LoraConfig(r=2, target_modules=targets, task_type=task, **options)


# What was trained, by which auto class: with the head of the base, another or none.
CASES = {
    "llama": ("AutoModelForCausalLM", ["q_proj", "v_proj"], "CAUSAL_LM"),
    "gemma3_text": ("AutoModelForSequenceClassification", ["q_proj"], "SEQ_CLS"),
    "bert": ("AutoModelForSequenceClassification", ["query", "value"], "SEQ_CLS"),
    "roberta": ("AutoModel", ["query", "value"], "FEATURE_EXTRACTION"),
    "t5": ("AutoModelForSeq2SeqLM", ["q", "v"], None),
}


@pytest.mark.filterwarnings("ignore:.*SEQ_CLS.*left aside:UserWarning")
@pytest.mark.parametrize("name", CASES)
def test_adapter_is_merged_into_its_base(name: str, peft: Any, tmp_path: Path) -> None:
    auto, targets, task = CASES[name]
    base, folder = tmp_path / "base", tmp_path / "adapter"
    model = saved(base, name)
    wrapped = trained(peft, base, folder, auto, lora(peft, targets, task))
    found = load(folder)
    believed(found)
    assert type(found.model) is type(model)
    torch.testing.assert_close(
        states_of(found.model), states_of(wrapped), rtol=1e-4, atol=1e-4
    )
    assert (states_of(found.model) - states_of(load(base).model)).abs().max() > 0.1
    assert_plain(found, tmp_path / "merged")


def assert_plain(found: LoadedBackbone, folder: Path) -> None:
    """Assert that a model is what is read of it once it is saved."""
    found.model.save_pretrained(folder)
    small_tokenizer().save_pretrained(folder)
    assert load(folder).identity == found.identity


def test_adapter_of_a_stack_without_a_head_is_merged(peft: Any, tmp_path: Path) -> None:
    base, folder = headless(tmp_path / "base", "bert"), tmp_path / "adapter"
    auto, config = "AutoModelForMaskedLM", lora(peft, ["query"])
    wrapped = trained(peft, base, folder, auto, config)
    found = load(folder)
    assert not found.has_head
    torch.testing.assert_close(states_of(found.model), states_of(wrapped))


def test_modules_that_were_saved_whole_are_taken(peft: Any, tmp_path: Path) -> None:
    base, folder = tmp_path / "base", tmp_path / "adapter"
    saved(base, "llama")
    config = lora(peft, ["q_proj"], modules_to_save=["embed_tokens", "lm_head"])
    wrapped = trained(peft, base, folder, "AutoModelForCausalLM", config)
    found = load(folder)
    with torch.no_grad():
        expected, logits = wrapped(IDS).logits, found.model(IDS).logits
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


def test_adapter_beside_the_weights_of_its_base_is_merged(
    peft: Any, tmp_path: Path
) -> None:
    saved(tmp_path, "bert")
    config = lora(peft, ["query"])
    wrapped = trained(peft, tmp_path, tmp_path, "AutoModelForMaskedLM", config)
    change_settings(tmp_path, "adapter_config.json", base_model_name_or_path="gone")
    found = load(tmp_path)
    torch.testing.assert_close(states_of(found.model), states_of(wrapped))


# Where the parts are


def written(folder: Path, base: str | None, rank: int = 2) -> Path:
    """Write a LoRA adapter for the tiny BERT by hand."""
    folder.mkdir(exist_ok=True)
    settings = {"peft_type": "LORA", "target_modules": ["query"], "r": rank}
    settings |= {"base_model_name_or_path": base, "lora_alpha": rank}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    torch.manual_seed(rank)
    weights = {}
    for i in range(3):
        path = f"base_model.model.bert.encoder.layer.{i}.attention.self.query"
        weights[f"{path}.lora_A.weight"] = torch.randn(rank, 16)
        weights[f"{path}.lora_B.weight"] = torch.randn(16, rank)
    save_file(weights, folder / "adapter_model.safetensors")
    return folder


@pytest.mark.usefixtures("peft")
def test_base_is_found_beside_the_adapter_and_in_the_hubs_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path / "base", "bert")
    beside = load(written(tmp_path / "adapter", "../base"))
    into_hub_cache(tmp_path / "hub", tmp_path / "base", "org/tiny")
    into_hub_cache(tmp_path / "hub", written(tmp_path / "b", "org/tiny"), "org/lora")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    found = Backbone("org/lora").load(dtype="float32", device="cpu")
    assert found.identity == beside.identity


@pytest.mark.usefixtures("peft")
def test_tokenizer_is_the_adapters_where_it_has_one(tmp_path: Path) -> None:
    saved(tmp_path / "base", "bert")
    folder = written(tmp_path / "adapter", "../base")
    assert load(folder).tokenizer.prefix_ids == ()
    tokenizer = small_tokenizer()
    tokenizer.mask_token = "w7"
    tokenizer.save_pretrained(folder)
    assert load(folder).tokenizer.mask_token == "w7"


@pytest.mark.usefixtures("peft")
def test_a_change_of_adapter_or_base_is_noticed(tmp_path: Path) -> None:
    base, folder = tmp_path / "base", written(tmp_path / "adapter", "../base")
    saved(base, "bert")
    first = load(folder)
    assert load(folder) is first
    written(folder, "../base", rank=3)
    second = load(folder)
    assert second.fingerprint != first.fingerprint
    os.utime(base / "model.safetensors")
    third = load(folder)
    assert third is not second
    assert third.identity == second.identity


# Errors


def test_without_peft_an_adapter_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    folder = written(tmp_path / "adapter", "../gone")
    with pytest.raises(
        ImportError, match=r"PEFT adapter.*pip install 'skraee\[peft\]'"
    ):
        load(folder)


def test_adapter_that_names_no_base_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"names no base_model_name_or_path"):
        load(written(tmp_path / "adapter", None))


def test_adapter_with_damaged_settings_is_a_clear_error(tmp_path: Path) -> None:
    folder = written(tmp_path / "adapter", "../base")
    (folder / "adapter_config.json").write_text("{")
    with pytest.raises(OSError, match=r"adapter_config.json in .* cannot be read"):
        load(folder)


@pytest.mark.usefixtures("peft")
def test_adapter_without_weights_is_a_clear_error(tmp_path: Path) -> None:
    saved(tmp_path / "base", "bert")
    folder = written(tmp_path / "adapter", "../base")
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(OSError, match=r"adapter folder .* holds no weights"):
        load(folder)


@pytest.mark.usefixtures("peft")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"target_modules": ["no_such_part"]}, "no_such_part"),
        ({"target_modules": ["query", "value"]}, r"lacks 6 weights.*value"),
        ({"r": 4}, "size mismatch"),
        ({"peft_type": "PROMPT_TUNING", "target_modules": None}, "before each text"),
    ],
)
@pytest.mark.filterwarnings("ignore:Unexpected keyword arguments:UserWarning")
def test_adapter_that_does_not_fit_is_a_clear_error(
    changes: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    saved(tmp_path / "base", "bert")
    folder = written(tmp_path / "adapter", "../base")
    change_settings(folder, "adapter_config.json", **changes)
    with pytest.raises(ValueError, match=rf"cannot be merged.*BertFor.*({reason})"):
        load(folder)


@pytest.mark.filterwarnings("ignore:.*layers found in:UserWarning")
def test_adapter_of_one_of_two_tied_tables_is_refused(
    peft: Any, tmp_path: Path
) -> None:
    base, folder = tmp_path / "base", tmp_path / "adapter"
    saved(base, "gemma3_text")
    config = lora(peft, ["embed_tokens"])
    trained(peft, base, folder, "AutoModelForCausalLM", config)
    with pytest.raises(ValueError, match=r"output matrix alone, which are one"):
        load(folder)


class _Trap:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.usefixtures("peft")
@pytest.mark.filterwarnings("ignore:.*adapter_model.bin only:UserWarning")
def test_code_in_an_adapters_pytorch_file_is_not_run(tmp_path: Path) -> None:
    saved(tmp_path / "base", "bert")
    folder = written(tmp_path / "adapter", "../base")
    expected = load(folder).identity
    weights = transformers.modeling_utils.load_state_dict(
        str(folder / "adapter_model.safetensors")
    )
    (folder / "adapter_model.safetensors").unlink()
    torch.save(weights, folder / "adapter_model.bin")
    assert load(folder).identity == expected
    mark = tmp_path / "mark"
    torch.save({**weights, "trap": _Trap(mark)}, folder / "adapter_model.bin")
    with pytest.raises(ValueError, match=r"would run code, and none"):
        load(folder)
    assert not mark.exists()
