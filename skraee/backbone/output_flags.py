"""What a configuration says of outputs is not asked: all that is read is asked for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# With others a forward returns tuples, keeps every layer's states and attention, and
# computes the latter in another way.
_FLAGS = {
    "return_dict": True,
    "output_hidden_states": False,
    "output_attentions": False,
    "torchscript": False,
}


def reset_output_flags(config: Any) -> None:
    """Set a configuration of ours to what the library's own default is.

    Parameters
    ----------
    config : PreTrainedConfig
        Changed in place.
    """
    for name in _changed(config):
        setattr(config, name, _FLAGS[name])


def without_output_flags(model: PreTrainedModel) -> PreTrainedModel:
    """Return a model whose configuration has the library's own flags.

    Parameters
    ----------
    model : PreTrainedModel
        Left as it is.

    Returns
    -------
    PreTrainedModel
        The model, or a copy of its modules and configurations with the same weights.
    """
    if not any(_changed(config) for config in _configs(model)):
        return model
    twin = twin_of(model)
    for config in _configs(twin):
        reset_output_flags(config)
    return twin


def takes_option(forward: Callable[..., Any], option: str) -> bool:
    """Whether a forward takes an option, by name or with others that it passes on.

    Parameters
    ----------
    forward : callable
    option : str
    """
    taken = inspect.signature(forward).parameters.values()
    return any(p.name == option or p.kind is p.VAR_KEYWORD for p in taken)


def twin_of(model: PreTrainedModel) -> PreTrainedModel:
    """Copy a model's modules and configurations, and share its weights."""
    shared = [*model.parameters(), *model.buffers()]
    return deepcopy(model, {id(tensor): tensor for tensor in shared})


def _configs(model: PreTrainedModel) -> list[Any]:
    held = (vars(module).get("config") for module in model.modules())
    return list({id(config): config for config in held if config is not None}.values())


def _changed(config: Any) -> list[str]:
    return [n for n, usual in _FLAGS.items() if getattr(config, n, usual) != usual]
