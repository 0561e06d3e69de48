"""Gates between a model's shared layers: where rows are read and leave.

A batch runs through the model's own forward, by a view whose layers stand behind
gates. A gate reports the states that arrive to the batch's
:class:`~skraee.engine.rows.RunningRows`, which says which rows go on; the layer then
sees these rows alone.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from skraee.backbone.families import Family
from skraee.engine.last_layer import trimmed
from skraee.engine.rows import RunningRows
from skraee.engine.stacks import Front, layers_of, modules_between, open_stack


def gated_stack(
    model: nn.Module, family: Family, stack: str, running: RunningRows, first_depth: int
) -> tuple[nn.Module, int]:
    """Return a view of a stack that reports every depth but the last, and that depth.

    The view's output is the state after the last layer, before the final norm.

    Parameters
    ----------
    model, family, stack
        The model with its head, its row, and which of the family's stacks.
    running : RunningRows
        The batch that the view will be called with.
    first_depth : int
        Depth of the stack's embedding output.
    """
    # Some configurations cut a layer's tokens into chunks themselves.
    in_chunks = getattr(model.config, "chunk_size_feed_forward", 0)
    trims = bool(family.feed_forward) and not in_chunks
    gates = [
        Gate(layer, first_depth + i, running, family, trims=trims)
        for i, layer in enumerate(layers_of(model, family, stack))
    ]
    between = {
        name: _Aligned(module, running)
        for name, module in modules_between(model, family, stack).items()
    }
    view = open_stack(model, family, stack, gates, between)
    return view, first_depth + len(gates)


class Gate(Front):
    """A shared layer with a stop in front of it.

    Parameters
    ----------
    layer : nn.Module
        The model's own.
    depth : int
        Depth of the states that enter it.
    running : RunningRows
        Told of every arrival; says which rows go on.
    family : Family
        The model's row.
    trims : bool
        Whether rows that end behind the layer run only what is read of them.
    """

    def __init__(
        self,
        layer: nn.Module,
        depth: int,
        running: RunningRows,
        family: Family,
        *,
        trims: bool,
    ) -> None:
        super().__init__(layer)
        self.depth = depth
        self.running = running
        self.family = family
        self.trims = trims

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Report the arrival and run the layer on the rows that go on."""
        running = self.running
        hidden_states = running.arrive(self.depth, hidden_states)
        args = running.align(args)
        for name, value in kwargs.items():
            if name in self.family.args_by_head:
                kwargs[name] = running.align_heads(value)
            elif name not in self.family.shared_args:
                kwargs[name] = running.align(value)
        made = self._trimmed(hidden_states)(hidden_states, *args, **kwargs)
        running.note(made)
        return made

    def _trimmed(self, hidden_states: Tensor) -> nn.Module:
        """Return the layer, or the part of it that rows which end here need."""
        width = hidden_states.shape[1]
        if self.running.ending_at is None or not self.trims or width == 1:
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
