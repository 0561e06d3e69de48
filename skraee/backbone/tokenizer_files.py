"""A folder's tokenizer: read, or refused with the names of its files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from skraee.backbone.settings_files import read_mapping

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_VOCABULARIES = ("tokenizer.json", "vocab.*", "*.model")
_TOKENIZER_SETTINGS = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
# Larger than any vocabulary: Gemma's are 262,144.
_MOST_IDS = 1 << 24


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder has a file that a tokenizer can be read from."""
    return any(any(folder.glob(pattern)) for pattern in _VOCABULARIES)


def read_tokenizer(folder: Path, config: Any) -> PreTrainedTokenizerFast:
    """Read a folder's tokenizer; no code that comes with it runs.

    Parameters
    ----------
    folder : Path
    config : PreTrainedConfig
        Of its model.

    Raises
    ------
    OSError
        If there is none, or it is damaged.
    ValueError
        If it has ids that no model has embeddings for.
    """
    from transformers import AutoTokenizer

    # The library makes an empty tokenizer where it finds no file.
    if not has_tokenizer(folder):
        raise OSError(
            f"backbone folder {str(folder)!r} has no tokenizer; save it there with "
            "tokenizer.save_pretrained, which writes tokenizer.json."
        )
    for name in _TOKENIZER_SETTINGS:
        if (folder / name).is_file():
            read_mapping(folder / name)
    try:
        tokenizer: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(
            folder, config=config, trust_remote_code=False, local_files_only=True
        )
    except Exception as error:
        raise OSError(
            f"the tokenizer in {str(folder)!r} cannot be read "
            f"({type(error).__name__}); fetch {vocabulary_files(folder)} again, or "
            "give a folder with a tokenizer.json, as tokenizer.save_pretrained writes "
            "it."
        ) from error
    _refuse_large_ids(folder, tokenizer)
    return tokenizer


def _refuse_large_ids(folder: Path, tokenizer: Any) -> None:
    """Refuse ids that no model has embeddings for: all up to the last are counted."""
    rust = getattr(tokenizer, "backend_tokenizer", None)
    vocabulary = {} if rust is None else rust.get_vocab(with_added_tokens=True)
    token = max(vocabulary, key=vocabulary.__getitem__, default=None)
    if token is not None and vocabulary[token] >= _MOST_IDS:
        raise ValueError(
            f"{vocabulary_files(folder)} in {str(folder)!r} gives the token "
            f"{token!r} the id {vocabulary[token]}, and no model has embeddings for "
            f"{_MOST_IDS} tokens; fetch the tokenizer again."
        )


def vocabulary_files(folder: Path) -> str:
    """Return the names of the files that a tokenizer is read from, for errors."""
    files = {
        file.name for pattern in _VOCABULARIES for file in folder.glob(pattern)
    } | {name for name in _TOKENIZER_SETTINGS if (folder / name).is_file()}
    return " and ".join(sorted(files))


def lower_letters(tokenizer: PreTrainedTokenizerFast) -> None:
    """Make a tokenizer lower all letters of a text before anything else.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
        Changed in place. Special tokens are found before it, as they are written.
    """
    from tokenizers import normalizers

    rust = tokenizer.backend_tokenizer
    steps = [normalizers.Lowercase(), *([rust.normalizer] if rust.normalizer else [])]
    rust.normalizer = normalizers.Sequence(steps)
