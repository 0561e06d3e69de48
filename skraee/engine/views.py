"""Views: shallow copies of a model in which some modules are replaced.

A view shares every weight and every other module with the model, which stays as it
is: no hook, no changed configuration, nothing that another thread could see.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from torch import nn


class Front(nn.Module):
    """What stands in front of a model's own layer, in its place."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def __getattr__(self, name: str) -> Any:
        # Some models ask a layer for its kind (attention_type) before they call it.
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("layer"), name)


def view_of(module: nn.Module, replaced: Mapping[str, nn.Module | None]) -> nn.Module:
    """Return a shallow copy of a module in which the modules at some paths differ.

    Parameters
    ----------
    module : nn.Module
        Left as it is.
    replaced : mapping of str to nn.Module or None
        Dotted path -> what stands there in the copy.
    """
    view = _shallow_copy(module)
    inner: dict[str, dict[str, nn.Module | None]] = {}
    for path, new in replaced.items():
        head, _, rest = path.partition(".")
        if rest:
            inner.setdefault(head, {})[rest] = new
        else:
            view._modules[head] = new
    for head, changes in inner.items():
        view._modules[head] = view_of(getattr(module, head), changes)
    return view


def float32_copy(module: nn.Module) -> nn.Module:
    """Return a whole copy in float32: of a part that is small, weights and all."""
    # The library forbids it of a quantised model, of which this is a plain part.
    copy = nn.Module.float(deepcopy(module))
    return copy.eval().requires_grad_(False)


def _shallow_copy(module: nn.Module) -> nn.Module:
    twin = module.__class__.__new__(module.__class__)
    # What Module.compile() has made is of the modules that the module itself has.
    own = {"_modules": dict(module._modules), "_compiled_call_impl": None}
    twin.__dict__ = {**module.__dict__, **own}
    return twin
