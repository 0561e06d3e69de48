"""The weight files of a folder: which they are, and reading them without risk."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from skraee.backbone.inside import refuse_outside
from skraee.backbone.settings_files import damaged, read_mapping
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
    ValueError
        If the list of the files is damaged, or leads out of the folder.
    """
    if (listing := weights_listing(folder)) is None:
        raise OSError(
            f"backbone folder {str(folder)!r} holds no weights (model.safetensors or "
            "pytorch_model.bin); save the model there with save_pretrained."
        )
    if listing.suffix == ".json":
        return _shards(folder, listing.name)
    return [listing]


def weights_listing(folder: Path) -> Path | None:
    """Return the file that holds a folder's weights, or lists those that do."""
    files = (folder / name for form in _FORMS for name in form)
    return next((file for file in files if file.is_file()), None)


def _shards(folder: Path, index: str) -> list[Path]:
    names = _shard_names(folder / index)
    shards = [folder / name for name in names]
    root = Path(os.path.realpath(folder))
    for shard in shards:
        refuse_outside(shard, root)
    if absent := [shard.name for shard in shards if not shard.is_file()]:
        raise OSError(
            f"backbone folder {str(folder)!r} lacks {len(absent)} of the "
            f"{len(shards)} files that {index} names (first {absent[0]!r}); fetch "
            "the checkpoint again."
        )
    return shards


def _shard_names(index: Path) -> list[str]:
    where = read_mapping(index).get("weight_map")
    if not isinstance(where, dict) or not where:
        raise damaged(index, "its weight_map names no file of weights")
    for name in where.values():
        if not _is_name(name):
            raise damaged(index, f"weights lie in {name!r}, no weight file beside it")
    return sorted(set(where.values()))


def _is_name(name: object) -> bool:
    """Whether this is the name of a file of weights in the folder itself."""
    is_plain = isinstance(name, str) and not {"/", "\\", "\0"} & {*name}
    return is_plain and str(name).endswith((".safetensors", ".bin"))


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
            with refusing_what_is_no_weight(file):
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
def refusing_what_is_no_weight(file: Path) -> Iterator[None]:
    """Turn what readers of a weight file raise into one clear error.

    Parameters
    ----------
    file : Path
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
            f"{file.name} in {str(file.parent)!r} cannot be read as plain tensors "
            f"({type(error).__name__}): it is damaged or would run code, and none was "
            "run; fetch the checkpoint again, as safetensors where it has them."
        ) from error


def _is_of_the_file(error: Exception) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return False
    # What torch says of a ZIP archive that is cut off depends on where.
    return not isinstance(error, OSError) or error.errno == errno.EINVAL
