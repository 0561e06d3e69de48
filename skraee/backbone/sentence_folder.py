"""What a sentence-transformers folder says of its encoder.

Such a folder lists its modules in ``modules.json``: a transformer, in the folder itself
or in one of its own, a pooling, and what may follow (a projection, a normalisation).
The layers of the transformer are what a backbone is made of. How the folder pools them,
what length it was trained at and which prompts it names go along; projection and
normalisation are left aside, as every depth has a readout of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from skraee.backbone.settings_files import damaged, read_json, read_mapping

#: How the states of a text's tokens become one: the first token's, their mean, the
#: largest of each feature, the last token's.
Pooling = Literal["cls", "mean", "max", "last"]

_LIST = "modules.json"

# Tokenizers have 1e30 for no length.
_NO_LENGTH = 10**9

# Older folders have a flag for each pooling, newer ones name it. Poolings by weights of
# the positions are not among ours.
_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_POOLINGS: dict[str, Pooling] = {
    "cls": "cls",
    "mean": "mean",
    "max": "max",
    "lasttoken": "last",
}


@dataclass(frozen=True)
class SentenceSettings:
    """How a folder uses its transformer.

    Attributes
    ----------
    pooling : tuple of {"cls", "mean", "max", "last"}
        What its embedding is pooled of; empty where it is none of these.
    max_seq_length : int or None
        Tokens that it reads of a text, special tokens included.
    lower_case : bool
        Whether it lowers all letters, whatever its tokenizer does.
    prompts : dict of str to str
        Name -> words before the text; empty words are no prompt.
    default_prompt : str or None
        Name of that which it puts before every text.
    """

    pooling: tuple[Pooling, ...] = ()
    max_seq_length: int | None = None
    lower_case: bool = False
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt: str | None = None


def sentence_settings(folder: Path) -> SentenceSettings | None:
    """Read how a folder uses its transformer.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    SentenceSettings or None
        None where it is no sentence-transformers folder.

    Raises
    ------
    ValueError
        If one of its files is damaged.
    """
    modules = _modules(folder)
    if modules is None:
        return None
    transformer = transformer_folder(folder)
    files = sorted(transformer.glob("sentence_*_config.json"))
    prompts, default_prompt = _prompts(folder / "config_sentence_transformers.json")
    # Newer folders leave the length to the tokenizer.
    lengths = [_length(file, "max_seq_length") for file in files]
    lengths += [_length(transformer / "tokenizer_config.json", "model_max_length")]
    return SentenceSettings(
        pooling=_pooling(modules),
        max_seq_length=next((n for n in lengths if n is not None), None),
        lower_case=any(bool(_mapping(file).get("do_lower_case")) for file in files),
        prompts=prompts,
        default_prompt=default_prompt,
    )


def _length(file: Path, name: str) -> int | None:
    length = _mapping(file).get(name)
    if length is None or length == 0:
        return None
    if not isinstance(length, (int, float)) or not length >= 0:  # NaN is none either
        raise damaged(file, f"{name} is {length!r}, no number of tokens")
    return int(length) if length < _NO_LENGTH else None


def _prompts(file: Path) -> tuple[dict[str, str], str | None]:
    """Return a folder's prompts, and the name of that before every text."""
    whole = _mapping(file)
    prompts = whole.get("prompts") or {}
    if not isinstance(prompts, dict):
        raise damaged(file, f"prompts is {prompts!r}, no names with words")
    named = {str(name): str(words or "") for name, words in prompts.items()}
    return named, whole.get("default_prompt_name")


def transformer_folder(folder: Path) -> Path:
    """Return where the transformer of a folder lies: in most in the folder itself.

    Parameters
    ----------
    folder : Path
        Of sentence-transformers, or any other.

    Raises
    ------
    ValueError
        If its list of modules is damaged, or names no transformer and the folder is
        none either.
    """
    modules = _modules(folder)
    if modules is None:
        return folder
    for kind, path in modules:
        if kind == "Transformer":
            if not path.is_dir():
                where = path.relative_to(folder).as_posix()
                raise damaged(folder / _LIST, f"no folder is at {where!r}")
            return path
    if (folder / "config.json").is_file():
        return folder
    kinds = ", ".join(kind for kind, _ in modules) or "no module"
    raise ValueError(
        f"the modules of {str(folder)!r} are {kinds}: none is a Transformer, whose "
        "layers are what a backbone needs; choose an encoder with one."
    )


def module_folders(folder: Path) -> list[Path]:
    """Return the folders, below this one, in which modules of an encoder lie."""
    paths = {path for _, path in _modules(folder) or []}
    return sorted(paths - {folder})


def _modules(folder: Path) -> list[tuple[str, Path]] | None:
    """Return the class of each module, without where it is defined, and its folder."""
    file = folder / _LIST
    if not file.is_file():
        return None
    listed = read_json(file)
    if not isinstance(listed, list):
        raise damaged(file, f"a {type(listed).__name__} where modules are listed")
    try:
        modules = [(str(module["type"]), str(module["path"])) for module in listed]
    except (TypeError, KeyError) as error:
        raise damaged(file, f"{type(error).__name__}: {error}") from error
    for _, path in modules:
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise damaged(file, f"a module lies at {path!r}")
    return [(kind.rpartition(".")[2], folder / path) for kind, path in modules]


def _pooling(modules: list[tuple[str, Path]]) -> tuple[Pooling, ...]:
    folders = [path for kind, path in modules if kind == "Pooling"]
    file = folders[0] / "config.json" if folders else None
    if file is None or not file.is_file():
        return ()
    config = _mapping(file)
    # The library's own default, too, is the mean.
    flagged = [mode for flag, mode in _FLAGS.items() if config.get(flag)]
    named = config.get("pooling_mode") or flagged or "mean"
    modes = named if isinstance(named, list) else [named]
    if not all(isinstance(mode, str) for mode in modes):
        raise damaged(file, f"pooling_mode is {named!r}, no name of a pooling")
    # Where a prompt is left out of the pooling it is not that of all tokens.
    known = all(mode in _POOLINGS for mode in modes)
    if not known or config.get("include_prompt") is False:
        return ()
    return tuple(_POOLINGS[mode] for mode in modes)


def _mapping(file: Path) -> dict[str, Any]:
    """Return what a file of settings holds; a missing one holds none."""
    return read_mapping(file) if file.is_file() else {}
