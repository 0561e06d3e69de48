"""Where a backbone runs and in what numbers."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache

import torch

from skraee.exceptions import warn_user

#: Devices in order: a model's home, and where else its layers may go.
Devices = tuple[torch.device, ...]
#: One device, or several over which a model's layers are spread.
Device = str | torch.device | Sequence[str | torch.device]

_DTYPES = {
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float32": torch.float32,
}
# Types whose states go beyond float16's largest number.
_OVERFLOWING = {"t5", "mt5", "umt5", "longt5", "switch_transformers"}


def resolve_devices(device: Device) -> Devices:
    """Return where a model's layers go, in order; the first is its home.

    Parameters
    ----------
    device : str, torch.device or sequence of these
        "auto" is all GPUs, of which the first is enough for most models, else the CPU.

    Raises
    ------
    ValueError
        If one is not to be had or is named twice.
    """
    if isinstance(device, (str, torch.device)) or not isinstance(device, Sequence):
        if not is_auto(device):
            return (resolve_device(device),)
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        n_gpus = _n_gpus(torch.cuda.device_count, visible)
        if n_gpus > 1:
            return tuple(torch.device("cuda", number) for number in range(n_gpus))
        return (resolve_device("cuda" if n_gpus else "cpu"),)
    devices = tuple(map(resolve_device, device))
    if not devices or len(set(devices)) < len(devices):
        raise ValueError(
            f"device must name each of several devices once, got {device!r}; "
            "use device='auto' for all GPUs."
        )
    return devices


@cache
def _n_gpus(count: Callable[[], int], visible: str | None) -> int:
    # The driver takes 0.1 ms to answer, which one text would wait for.
    return count()


def is_auto(device: object) -> bool:
    """Whether a device is left to skraee."""
    return isinstance(device, str) and device == "auto"


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the device; "auto" is the first GPU, else the CPU.

    Parameters
    ----------
    device : str or torch.device
        "auto" or what torch understands ("cpu", "cuda", "cuda:1", "mps").

    Raises
    ------
    ValueError
        If torch does not know the device or cannot reach it.
    """
    if is_auto(device):
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        # A tensor's device has a number where there can be several: cuda:0.
        found = torch.empty(0, device=torch.device(device)).device
        if found.type == "meta":
            raise RuntimeError("it holds no numbers")
        return found
    # Of devices that it was not built for torch raises ImportError, too.
    except (RuntimeError, AssertionError, TypeError, ImportError) as error:
        reason = str(error).partition("\n")[0].partition(". ")[0]
        raise ValueError(
            f"device {device!r} is not to be had here ({reason}); use device='auto'."
        ) from error


def resolve_dtype(dtype: str | torch.dtype, device: torch.device) -> torch.dtype:
    """Return the dtype; "auto" is bfloat16 where the device computes in it.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if isinstance(dtype, torch.dtype) and dtype in _DTYPES.values():
        return dtype
    if isinstance(dtype, str) and dtype == "auto":
        return torch.bfloat16 if computes_bfloat16(device) else torch.float32
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ValueError(
            f"dtype must be 'auto', 'bfloat16', 'float16' or 'float32', got {dtype!r}; "
            "write 'auto' for the fastest that is exact enough here."
        )
    return _DTYPES[dtype]


def computes_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16 products."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    if not hasattr(torch.cpu, "get_capabilities"):  # before torch 2.11
        return bool(torch.cpu._is_avx512_bf16_supported())
    has = torch.cpu.get_capabilities()
    return any(has.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def refuse_overflow(model_type: str, dtype: torch.dtype) -> None:
    """Refuse numbers that a type of model is known to overflow in.

    Raises
    ------
    ValueError
        For T5 and its like in float16.
    """
    if model_type in _OVERFLOWING and dtype == torch.float16:
        raise ValueError(
            "T5 models overflow in dtype 'float16'; use 'bfloat16' or 'float32'."
        )


def warn_where_slow(dtype: torch.dtype, device: torch.device) -> None:
    """Warn of a dtype that the device has to imitate."""
    if dtype == torch.float32 or computes_bfloat16(device):
        return
    if dtype == torch.float16 and device.type != "cpu":
        return
    warn_user(
        f"this {device.type} has no instructions for {name_of(dtype)}, in which the "
        "backbone was fitted, so predictions are right but slow; fit with "
        "dtype='float32' for this machine.",
        UserWarning,
    )


def name_of(dtype: torch.dtype) -> str:
    """Return "float32" for torch.float32, and so on."""
    return str(dtype).removeprefix("torch.")
