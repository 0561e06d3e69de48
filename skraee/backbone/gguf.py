"""GGUF files: turned once into a plain float32 folder in the user's cache."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from skraee.backbone.claims import (
    refuse_false_sizes,
    refuse_not_finite,
    refusing_no_model,
)
from skraee.backbone.embeddings import refuse_tokens_without_embedding
from skraee.backbone.gaps import refuse_gaps
from skraee.backbone.kinds import model_class_of
from skraee.backbone.quiet import quiet_loading
from skraee.files.temporary import temporary_folder_beside
from skraee.text.tokenizer import TextTokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# What tensors of a layer are called, in files of any architecture.
_BLOCK = re.compile(r"\bblk\.(\d+)\.")


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
    ValueError
        If it is damaged, or its header claims what it does not hold; nothing is kept.
    """
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    folder = cache_folder() / "gguf" / digest
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    _tell_of(file)
    with temporary_folder_beside(folder) as beside:
        _convert(file, beside)
    return folder


def _tell_of(file: Path) -> None:
    """Say why nothing happens for a while: whatever is verbose, it is but once."""
    if sys.stderr is not None:
        size = file.stat().st_size / 1e6
        sys.stderr.write(
            f"skraee: unpacking {file.name} ({size:,.0f} MB) into {cache_folder()}; "
            "this is done once and takes about a minute for 250 MB\n"
        )


def _convert(file: Path, folder: Path) -> None:
    _require_readers()
    with refusing_no_model(file):
        header = _Header.of(file)
    if header.n_layers not in (None, header.n_layers_held):
        raise ValueError(
            f"{file.name} in {str(file.parent)!r} says that it has {header.n_layers} "
            f"layers and holds weights of {header.n_layers_held}; fetch it again."
        )
    source = _source(file)
    with refusing_no_model(file):
        auto, empty = _described(file, source)
    refuse_false_sizes(file, empty, header.n_numbers)
    with quiet_loading(), refusing_no_model(file):
        packed, report, tokenizer = _read(file, auto, source)
    refuse_gaps(file, report)
    _add_marks(tokenizer, header)
    # Before it is kept: what is in the cache is believed.
    refuse_not_finite(f"{file.name} in {str(file.parent)!r}", packed)
    of_file = f" in {str(file)!r}"
    refuse_tokens_without_embedding(packed, TextTokenizer.from_hf(tokenizer), of_file)
    with refusing_no_model(file):  # of weights of other sizes than it says
        plain = _plain_copy(packed)
    plain.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


class _Header(NamedTuple):
    """What stands before the weights, as far as the library may not heed it.

    Attributes
    ----------
    n_numbers : int
        Of all weights.
    n_layers : int or None
        As the file says. The library makes so many before it looks at weights, and
        leaves out those beyond.
    n_layers_held : int
        Layers with weights.
    adds_bos, adds_eos : bool
        Whether texts begin, or end, with the tokenizer's mark.
    """

    n_numbers: int
    n_layers: int | None
    n_layers_held: int
    adds_bos: bool
    adds_eos: bool

    @classmethod
    def of(cls, file: Path) -> _Header:
        from gguf import GGUFReader

        reader = GGUFReader(file)
        blocks = (_BLOCK.search(tensor.name) for tensor in reader.tensors)
        counts = [name for name in reader.fields if name.endswith("block_count")]

        def says(name: str) -> bool:
            field = reader.fields.get(f"tokenizer.ggml.{name}")
            return field is not None and bool(field.contents())

        return cls(
            sum(int(tensor.n_elements) for tensor in reader.tensors),
            max((int(reader.fields[name].contents()) for name in counts), default=None),
            1 + max((int(block[1]) for block in blocks if block), default=-1),
            says("add_bos_token"),
            says("add_eos_token"),
        )


def _add_marks(tokenizer: Any, header: _Header) -> None:
    """Let a tokenizer add the marks that the file asks for.

    Some releases of the library leave them out (transformers 5.21 that of the beginning
    in Gemma 3's file), and a model that never read a text without answers otherwise.
    """
    for mark in ("bos", "eos"):
        is_wanted = header._asdict()[f"adds_{mark}"]
        token = getattr(tokenizer, f"{mark}_token_id", None)
        if is_wanted and token is not None and token not in tokenizer("a").input_ids:
            setattr(tokenizer, f"add_{mark}_token", True)


def _source(file: Path) -> dict[str, Any]:
    # The library takes a name without a folder from the working directory first.
    return {"gguf_file": str(file.absolute()), "local_files_only": True}


def _described(file: Path, source: dict[str, Any]) -> tuple[Any, Any]:
    """Return the class that reads a file, and its model without weights."""
    import torch
    import transformers

    config = transformers.AutoConfig.from_pretrained(file.parent, **source)
    auto = getattr(transformers, model_class_of(config).auto)
    with torch.device("meta"):
        return auto, auto.from_config(config)


def _read(
    file: Path, auto: Any, source: dict[str, Any]
) -> tuple[PreTrainedModel, dict[str, Any], Any]:
    import torch
    import transformers

    packed, report = auto.from_pretrained(
        file.parent,
        dtype=torch.float32,
        # Without it the weights stay packed where kernels for them are installed.
        quantization_config=transformers.GgufConfig(dequantize=True),
        trust_remote_code=False,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        **source,
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        file.parent, trust_remote_code=False, **source
    )
    return packed, report, tokenizer


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
