"""Devices and dtypes: what is chosen, refused and warned of."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from skraee.backbone import precision
from skraee.backbone.handle import Backbone
from skraee.backbone.precision import (
    computes_bfloat16,
    name_of,
    resolve_device,
    resolve_devices,
    resolve_dtype,
    warn_where_slow,
)
from tests.support.checkpoints import saved, small_tokenizer
from tests.support.models import tiny_model

CPU = torch.device("cpu")
no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


def with_bfloat16(monkeypatch: pytest.MonkeyPatch, has: bool) -> None:
    monkeypatch.setattr(precision, "computes_bfloat16", lambda device: has)


@no_gpu
def test_auto_device_without_gpu_is_the_cpu() -> None:
    assert resolve_device("auto") == CPU


@pytest.mark.gpu
def test_auto_device_is_the_first_gpu_with_its_number() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    assert resolve_device("auto") == torch.device("cuda:0") == resolve_device("cuda")


@pytest.mark.parametrize("device", ["cpu", CPU])
def test_named_device_is_taken(device: str | torch.device) -> None:
    assert resolve_device(device) == CPU


@no_gpu
@pytest.mark.parametrize("device", ["cuda", "cuda:7", torch.device("cuda")])
def test_device_that_is_not_there_is_a_clear_error(device: str | torch.device) -> None:
    with pytest.raises(ValueError, match=r"^device .*cuda.* is not to be had here"):
        resolve_device(device)


def test_unknown_device_is_a_clear_error() -> None:
    with pytest.raises(ValueError, match=r"'abacus' is not.*use device='auto'\.$"):
        resolve_device("abacus")


@pytest.mark.parametrize(("has", "dtype"), [(True, "bfloat16"), (False, "float32")])
def test_auto_dtype_is_bfloat16_where_the_device_computes_in_it(
    has: bool, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_bfloat16(monkeypatch, has)
    assert name_of(resolve_dtype("auto", CPU)) == dtype


@pytest.mark.parametrize("capability", ["avx512_bf16", "amx_bf16", "bf16"])
def test_cpu_computes_bfloat16_by_its_capabilities(
    capability: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        torch.cpu, "get_capabilities", lambda: {capability: True}, raising=False
    )
    assert computes_bfloat16(CPU)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    assert not computes_bfloat16(CPU)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_named_dtype_is_taken(dtype: str) -> None:
    given = getattr(torch, dtype)
    assert resolve_dtype(dtype, CPU) == resolve_dtype(given, CPU) == given
    assert name_of(given) == dtype


@pytest.mark.parametrize("dtype", ["float64", "half", torch.int8, None, 16])
def test_unknown_dtype_is_a_clear_error(dtype: object) -> None:
    with pytest.raises(ValueError, match=rf"dtype must be 'auto'.*got {dtype!r}"):
        resolve_dtype(dtype, CPU)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_imitated_dtype_is_warned_of(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_bfloat16(monkeypatch, False)
    with pytest.warns(UserWarning, match=rf"no instructions for {name_of(dtype)}"):
        warn_where_slow(dtype, CPU)
    warn_where_slow(torch.float32, CPU)
    if dtype == torch.float16:
        warn_where_slow(dtype, torch.device("cuda"))


@pytest.mark.usefixtures("fresh_backbones")
def test_slow_dtype_is_warned_of_once_per_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path)
    with_bfloat16(monkeypatch, False)
    with pytest.warns(UserWarning, match="right but slow"):
        Backbone(tmp_path).load(dtype="bfloat16")
    Backbone(tmp_path).load(dtype="bfloat16")  # a warning would be an error


def test_float16_is_refused_for_t5_before_weights_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path, "t5")
    os.truncate(tmp_path / "model.safetensors", 0)
    for file in tmp_path.glob("tokenizer*"):  # nor is a tokenizer looked for
        file.unlink()
    with_bfloat16(monkeypatch, True)
    with pytest.raises(
        ValueError, match=r"T5 models overflow.*'bfloat16' or 'float32'"
    ):
        Backbone(tmp_path).load(dtype="float16")


def test_float16_is_refused_for_a_t5_object(monkeypatch: pytest.MonkeyPatch) -> None:
    with_bfloat16(monkeypatch, True)
    backbone = Backbone(tiny_model("t5"), small_tokenizer())
    with pytest.raises(ValueError, match="T5 models overflow"):
        backbone.load(dtype="float16")


def test_gpus_are_counted_once_for_what_is_visible(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    n_asked = 0

    def count() -> int:
        nonlocal n_asked
        n_asked += 1
        return 0

    monkeypatch.setattr(torch.cuda, "device_count", count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for _ in range(3):
        assert resolve_devices("auto") == (CPU,)
    assert n_asked == 1
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    resolve_devices("auto")
    assert n_asked == 2
