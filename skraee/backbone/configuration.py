"""A folder's ``config.json``: read, and held against the headers of its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch

from skraee.backbone.claims import refuse_false_counts
from skraee.backbone.families import SUCH_AS
from skraee.backbone.held import Held, held_weights
from skraee.backbone.precision import refuse_overflow
from skraee.backbone.settings_files import damaged, read_mapping

# What entries of a configuration are that are looked at before the library sees it.
_KINDS: dict[str, tuple[Any, str]] = {
    "model_type": (str, "no name"),
    "architectures": (list, "no list of names"),
    "quantization_config": (dict, "no settings"),
}


class Configuration(NamedTuple):
    """What a folder says of its model, before any of it is made.

    Attributes
    ----------
    settings : dict
        Of ``config.json``.
    config : PreTrainedConfig
        The same, as the library takes it.
    held : mapping
        The weights in its files.
    """

    settings: dict[str, Any]
    config: Any
    held: Held


def read_configuration(folder: Path, dtype: torch.dtype | None = None) -> Configuration:
    """Read what a folder says of its model.

    Parameters
    ----------
    folder : Path
        As `save_pretrained` writes it.
    dtype : torch.dtype, optional
        What the weights are to become.

    Raises
    ------
    OSError
        If it lacks a configuration or weights.
    ValueError
        If one of them is damaged, claims more layers than there are weights for, or is
        of a type that the library does not know, or that overflows in this dtype.
    """
    settings = _read_settings(folder)
    _refuse_unknown_type(folder, settings["model_type"])
    if dtype is not None:
        refuse_overflow(settings["model_type"], dtype)
    held = held_weights(folder)
    refuse_false_counts(folder / "config.json", settings, len(held))
    return Configuration(settings, _read_config(folder, settings), held)


def _read_settings(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise OSError(
            f"backbone folder {str(folder)!r} has no config.json; give a folder made "
            "with save_pretrained, a .gguf file or a hub name."
        )
    settings = read_mapping(path)
    if not settings.get("model_type"):
        raise damaged(path, "it names no model_type")
    for name, (kind, told) in _KINDS.items():
        if not isinstance(settings.get(name), kind | None):
            raise damaged(path, f"{name} is {settings[name]!r}, {told}")
    if not all(isinstance(one, str) for one in settings.get("architectures") or ()):
        raise damaged(path, f"architectures is {settings['architectures']!r}, no names")
    return settings


def _refuse_unknown_type(folder: Path, model_type: str) -> None:
    import transformers

    if model_type not in {*transformers.CONFIG_MAPPING, "elasticbert"}:
        raise ValueError(
            f"backbones of type {model_type!r} are not supported: config.json of "
            f"{str(folder)!r} names it, the installed transformers library "
            f"({transformers.__version__}) does not know it, and code that comes with "
            f"a model is not run; choose another, {SUCH_AS}, or install a newer "
            "transformers."
        )


def _read_config(folder: Path, settings: dict[str, Any]) -> Any:
    import transformers

    try:
        if settings["model_type"] == "elasticbert":
            return transformers.BertConfig.from_dict({**settings, "model_type": "bert"})
        return transformers.AutoConfig.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
    except Exception as error:  # of whatever entry it is that the library refuses
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"config.json in {str(folder)!r} cannot be read ({type(error).__name__}: "
            f"{reason}); fetch it again, or take the entry out that it speaks of."
        ) from error
