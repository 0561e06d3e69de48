"""Quantised checkpoints: which are read, with what, and which are refused.

The library reads them, and replaces modules by its own. What is asked here is whether
a text's answer could depend on the texts beside it: weights rounded once are no matter,
nor are activations rounded token by token, but a scale of a whole batch is one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Method(NamedTuple):
    """What it takes to read weights that were quantised in one way.

    Attributes
    ----------
    packages : tuple of str
        Their modules.
    needs_gpu : bool
        Whether there are kernels for nothing else.
    """

    packages: tuple[str, ...]
    needs_gpu: bool = False


#: ``quant_method`` of a configuration -> what reads it. Others are refused: it is not
#: known how they round.
METHODS: dict[str, Method] = {
    "torchao": Method(("torchao", "accelerate")),
    "compressed-tensors": Method(("compressed_tensors", "accelerate")),
    "gptq": Method(("gptqmodel", "optimum", "accelerate")),
    "awq": Method(("gptqmodel", "accelerate")),
    "aqlm": Method(("aqlm", "accelerate")),
    "hqq": Method(("hqq", "accelerate")),
    "fp8": Method(("accelerate",)),
    "mxfp4": Method(("accelerate",)),
    "eetq": Method(("kernels", "accelerate"), needs_gpu=True),
    "higgs": Method(("flute", "accelerate"), needs_gpu=True),
    "spqr": Method(("spqr_quant", "accelerate"), needs_gpu=True),
    "vptq": Method(("vptq", "accelerate")),
}


def method_of(settings: Mapping[str, Any]) -> str | None:
    """Return how a checkpoint was quantised, from its configuration.

    Parameters
    ----------
    settings : mapping
        Of ``config.json``.

    Returns
    -------
    str or None
        The library's name of it; None where it was not.
    """
    how = settings.get("quantization_config")
    if not how:
        return None
    # Early checkpoints of bitsandbytes do not name it.
    usual = "bitsandbytes" if how.get("load_in_4bit") or how.get("load_in_8bit") else ""
    return str(how.get("quant_method") or usual)


def is_quantized(model: PreTrainedModel) -> bool:
    """Whether a model's weights are quantised by the library."""
    return bool(getattr(model, "is_quantized", False))


def refuse_unreadable(
    folder: Path,
    settings: Mapping[str, Any],
    device: torch.device,
    adapter: Path | None = None,
) -> None:
    """Refuse a quantised checkpoint that cannot be read here, before it is.

    Parameters
    ----------
    folder : Path
        Named in the error.
    settings : mapping
        Of ``config.json``; of a checkpoint that is not quantised nothing is asked.
    device : torch.device
        Where it is to run.
    adapter : Path, optional
        Of an adapter to be merged into it.

    Raises
    ------
    ImportError
        If a package is missing.
    ValueError
        If the method is not known, needs another device, or rounds a text by others;
        or if an adapter is to be merged.
    """
    name = method_of(settings)
    if name is None:
        return
    what = (
        f"the weights in {str(folder)!r} are, as config.json says, quantised by "
        f"{name or 'an unnamed way'}"
    )
    way_out = "give the checkpoint as it was before, in dtype='bfloat16'"
    if adapter is not None:
        raise ValueError(
            f"{what}, into which the adapter in {str(adapter)!r} cannot be merged "
            "without loss; name its base as it was before in adapter_config.json."
        )
    if name == "bitsandbytes":
        raise ValueError(
            f"{what}, whose layers change their own numbers when they first run (and, "
            "in 8 bits, round a text by the outliers of its whole batch), so that "
            f"copies which share them answer otherwise; {way_out}, or one of these: "
            f"{', '.join(METHODS)}."
        )
    if name not in METHODS:
        raise ValueError(
            f"{what}, of which it is not known how it rounds; {way_out}, or one of "
            f"these: {', '.join(METHODS)}."
        )
    how = settings["quantization_config"]
    if (scale := _scale_of_batch(name, how, device)) is not None:
        raise ValueError(
            f"{what}, which on this device ({device}) rounds a text by {scale} of its "
            f"whole batch; {way_out}."
        )
    if METHODS[name].needs_gpu and device.type == "cpu":
        raise ValueError(f"{what}, which needs a GPU and not the cpu; {way_out}.")
    missing = [one for one in METHODS[name].packages if find_spec(one) is None]
    if missing:
        packages = " ".join(one.replace("_", "-") for one in missing)
        raise ImportError(
            f"{what}; to run them on {device}, install what reads them: "
            f"pip install {packages}"
        )


def _scale_of_batch(
    name: str, how: Mapping[str, Any], device: torch.device
) -> str | None:
    """Return what of a batch decides how each of its texts is rounded, or None."""
    on_cpu = device.type == "cpu"  # where activations are not rounded
    if name == "fp8" and not on_cpu:
        is_dynamic = how.get("activation_scheme", "dynamic") == "dynamic"
        has_blocks = bool(how.get("weight_block_size", True))
        return "the largest number" if is_dynamic and not has_blocks else None
    if name == "torchao":
        return _of_torchao(json.dumps(how.get("quant_type")))
    return None


def _of_torchao(kinds: str) -> str | None:
    rounds_tensors = "PerTensor" in kinds
    # Its default for 8-bit floats, in files of before it was written down.
    rounds_tensors |= "Float8DynamicActivation" in kinds and "PerRow" not in kinds
    return "the largest number" if "Dynamic" in kinds and rounds_tensors else None


def make_dense(config: Any, device: torch.device) -> None:
    """Let weights be read as plain ones where the library's kernels are no use.

    Those of compressed-tensors are unpacked in the first forward of the whole model,
    and it is the layers that run here; 8-bit floats have kernels on GPUs only. Plain
    weights have the same numbers, and activations are not rounded.

    Parameters
    ----------
    config : PreTrainedConfig
        Of a quantised checkpoint; changed in place.
    device : torch.device
        Where it will run.
    """
    how = config.quantization_config
    name = how.get("quant_method")
    on_cpu = device.type == "cpu"
    if name == "compressed-tensors" or (on_cpu and name in ("fp8", "mxfp4")):
        config.quantization_config = {**how, "dequantize": True}
