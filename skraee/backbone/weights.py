"""A folder's weights in the dtype asked for, none whole in two dtypes at once.

The library maps a file of safetensors into memory and converts what is mapped: of
float32 weights that are asked for in bfloat16 all pages stay resident beside the
result, three times its size. Here a weight of another dtype is read piece by piece,
and one of the same dtype is mapped, which takes no memory of the process's own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from textwrap import shorten
from types import EllipsisType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from skraee.backbone.checkpoint import prefers_safetensors, weight_files
from skraee.backbone.claims import (
    refuse_false_sizes,
    refuse_other_kinds,
    refusing_no_model,
)
from skraee.backbone.held import Held, n_numbers
from skraee.backbone.quantized import make_dense

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CPU = torch.device("cpu")

# Numbers read at once; the library reads up to 16 weights at a time.
_PIECE = 1 << 18

# On Windows a mapped file counts as memory of the process.
_BACKEND = "pread" if sys.platform == "win32" else "mmap"

_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def read_model(
    auto: Any,
    folder: Path,
    config: Any,
    dtype: torch.dtype,
    held: Held,
    device: torch.device = CPU,
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """Read a model, and what its checkpoint lacks of it.

    Parameters
    ----------
    auto : type
        An auto class of the library, or the model's own.
    folder : Path
        As `save_pretrained` writes it.
    config : PreTrainedConfig
        The folder's.
    dtype : torch.dtype
        What the weights become.
    held : mapping
        What its weight files hold.
    device : torch.device, optional
        Where quantised weights go, which may not be movable. Others are read to the
        CPU.

    Returns
    -------
    model : PreTrainedModel
    report : dict
        As ``from_pretrained(output_loading_info=True)`` returns it; weights of other
        shapes are in it and no error.

    Raises
    ------
    ValueError
        If the configuration describes no model, or one of far more numbers than the
        weights have; nothing is made of it then.
    """
    options = {
        "config": config,
        "dtype": dtype,
        "weights_only": True,
        "trust_remote_code": False,
        "local_files_only": True,
        "ignore_mismatched_sizes": True,
        "output_loading_info": True,
    }
    read: tuple[PreTrainedModel, dict[str, Any]]
    if getattr(config, "quantization_config", None):
        make_dense(config, device)
        with _refusing_quantized(folder, device):
            read = auto.from_pretrained(folder, device_map={"": device}, **options)
        return read
    with refusing_no_model(folder / "config.json"), torch.device("meta"):
        empty = auto.from_config(config, trust_remote_code=False)
    refuse_false_sizes(folder / "config.json", empty, n_numbers(held), held)
    refuse_other_kinds(empty, held)
    if not prefers_safetensors(folder):
        with refusing_no_model(folder / "config.json"):
            read = auto.from_pretrained(folder, use_safetensors=False, **options)
        return read
    own = type(empty)  # which an auto class does not tell before
    with _opened(folder) as weights, refusing_no_model(folder / "config.json"):
        read = own.from_pretrained(None, state_dict=weights, **options)
    read[0].name_or_path = read[0].config.name_or_path = str(folder)
    return read


@contextmanager
def _refusing_quantized(folder: Path, device: torch.device) -> Iterator[None]:
    """Turn what readers of quantised weights raise into one error."""
    try:
        yield
    except (ImportError, RuntimeError, ValueError, NotImplementedError) as error:
        raise ValueError(
            f"the quantised weights in {str(folder)!r} cannot be read to {device} "
            f"({type(error).__name__}: {shorten(str(error), 200)}); "
            "give the checkpoint as it was before, in dtype='bfloat16'."
        ) from error


@contextmanager
def _opened(folder: Path) -> Iterator[dict[str, _WeightInFile]]:
    """Open a folder's safetensors; weights are read within the context."""
    from safetensors import safe_open

    with ExitStack() as stack:
        weights: dict[str, _WeightInFile] = {}
        for file in weight_files(folder):
            opened: Any = safe_open(file, framework="pt", backend=_BACKEND)
            stack.enter_context(opened)
            weights |= {
                name: _WeightInFile(opened.get_slice(name), file, start)
                for name, start in _starts(file).items()
            }
        yield weights


def _starts(file: Path) -> dict[str, int]:
    """Return where in a file of safetensors each weight's bytes begin.

    It begins with the length of a JSON object, which has a place for each weight in
    what follows it (https://huggingface.co/docs/safetensors, "Format").
    """
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        entries = json.loads(stream.read(length))
    entries.pop("__metadata__", None)
    return {
        name: 8 + length + entry["data_offsets"][0] for name, entry in entries.items()
    }


class _WeightInFile:
    """A weight that is read once the library says where it goes, and in which dtype.

    It does what is asked of a slice of safetensors in its place: all of it is taken
    (``weight[...]``), and brought to a device and a dtype (``.to``).
    """

    def __init__(self, part: Any, file: Path, start: int) -> None:
        self._part = part
        self._file = file
        self._start = start

    def __getitem__(self, index: EllipsisType) -> _WeightInFile:
        return self

    def to(self, device: Any, dtype: torch.dtype | None) -> Tensor:
        """Read it; a dtype of None is its own."""
        own = _DTYPES.get(self._part.get_dtype())
        if own is None or dtype is None or dtype == own:
            whole: Tensor = self._part[...]
            return whole.to(device=device, dtype=dtype)
        return self._converted(own, dtype).to(device)

    def _converted(self, own: torch.dtype, dtype: torch.dtype) -> Tensor:
        whole = torch.empty(self._part.get_shape(), dtype=dtype, device="cpu")
        with self._file.open("rb") as stream:
            stream.seek(self._start)
            for piece in torch.split(whole.view(-1), _PIECE):
                read = bytearray(stream.read(len(piece) * own.itemsize))
                piece.copy_(torch.frombuffer(read, dtype=own))
        return whole
