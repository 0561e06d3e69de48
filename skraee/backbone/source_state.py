"""What a model's source holds now, to notice when it holds something else.

A source is known by what it holds and not by its path or by ``id``: weights may change
in place, folders may be written anew, tokens may be added.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skraee.backbone.adapter import base_of, is_adapter
from skraee.backbone.fingerprint import fingerprint_of
from skraee.backbone.sentence_folder import module_folders
from skraee.backbone.settings_hash import settings_hash_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_FILES = (".json", ".txt", ".model", ".safetensors", ".bin")

# A vocabulary is told by so many of its tokens, evenly spread: the library replaces it
# as a whole or not at all, and reading all 262,144 of Gemma's takes 0.3 s.
_SAMPLED_TOKENS = 997


def state_of_objects(model: PreTrainedModel, tokenizer: Any) -> tuple[str, ...]:
    """Return what a model and its tokenizer are now.

    It costs one reading of the weights: 45 ms for 268 million parameters in float32.
    The counters by which torch notices changes would cost nothing, but do not see what
    goes through ``.data`` or NumPy.
    """
    return (
        fingerprint_of(model),
        settings_hash_of(model),
        str(model.config._attn_implementation),
        tokenizer_state_of(tokenizer),
    )


def tokenizer_state_of(tokenizer: Any) -> str:
    """Hash what can be changed of a tokenizer in memory.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
        One without a fast form is told by its class and size.

    Returns
    -------
    str
        SHA-256, in hexadecimal.
    """
    rust = getattr(tokenizer, "backend_tokenizer", None)
    if rust is None:
        return _hash([type(tokenizer).__name__, str(len(tokenizer))])
    steps = (rust.normalizer, rust.pre_tokenizer, rust.post_processor, rust.decoder)
    n_tokens = rust.get_vocab_size()
    spread = range(0, n_tokens, max(1, n_tokens // _SAMPLED_TOKENS))
    return _hash(
        [
            str(id(rust)),
            str(type(rust.model)),
            str(n_tokens),
            *(repr(rust.id_to_token(number)) for number in spread),
            *(repr(step and step.__getstate__()) for step in steps),
            repr(sorted(map(str, rust.get_added_tokens_decoder().items()))),
            repr((tokenizer.mask_token, sorted(tokenizer.all_special_ids))),
        ]
    )


def _hash(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def state_of_files(source: Path) -> tuple[tuple[str, int, int, int], ...] | None:
    """Return sizes, dates and places of the files of a source; none is read.

    Parameters
    ----------
    source : Path
        A file, or a folder with a model or an adapter, whose base counts as well.

    Returns
    -------
    tuple or None
        None where there is nothing, or no longer anything.
    """
    if not source.is_absolute():  # a hub's name; paths are made absolute
        return None
    parts = module_folders(source)
    files = dict(_files(source, parts))
    for adapter in filter(is_adapter, (source, *parts)):
        base = Path(base_of(adapter)[0])
        files |= dict(_files(base, module_folders(base)))
    return (
        tuple(
            (path, found.st_size, found.st_mtime_ns, found.st_ino)
            for path, found in sorted(files.items())
        )
        or None
    )


def _files(source: Path, parts: Sequence[Path]) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the files of a source, and of the folders of its parts and below them."""
    if source.is_file():
        yield str(source), source.stat()
    yield from _files_in(source, within=False)
    for part in parts:
        yield from _files_in(part, within=True)


def _files_in(
    folder: Path | str, *, within: bool
) -> Iterator[tuple[str, os.stat_result]]:
    # pathlib takes three times as long, which every predict would wait for.
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as found:
        for file in found:
            if file.name.endswith(_FILES):
                yield file.path, file.stat()
            elif within and file.is_dir():
                yield from _files_in(file.path, within=True)
