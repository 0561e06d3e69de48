"""Quantised checkpoints: read where that is right, or refused before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from skraee import EarlyExitClassifier
from skraee.backbone import quantized
from skraee.backbone.handle import Backbone
from skraee.backbone.quantized import METHODS, method_of, refuse_unreadable
from skraee.engine.agreement import believed
from tests.support.checkpoints import change_settings, saved, small_tokenizer

pytestmark = pytest.mark.usefixtures("fresh_backbones")

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")


@pytest.fixture
def all_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every package seem to be there."""
    monkeypatch.setattr(quantized, "find_spec", lambda name: name)


def refuse(device: torch.device, adapter: Path | None = None, **how: Any) -> None:
    refuse_unreadable(Path("m"), {"quantization_config": how}, device, adapter)


# What is refused


@pytest.mark.parametrize("method", METHODS)
def test_missing_package_is_named_with_the_device(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantized, "find_spec", lambda name: None)
    device = GPU if METHODS[method].needs_gpu else CPU
    package = METHODS[method].packages[0].replace("_", "-")
    with pytest.raises(
        ImportError, match=rf"{method}; .*on {device}.*install {package}"
    ):
        refuse(device, quant_method=method)


def test_missing_package_is_said_before_a_tokenizer_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantized, "find_spec", lambda name: None)
    saved(tmp_path, "bert")
    (tmp_path / "tokenizer.json").unlink()
    change_settings(tmp_path, quantization_config={"quant_method": "torchao"})
    with pytest.raises(ImportError, match="quantised by torchao"):
        Backbone(tmp_path).load(dtype="float32", device="cpu")


TENSOR, ROW = ({"granularity": {"_type": kind}} for kind in ("PerTensor", "PerRow"))


def torchao(kind: str, **data: Any) -> dict[str, Any]:
    how = {"default": {"_type": kind, "_data": data}}
    return {"quant_method": "torchao", "quant_type": how}


@pytest.mark.usefixtures("all_installed")
@pytest.mark.parametrize(
    ("device", "how"),
    [
        (CPU, torchao("Float8DynamicActivationFloat8WeightConfig", **TENSOR)),
        (CPU, torchao("Float8DynamicActivationFloat8WeightConfig")),
        (GPU, {"quant_method": "fp8", "weight_block_size": None}),
    ],
)
def test_rounding_by_the_whole_batch_is_refused(
    device: torch.device, how: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"rounds a text by the .* of its whole batch"):
        refuse(device, **how)


@pytest.mark.usefixtures("all_installed")
@pytest.mark.parametrize(
    ("device", "how"),
    [
        (GPU, torchao("Float8DynamicActivationFloat8WeightConfig", **ROW)),
        (CPU, torchao("Int8DynamicActivationInt8WeightConfig", **ROW)),
        (CPU, torchao("Int8WeightOnlyConfig", **TENSOR)),
        (GPU, {"quant_method": "fp8", "weight_block_size": [128, 128]}),
        (CPU, {"quant_method": "fp8", "weight_block_size": None}),
    ],
)
def test_rounding_of_weights_or_single_tokens_is_read(
    device: torch.device, how: dict[str, Any]
) -> None:
    assert method_of({"quantization_config": how}) in METHODS
    refuse(device, **how)


@pytest.mark.usefixtures("all_installed")
def test_other_reasons_to_refuse_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="by magic, of which it is not known how"):
        refuse(CPU, quant_method="magic")
    with pytest.raises(ValueError, match="bitsandbytes, whose layers change their own"):
        refuse(CPU, load_in_4bit=True)
    with pytest.raises(ValueError, match="eetq, which needs a GPU and not the cpu"):
        refuse(CPU, quant_method="eetq")
    with pytest.raises(ValueError, match="torchao, into which the adapter in 'a'"):
        refuse(CPU, adapter=Path("a"), quant_method="torchao")


# What is read


def _torchao(name: str) -> Any:
    import torchao.quantization

    kind = getattr(torchao.quantization, name)
    return transformers.TorchAoConfig(kind())


N = range(24)
MADE: dict[str, Callable[[], Any]] = {
    "int8": lambda: _torchao("Int8WeightOnlyConfig"),
    "float8": lambda: _torchao("Float8WeightOnlyConfig"),
    "int8 activations": lambda: _torchao("Int8DynamicActivationInt8WeightConfig"),
}


@pytest.fixture(params=MADE)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A small Llama that was quantised and saved."""
    pytest.importorskip("torchao")
    config = transformers.LlamaConfig(
        vocab_size=64,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
        tie_word_embeddings=False,
        pad_token_id=1,
    )
    torch.manual_seed(0)
    whole, made = tmp_path / "whole", tmp_path / "made"
    transformers.LlamaForCausalLM(config).save_pretrained(whole)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        whole, dtype=torch.bfloat16, quantization_config=MADE[request.param]()
    )
    model.save_pretrained(made)
    small_tokenizer().save_pretrained(made)
    return made


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_quantised_folder_is_read_and_answers_alone_as_in_a_batch(folder: Path) -> None:
    backbone = Backbone(folder).load(dtype="bfloat16", device="cpu")
    believed(backbone)
    as_it_is = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.bfloat16, device_map={"": "cpu"}
    )
    ids = torch.tensor([[3, 14, 15, 9, 26]])
    with torch.no_grad():
        assert torch.equal(backbone.model(ids).logits, as_it_is(ids).logits)
    with pytest.raises(ValueError, match="cannot be run in float32 instead"):
        _ = backbone.in_float32
    X = [" ".join(f"w{(7 * i + j) % 50 + 4}" for j in range(2 + i % 4)) for i in N]
    y = ["a", "b"] * 12
    clf = EarlyExitClassifier(folder, dtype="bfloat16", memory=None).fit(X, y)
    alone = np.concatenate([clf.predict_proba([x]) for x in X])
    np.testing.assert_allclose(clf.predict_proba(X), alone, atol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_any_number_of_a_quantised_folder_tells_in_the_fingerprint(
    folder: Path,
) -> None:
    def fingerprint() -> str:
        return Backbone(folder).load(dtype="bfloat16", device="cpu").fingerprint

    first = fingerprint()
    file = folder / "model.safetensors"
    file.touch()
    assert fingerprint() == first
    weights = load_file(file)
    scales = [n for n in weights if n.endswith("scale")]
    for name in (scales[0], next(n for n in weights if "norm" in n)):
        weights[name] = weights[name] * 2
        save_file(weights, file, {"format": "pt", **_metadata(file)})
        second = fingerprint()
        assert second != first
        first = second


def _metadata(file: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        return dict(opened.metadata() or {})
