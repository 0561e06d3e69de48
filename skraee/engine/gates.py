"""Gates between a model's shared layers: where rows are read and leave.

A batch runs through the model's own forward, by a view whose layers stand behind
gates. A gate reports the states that arrive to the batch's :class:`RunningRows`, which
says which rows go on; the layer then sees these rows alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from typing import Any

import torch
from torch import Tensor, nn

from skraee.backbone.families import Family
from skraee.engine.last_layer import Needed, trimmed
from skraee.engine.rotation import changing_rotations, unused
from skraee.engine.views import view_of

#: What a visitor answers: the number of first rows that go on, the positions
#: (among the rows that run) of those that go on, or None for all of them.
GoingOn = int | Tensor | None
Visit = Callable[[int, Tensor, Tensor], GoingOn]
EndingAt = Callable[[int, Tensor], Needed | None]


def layers_of(model: nn.Module, family: Family, stack: str) -> list[nn.Module]:
    """Return the layers of a stack in the order in which they run."""
    shared = model.get_submodule(stack)
    listed = list(shared.get_submodule(family.layers).children())
    if not family.cycles_layers:
        return listed
    n_layers = int(model.config.num_hidden_layers)  # type: ignore[union-attr,arg-type]
    return [listed[i * len(listed) // n_layers] for i in range(n_layers)]


def gated_stack(
    model: nn.Module, family: Family, stack: str, running: RunningRows, first_depth: int
) -> nn.Module:
    """Return a view of a stack that reports to a running at every depth.

    The view's output is the state after the last layer, before the final norm.

    Parameters
    ----------
    model : nn.Module
        The model with its head.
    family : Family
        Its row.
    stack : str
        Which of the family's stacks.
    running : RunningRows
        The batch that the view will be called with.
    first_depth : int
        Depth of the stack's embedding output.
    """
    gates = [
        Gate(layer, first_depth + i, running, family)
        for i, layer in enumerate(layers_of(model, family, stack))
    ]
    between = {
        name: _Aligned(module, running)
        for name, module in modules_between(model, family, stack).items()
    }
    return open_stack(model, family, stack, gates, between)


def open_stack(
    model: nn.Module,
    family: Family,
    stack: str,
    layers: Iterable[nn.Module],
    between: Mapping[str, nn.Module] | None = None,
) -> nn.Module:
    """Return a view of a stack with other layers and nothing behind the last.

    Parameters
    ----------
    model : nn.Module
        The model with its head.
    family : Family
        Its row.
    stack : str
        Which of the family's stacks.
    layers : iterable of nn.Module
        As many as the stack has.
    between : mapping of str to nn.Module, optional
        What stands in the place of modules that run between two layers.
    """
    shared = model.get_submodule(stack)
    replaced: dict[str, nn.Module | None] = {family.layers: nn.ModuleList(layers)}
    replaced |= between or {}
    for name in family.final_norms:
        if getattr(shared, name) is not None:
            replaced[name] = nn.Identity()
    if "pooler" in shared._modules:
        replaced["pooler"] = None
    for path, rotation in changing_rotations(shared, family).items():
        replaced[path] = unused(rotation)
    view = view_of(shared, replaced)
    if family.cycles_layers:
        _uncycle(view, family)
    return view


def modules_between(
    model: nn.Module, family: Family, stack: str
) -> dict[str, nn.Module]:
    """Return what a stack runs between two layers, by its path within the stack."""
    shared = model.get_submodule(stack)
    found = {name: _get(shared, name) for name in family.between}
    return {name: module for name, module in found.items() if module is not None}


class AllRowsLeft(Exception):
    """No row of the batch wants a deeper layer: the pass is over."""


class RunningRows:
    """One batch on its way through the layers of a stack: which rows still run.

    Parameters
    ----------
    visit : callable
        ``visit(depth, hidden, rows) -> GoingOn``, called at every depth with the
        states (n, T, H) of the rows that run, and their numbers (n,).
    rows : Tensor of shape (n_rows,)
        Numbers of the rows that enter the stack.
    ending_at : callable, optional
        ``ending_at(depth, rows) -> Needed or None``: which tokens of the rows that run
        the layer before a depth has to compute: all of rows that go on, the read
        position of those that end.
    """

    def __init__(
        self, visit: Visit, rows: Tensor, ending_at: EndingAt | None = None
    ) -> None:
        self.rows = rows
        self.ending_at = ending_at
        self._visit = visit
        self._n_entered = len(rows)
        # Which of the rows that entered run: the first so many, or in another order.
        self._running: int | Tensor = len(rows)
        self._made: list[Tensor] = []  # by the last layer
        self._n_ran = 0
        self._kept_since: GoingOn = None

    def arrive(self, depth: int, hidden: Tensor) -> Tensor:
        """Visit a depth and return the states of the rows that go on."""
        keep = self._visit(depth, hidden, self.rows)
        self._kept_since = keep
        if keep is None:
            return hidden
        if isinstance(keep, int) and isinstance(self._running, int):
            self._running = keep
        else:
            self._running = _take(self._places(), keep)
        self.rows = _take(self.rows, keep)
        if len(self.rows) == 0:
            raise AllRowsLeft
        return _take(hidden, keep)

    def note(self, made: Any) -> None:
        """Remember what a layer made: it has a row for every text that ran there."""
        outputs = made if isinstance(made, tuple) else (made,)
        self._made = [out for out in outputs if isinstance(out, Tensor)]
        self._n_ran = len(self.rows)
        self._kept_since = None

    def align(self, argument: Any) -> Any:
        """Cut a layer's argument to the rows that run, in their order.

        A tensor that the last layer made has a row for every text that ran there, any
        other was made before the layers and has one for every text that entered.
        Models give what is the same for all texts a first dimension of 1.
        """
        if isinstance(argument, tuple):
            return tuple(self.align(item) for item in argument)
        if not isinstance(argument, Tensor) or argument.ndim < 2:
            return argument
        if any(argument is made for made in self._made):
            return _cut(argument, self._n_ran, self._kept_since)
        return _cut(argument, self._n_entered, self._running)

    def _places(self) -> Tensor:
        if isinstance(self._running, Tensor):
            return self._running
        return torch.arange(self._running, device=self.rows.device)


class Front(nn.Module):
    """What stands in front of a shared layer, in its place.

    Parameters
    ----------
    layer : nn.Module
        The model's own layer.
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def __getattr__(self, name: str) -> Any:
        # Some models ask a layer for its kind (attention_type) before they call it.
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("layer"), name)


