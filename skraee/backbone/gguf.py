"""GGUF files: turned once into a plain float32 folder in the user's cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from skraee.backbone.gaps import refuse_gaps
from skraee.backbone.kinds import model_class_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def cache_folder() -> Path:
    """Return the folder for what skraee makes once and keeps.

    ``$SKRAEE_CACHE`` where it is set, else ``skraee`` in the user's cache folder
    (``$XDG_CACHE_HOME`` or ``~/.cache``).
    """
    if chosen := os.environ.get("SKRAEE_CACHE"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "skraee"


def unpacked(file: Path) -> Path:
    """Return the plain folder of a GGUF file; make it where it is not there yet.

    Parameters
    ----------
    file : Path
        The ``.gguf`` file; the folder is named by its SHA-256.

    Raises
    ------
    ImportError
        If a package that reads GGUF is missing.
    """
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    folder = cache_folder() / "gguf" / digest
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f"{digest[:12]}-", dir=folder.parent))
    try:
        _convert(file, beside)
        _put_in_place(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def _put_in_place(beside: Path, folder: Path) -> None:
    try:
        beside.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was faster, with the same
            raise


def _convert(file: Path, folder: Path) -> None:
    _require_readers()
    import torch
    import transformers

    # The library takes a name without a folder from the working directory first.
    source = {"gguf_file": str(file.absolute()), "local_files_only": True}
    config = transformers.AutoConfig.from_pretrained(file.parent, **source)
    reads = model_class_of(config)
    packed, report = getattr(transformers, reads.auto).from_pretrained(
        file.parent,
        dtype=torch.float32,
        # Without it the weights stay packed where kernels for them are installed.
        quantization_config=transformers.GgufConfig(dequantize=True),
        trust_remote_code=False,
        output_loading_info=True,
        **source,
    )
    refuse_gaps(file, report)
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        file.parent, trust_remote_code=False, **source
    )
    _plain_copy(packed).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _plain_copy(packed: PreTrainedModel) -> PreTrainedModel:
    # A model that bears the mark of a GGUF file refuses to be saved.
    import torch

    config = packed.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with torch.device("meta"):
        plain = type(packed)(config)
    plain.load_state_dict(packed.state_dict(), strict=False, assign=True)
    plain.tie_weights()
    return plain.to(torch.float32)


def _require_readers() -> None:
    for package in ("gguf", "accelerate"):
        try:
            import_module(package)
        except ImportError as error:
            raise ImportError(
                f"reading a .gguf file needs the package {package!r}; install what "
                "reads it with: pip install 'skraee[gguf]'"
            ) from error
