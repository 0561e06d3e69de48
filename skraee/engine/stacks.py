"""A model's stacks: their layers in order, and views of a stack with other layers.

A view of a stack is left when its last layer is done: what the model does behind it,
be it a norm, a pooler or a reshape to as many rows as entered, is no part of a depth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from typing import Any

from torch import Tensor, nn

from skraee.backbone.families import Family
from skraee.engine.rotation import changing_rotations, unused
from skraee.engine.views import Front, view_of


def layers_of(model: nn.Module, family: Family, stack: str) -> list[nn.Module]:
    """Return the layers of a stack in the order in which they run."""
    shared = model.get_submodule(stack)
    listed = list(shared.get_submodule(family.layers).children())
    if not family.cycles_layers:
        return listed
    n_layers = int(model.config.num_hidden_layers)  # type: ignore[union-attr,arg-type]
    return [listed[i * len(listed) // n_layers] for i in range(n_layers)]


def open_stack(
    model: nn.Module,
    family: Family,
    stack: str,
    layers: Iterable[nn.Module],
    between: Mapping[str, nn.Module] | None = None,
) -> nn.Module:
    """Return a view of a stack with other layers, for `run_stack`.

    Parameters
    ----------
    model, family, stack
        The model with its head, its row, and which of the family's stacks.
    layers : iterable of nn.Module
        As many as the stack has.
    between : mapping of str to nn.Module, optional
        What stands in the place of modules that run between two layers.
    """
    shared = model.get_submodule(stack)
    *before, last = layers
    opened = nn.ModuleList([*before, _Last(last)])
    replaced: dict[str, nn.Module | None] = {family.layers: opened, **(between or {})}
    for path, rotation in changing_rotations(shared, family).items():
        replaced[path] = unused(rotation)
    view = view_of(shared, replaced)
    if family.cycles_layers:
        _uncycle(view, family)
    return view


def run_stack(view: nn.Module, **inputs: Any) -> Tensor:
    """Run a view of a stack and return the states (n, T, H) after its last layer.

    Parameters
    ----------
    view : nn.Module
        As `open_stack` returns it.
    **inputs : object
        Of the stack's own forward.
    """
    try:
        view(**inputs)
    except _LastLayerDone as done:
        return done.states
    raise RuntimeError("the last layer of the stack was not called")


class _LastLayerDone(Exception):
    """The pass through a stack is over."""

    def __init__(self, states: Tensor) -> None:
        self.states = states


class _Last(Front):
    """The last layer of a view, behind which its pass ends."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        made = self.layer(*args, **kwargs)
        raise _LastLayerDone(made if isinstance(made, Tensor) else made[0])


def modules_between(
    model: nn.Module, family: Family, stack: str
) -> dict[str, nn.Module]:
    """Return what a stack runs between two layers, by its path within the stack."""
    shared = model.get_submodule(stack)
    found = {name: module_at(shared, name) for name in family.between}
    return {name: module for name, module in found.items() if module is not None}


def _uncycle(view: nn.Module, family: Family) -> None:
    # The loop picks group i * groups // layers; with a gate for every layer, both
    # numbers are the same. The configuration is the view's own copy.
    owner = view.get_submodule(family.layers.rpartition(".")[0])
    config = copy(owner.config)
    config.num_hidden_groups = config.num_hidden_layers  # type: ignore[union-attr]
    owner.config = config


def module_at(module: nn.Module, path: str) -> nn.Module | None:
    """Return the module at a path, or None where a configuration has none there."""
    owner, _, name = path.rpartition(".")
    return getattr(module.get_submodule(owner), name)  # type: ignore[no-any-return]