class Gate(Front):
    """A shared layer with a stop in front of it.

    Parameters
    ----------
    layer : nn.Module
        The model's own layer.
    depth : int
        Depth of the states that enter it.
    running : RunningRows
        Told of every arrival; decides which rows go on.
    family : Family
    """

    def __init__(
        self, layer: nn.Module, depth: int, running: RunningRows, family: Family
    ) -> None:
        super().__init__(layer)
        self.depth = depth
        self.running = running
        self.shared_args = family.shared_args
        self.family = family

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Report the arrival and run the layer on the rows that go on."""
        running = self.running
        hidden_states = running.arrive(self.depth, hidden_states)
        args = running.align(args)
        for name, value in kwargs.items():
            if name not in self.shared_args:
                kwargs[name] = running.align(value)
        made = self._trimmed(hidden_states)(hidden_states, *args, **kwargs)
        running.note(made)
        return made

    def _trimmed(self, hidden_states: Tensor) -> nn.Module:
        """Return the layer, or the part of it that rows which end here need."""
        width = hidden_states.shape[1]
        if self.running.ending_at is None or not self.family.feed_forward or width == 1:
            return self.layer
        ending = self.running.ending_at(self.depth + 1, self.running.rows)
        if ending is None:
            return self.layer
        return trimmed(self.layer, self.family, ending, width)


class _Aligned(nn.Module):
    """A module between two layers, called with the rows that run."""

    def __init__(self, module: nn.Module, running: RunningRows) -> None:
        super().__init__()
        self.module = module
        self.running = running

    def forward(self, *args: Any) -> Any:
        return self.module(*self.running.align(args))


def _uncycle(view: nn.Module, family: Family) -> None:
    # The loop picks group i * groups // layers; with a gate for every layer, both
    # numbers are the same. The configuration is the view's own copy.
    owner = view.get_submodule(family.layers.rpartition(".")[0])
    config = copy(owner.config)
    config.num_hidden_groups = config.num_hidden_layers  # type: ignore[union-attr]
    owner.config = config


def _get(module: nn.Module, path: str) -> nn.Module | None:
    owner, _, name = path.rpartition(".")
    return getattr(module.get_submodule(owner), name)  # type: ignore[no-any-return]


def _cut(argument: Tensor, n_rows: int, keep: GoingOn) -> Tensor:
    """Return the rows that are kept of an argument that has one for every text."""
    return _take(argument, keep) if len(argument) == n_rows else argument


def _take(tensor: Tensor, keep: GoingOn) -> Tensor:
    if isinstance(keep, int):
        return tensor[:keep]
    return tensor if keep is None else tensor[keep]
