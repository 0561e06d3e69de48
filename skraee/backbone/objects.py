"""Model objects as users give them: unwrapped where that is safe, or refused.

Views (:mod:`skraee.engine.views`) run a model's modules one by one, so what was put
around them or in the place of their code would be left out.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Whose hooks do no harm: transformers notes hidden states, and torch makes a weight of
# its parts.
_HARMLESS = ("transformers.", "torch.nn.utils.")
_QUANTIZED = ("torch.ao.nn.", "torch.nn.quantized.")


def plain_model(model: Any) -> PreTrainedModel:
    """Return the transformers model in what a user gave.

    ``torch.compile`` and ``DataParallel`` are taken off; what they hold computes the
    same.

    Raises
    ------
    TypeError
        If it is none.
    ValueError
        If it is in training mode, patched, hooked or quantised in a way in which a
        text's answer depends on the other texts.
    """
    from transformers import PreTrainedModel

    while (inner := _wrapped(model)) is not None:
        _refuse_changed_wrapper(model)
        model = inner
    if not isinstance(model, PreTrainedModel):
        raise TypeError(
            "a backbone is a name, a path or a transformers model, got "
            f"{type(model).__name__}; of a wrapper give the model inside (of PEFT: "
            "model.merge_and_unload())."
        )
    refuse_changed(model)
    return model


def _wrapped(model: Any) -> nn.Module | None:
    """Return what stands in a wrapper that leaves the answers as they are."""
    if type(model) in (nn.DataParallel, nn.parallel.DistributedDataParallel):
        held: nn.Module = model.module
        return held
    if not _is_compiled(model):
        return None
    inner: nn.Module = model._modules["_orig_mod"]
    return inner


def _is_compiled(model: Any) -> bool:
    # The class that torch.compile makes has no public name.
    kind = type(model)
    return kind.__name__ == "OptimizedModule" and kind.__module__.startswith("torch.")


def _refuse_changed_wrapper(wrapper: nn.Module) -> None:
    """Refuse a wrapper that does more than what its class does."""
    forward = vars(wrapper).get("forward")
    # What torch.compile puts there says what it was made of.
    is_own = forward is not None and not hasattr(forward, "_torchdynamo_orig_callable")
    if is_own or wrapper._forward_hooks or wrapper._forward_pre_hooks:
        raise ValueError(
            f"the {type(wrapper).__name__} around the model has "
            f"{'a forward' if is_own else 'hooks'} of its own, which would be left out "
            "where layers run one by one; give the model inside of it."
        )


def refuse_changed(model: nn.Module) -> None:
    """Refuse a model that is in training mode or not what its classes say.

    Raises
    ------
    ValueError
        The message names the module and what is wrong with it.
    """
    if len(set(getattr(model, "hf_device_map", {}).values())) > 1:
        raise ValueError(
            "accelerate has spread the model over several devices, which works for "
            "whole passes; give its name or folder and device=['cuda:0', 'cuda:1', ...]"
            ", and its layers are spread so that texts can leave between them."
        )
    refuse_patched(model)
    if model.training or any(_drops(module) for module in model.modules()):
        raise ValueError(
            "the model is in training mode, in which dropout is active; call "
            "model.eval() first."
        )


def refuse_patched(model: nn.Module) -> None:
    """Refuse a model that does not compute what its classes say.

    Raises
    ------
    ValueError
        The message names the module and what is wrong with it.
    """
    for path, module in model.named_modules():
        what = f"the model's {type(module).__name__} {path!r}" if path else "the model"
        if (fault := _fault(what, module)) is not None:
            raise ValueError(fault)


def _fault(what: str, module: nn.Module) -> str | None:
    """Return what is wrong with a module, which the message calls `what`."""
    if type(module).__module__.startswith(_QUANTIZED):
        return (
            f"{what} is quantised by torch, which rounds a text by the largest number "
            "of its whole batch; give the model as it was before, in dtype='bfloat16' "
            "where memory is short."
        )
    if type(module).__module__.startswith("bitsandbytes."):
        return (
            f"{what} is quantised by bitsandbytes, which rewrites its numbers when it "
            "first runs, so that no change of the model could be told; save it "
            "(save_pretrained) and give the folder."
        )
    if _wrapped(module) is not None:
        kind = type(module).__name__
        return f"{what} is a {kind} around another module; give that one."
    if (name := _replaced_method(module)) is not None:
        return (
            f"{what} has a {name} of its own, which would be left out where layers run "
            f"one by one; take it away (del module.{name}), or put it into a class."
        )
    if (hook := _foreign_hook(module)) is not None:
        return (
            f"{what} has the forward hook {hook}, which may do otherwise where texts "
            "leave early; remove it with the handle that registering it returned."
        )
    return None


def _replaced_method(module: nn.Module) -> str | None:
    """Return a method of the class that stands in the object, too."""
    own = (
        name
        for name, value in vars(module).items()
        if inspect.isroutine(value) and name != "extra_repr"  # torchao's, shown only
    )
    return next((n for n in own if inspect.isroutine(_of_class(module, n))), None)


def _of_class(module: nn.Module, name: str) -> Any:
    return getattr(type(module), name, None)


def _foreign_hook(module: nn.Module) -> str | None:
    for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values()):
        source = getattr(hook, "__module__", None) or ""
        if not source.startswith(_HARMLESS):
            return str(getattr(hook, "__qualname__", type(hook).__name__))
    return None


def _drops(module: nn.Module) -> bool:
    """Whether a part of a model is in training mode, and that matters."""
    if not module.training:
        return False
    is_dropout = isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0
    return is_dropout or type(module).__module__.startswith("transformers.")
