"""The weight files of a folder: which they are, and reading them without risk."""

from __future__ import annotations

import errno
import json
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from skraee.exceptions import warn_user

#: One file, or the index of several; the first form that a folder has is read.
_FORMS = (
    ("model.safetensors", "model.safetensors.index.json"),
    ("pytorch_model.bin", "pytorch_model.bin.index.json"),
)
#: The same for an adapter.
ADAPTER_FILES = ("adapter_model.safetensors", "adapter_model.bin")


def has_safetensors(folder: Path) -> bool:
    """Whether a folder has its weights as safetensors."""
    return any((folder / name).is_file() for name in _FORMS[0])


def prefers_safetensors(folder: Path) -> bool:
    """Say which form of the weights to read, with a warning where it is the old one.

    Returns
    -------
    bool
        Whether the folder has safetensors; False stands for ``pytorch_model.bin``.

    Raises
    ------
    OSError
        If it has no weights, or not all files of them.
    """
    weight_files(folder)
    if has_safetensors(folder):
        return True
    _warn_of_old_form(folder, _FORMS[1][0])
    return False


def _warn_of_old_form(folder: Path, name: str) -> None:
    warn_user(
        f"{str(folder)!r} holds its weights in {name} only; they are read "
        "without running code (weights_only=True), but safetensors is the better "
        "form: save the model again with save_pretrained.",
        UserWarning,
    )


def weight_files(folder: Path) -> list[Path]:
    """Return the files that hold a folder's weights, safetensors before others.

    Raises
    ------
    OSError
        If it has no weights, or not all files of them.
    """
    for whole, index in _FORMS:
        if (folder / whole).is_file():
            return [folder / whole]
        if (folder / index).is_file():
            return _shards(folder, index)
    raise OSError(
        f"backbone folder {str(folder)!r} holds no weights (model.safetensors or "
        "pytorch_model.bin); save the model there with save_pretrained."
    )


def _shards(folder: Path, index: str) -> list[Path]:
    where = json.loads((folder / index).read_text(encoding="utf-8"))["weight_map"]
    shards = [folder / name for name in sorted(set(where.values()))]
    if absent := [shard.name for shard in shards if not shard.is_file()]:
        raise OSError(
            f"backbone folder {str(folder)!r} lacks {len(absent)} of the "
            f"{len(shards)} files that {index} names (first {absent[0]!r}); fetch "
            "the checkpoint again."
        )
    return shards


def holds(folder: Path, prefix: str) -> bool:
    """Whether a checkpoint has a weight whose name begins so."""
    return any(
        name.startswith(prefix)
        for file in weight_files(folder)
        for name in _names(file)
    )


def _names(file: Path) -> list[str]:
    from safetensors import safe_open

    if file.suffix == ".safetensors":
        with safe_open(file, framework="pt") as opened:
            return list(opened.keys())
    return list(torch.load(file, map_location="meta", weights_only=True))


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Read all weights of a folder under their names in the file."""
    weights: dict[str, Tensor] = {}
    for file in weight_files(folder):
        weights |= _tensors(file)
    return weights


def read_adapter(folder: Path) -> dict[str, Tensor]:
    """Read the weights of an adapter under their names in the file.

    Raises
    ------
    OSError
        If it has none.
    ValueError
        If they are damaged, or would run code.
    """
    for file in (folder / name for name in ADAPTER_FILES):
        if file.is_file():
            if file.suffix == ".bin":
                _warn_of_old_form(folder, file.name)
            with refusing_what_is_no_weight(folder):
                return _tensors(file)
    raise OSError(
        f"adapter folder {str(folder)!r} holds no weights ({ADAPTER_FILES[0]} or "
        f"{ADAPTER_FILES[1]}); save the adapter there with save_pretrained."
    )


def _tensors(file: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    if file.suffix == ".safetensors":
        return load_file(file)
    tensors: dict[str, Tensor]
    tensors = torch.load(file, map_location="cpu", weights_only=True)
    return tensors


@contextmanager
def refusing_what_is_no_weight(folder: Path) -> Iterator[None]:
    """Turn what readers of weight files raise into one clear error.

    Parameters
    ----------
    folder : Path
        Named in the error.

    Raises
    ------
    ValueError
        If a file is damaged, or would run code (which it did not).
    """
    try:
        yield
    except Exception as error:
        if not _is_of_the_file(error):
            raise
        raise ValueError(
            f"the weights in {str(folder)!r} cannot be read as plain tensors "
            f"({type(error).__name__}): a file is damaged or would run code, and none "
            "was run; fetch the checkpoint again, as safetensors where it has them."
        ) from error


def _is_of_the_file(error: Exception) -> bool:
    from safetensors import SafetensorError

    if isinstance(error, (pickle.UnpicklingError, SafetensorError, EOFError)):
        return True
    # What torch says of a ZIP archive that is cut off depends on where.
    cut_off = isinstance(error, OSError) and error.errno == errno.EINVAL
    return cut_off or "PytorchStreamReader" in str(error)
