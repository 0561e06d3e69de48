"""Weights come in the dtype asked for, and take no more memory than that."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
import transformers

from benchmarks.speed.memory import resident
from skraee.backbone import weights
from skraee.backbone.handle import Backbone
from skraee.backbone.held import held_weights
from skraee.backbone.weights import read_model
from tests.support.checkpoints import change_settings, saved

pytestmark = pytest.mark.usefixtures("fresh_backbones")

DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def saved_in(folder: Path, name: str, dtype: str, **options: str) -> Path:
    model = saved(folder, name)
    model.to(DTYPES[dtype]).save_pretrained(folder, **options)
    return folder


@pytest.mark.parametrize("asked", DTYPES)
@pytest.mark.parametrize("on_disk", DTYPES)
@pytest.mark.parametrize("size", ["4KB", "1GB"])
def test_weights_are_those_that_the_library_reads(
    on_disk: str, asked: str, size: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "_PIECE", 7)  # no weight has so few numbers
    saved_in(tmp_path, "gpt2", on_disk, max_shard_size=size)
    model = Backbone(tmp_path).load(dtype=asked, device="cpu").model
    expected = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path, dtype=DTYPES[asked]
    ).state_dict()
    found = model.state_dict()
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        assert found[name].dtype == weight.dtype, name
        assert torch.equal(found[name], weight), name
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


@pytest.mark.parametrize("entry", ["dtype", "torch_dtype"])
def test_dtype_of_a_configuration_decides_nothing(entry: str, tmp_path: Path) -> None:
    saved(tmp_path, "gpt2")
    change_settings(tmp_path, dtype=None, torch_dtype=None)
    plain = Backbone(tmp_path).load(dtype="float32", device="cpu")
    change_settings(tmp_path, **{entry: "float16"})
    found = Backbone(tmp_path).load(dtype="float32", device="cpu")
    assert found is not plain
    assert found.dtype == torch.float32
    assert found.identity == plain.identity


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_reading_in_another_dtype_takes_the_memory_of_the_result(
    tmp_path: Path,
) -> None:
    config = transformers.BertConfig(
        vocab_size=1 << 19, hidden_size=64, num_hidden_layers=1, num_attention_heads=2
    )
    with torch.device("meta"):
        model = transformers.BertModel(config)
    model.to_empty(device="cpu").save_pretrained(tmp_path)
    n_bytes = 2 * sum(weight.numel() for weight in model.parameters())
    del model
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = resident("VmRSS")
    held = held_weights(tmp_path)
    kept = read_model(transformers.AutoModel, tmp_path, config, torch.bfloat16, held)
    taken = (resident("VmHWM") - before) * 2**20
    assert kept[0].dtype == torch.bfloat16
    assert 0.9 < taken / n_bytes < 1.3
