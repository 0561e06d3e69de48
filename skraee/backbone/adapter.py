"""Adapters of the library peft: a few weights, merged into those of their base.

A folder of one names its base in ``adapter_config.json``. What is merged is a plain
model of transformers, in which nothing is left of the adapter but its numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from skraee.backbone.checkpoint import read_adapter
from skraee.backbone.settings_files import read_mapping
from skraee.backbone.task_head import warn_of_head

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_CONFIG = "adapter_config.json"
# How peft calls what it has wrapped.
_WRAPPER = "base_model.model."


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter."""
    return (folder / _CONFIG).is_file()


def base_of(folder: Path) -> tuple[str, str | None]:
    """Return where the base of an adapter is.

    Parameters
    ----------
    folder : Path
        Of the adapter.

    Returns
    -------
    name : str
        Path of a folder, or hub name.
    revision : str or None
        On the hub.

    Raises
    ------
    OSError
        If the adapter does not say.
    """
    if (folder / "config.json").is_file():  # both in one
        return str(folder), None
    try:
        settings = read_mapping(folder / _CONFIG)
    except ValueError as error:
        raise OSError(
            f"{_CONFIG} in {str(folder)!r} cannot be read; fetch the adapter again."
        ) from error
    name = settings.get("base_model_name_or_path")
    if not name or not isinstance(name, str):
        raise OSError(
            f"{_CONFIG} in {str(folder)!r} names no base_model_name_or_path, which the "
            "adapter is merged into; write the folder or the hub name of it there."
        )
    beside = folder / name  # the name itself where that is absolute
    if beside.is_dir():
        return str(beside), None
    return str(name), settings.get("revision")


def require_peft(folder: Path) -> None:
    """Refuse an adapter where peft is not installed.

    Raises
    ------
    ImportError
        The message names the extra.
    """
    try:
        import_module("peft")
    except ImportError as error:
        raise ImportError(
            f"{str(folder)!r} holds a PEFT adapter, which the package 'peft' merges "
            "into its base model; install it with: pip install 'skraee[peft]'"
        ) from error


def merge(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """Merge an adapter into a model of its base; a task's head is left aside.

    Parameters
    ----------
    model : PreTrainedModel
        Changed in place.
    folder : Path
        Of the adapter.

    Returns
    -------
    PreTrainedModel
        In evaluation mode.

    Raises
    ------
    ValueError
        If the adapter is of a kind that cannot be merged, or of another model.
    """
    weights = read_adapter(folder)
    try:
        with torch.random.fork_rng(devices=[]):  # an adapter is drawn before it is read
            return _merged(model, folder, weights)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        reason = shorten(str(error), 200, placeholder=" ...")
        raise ValueError(
            f"the adapter in {str(folder)!r} cannot be merged into its base, a "
            f"{type(model).__name__} ({type(error).__name__}: {reason}); give the base "
            "that it was trained on, or merge it there (merge_and_unload, "
            "save_pretrained) and pass that folder."
        ) from error


def _merged(
    model: PreTrainedModel, folder: Path, weights: dict[str, Tensor]
) -> PreTrainedModel:
    import peft

    config = peft.PeftConfig.from_pretrained(str(folder))
    if config.is_prompt_learning:
        raise ValueError("it puts tokens before each text and changes no weights")
    n_weights, weights = len(weights), _as_named_in(model, weights)
    if len(weights) < n_weights:
        warn_of_head(repr(str(folder)), config.task_type or "of its own")
    config.task_type = None  # whose head peft would look for
    config.base_model_name_or_path = None  # which peft would compare
    saved = getattr(config, "modules_to_save", None) or []
    config.modules_to_save = [name for name in saved if _is_saved(name, weights)]
    ends = model.get_input_embeddings(), model.get_output_embeddings()
    wrapped = peft.get_peft_model(model, config)
    _refuse_tied(ends, (model.get_input_embeddings(), model.get_output_embeddings()))
    _fill(wrapped, weights)
    merged: PreTrainedModel = wrapped.merge_and_unload(safe_merge=True)
    vars(merged).pop("peft_config", None)  # which peft 0.18 leaves
    return merged.eval()


def _as_named_in(
    model: PreTrainedModel, weights: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return an adapter's weights of which a model has the modules, as it names them.

    An adapter of the stack alone may be given to a model with a head, or the other way
    round; what is of another task's head leads nowhere.
    """
    stack = f"{model.base_model_prefix}."
    inside = {name for name in weights if name.startswith(_WRAPPER)}
    plain = {name.removeprefix(_WRAPPER): weights[name] for name in inside}
    forms = (
        plain,
        {name.removeprefix(stack): weight for name, weight in plain.items()},
        {stack + name: weight for name, weight in plain.items()},
    )
    found = [{n: w for n, w in form.items() if _leads(model, n)} for form in forms]
    best = max(found, key=len)
    shared = {name: weights[name] for name in weights.keys() - inside}  # VeRA's
    return shared | {_WRAPPER + name: weight for name, weight in best.items()}


def _leads(model: nn.Module, name: str) -> bool:
    """Whether a weight's name leads to a module, or to what peft adds to one."""
    parts = name.split(".")
    modules = (".".join(parts[:n]) for n in (-1, -2))
    return any(path and _has_module(model, path) for path in modules)


def _has_module(model: nn.Module, path: str) -> bool:
    try:
        model.get_submodule(path)
    except AttributeError:
        return False
    return True


def _is_saved(module: str, weights: Mapping[str, Tensor]) -> bool:
    return any(module in name.split(".") for name in weights)


def _refuse_tied(
    before: Sequence[nn.Module | None], after: Sequence[nn.Module | None]
) -> None:
    """Refuse an adapter of one of two tables that are the same one."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    tables = {id(getattr(module, "weight", module)) for module in before}
    if len(tables) == 1 and any(isinstance(one, BaseTunerLayer) for one in after):
        raise ValueError(
            "it changes the embeddings or the output matrix alone, which are one"
        )


def _fill(wrapped: nn.Module, weights: dict[str, Tensor]) -> None:
    """Give an adapter its weights, all of them."""
    import peft

    needed = peft.get_peft_model_state_dict(wrapped, save_embedding_layers=False)
    if lacking := sorted(needed.keys() - weights.keys()):
        raise ValueError(f"it lacks {len(lacking)} weights, {lacking[0]!r} first")
    unused = peft.set_peft_model_state_dict(wrapped, weights).unexpected_keys
    if unused:
        raise ValueError(f"it has {len(unused)} weights of no use, {unused[0]!r} first")
