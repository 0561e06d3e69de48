"""Gates between a model's shared layers: where rows are read and leave.

A batch runs through the model's own forward, by a view whose layers stand behind
gates. A gate reports the states that arrive to the batch's
:class:`~skraee.engine.rows.RunningRows`, which says which rows go on; the layer then
sees these rows alone.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor, nn

from skraee.backbone.families import Family
from skraee.engine.compiled import CompiledLayers
from skraee.engine.few_shapes import Filling, few_shapes_of_attention
from skraee.engine.last_layer import trimmed
from skraee.engine.products import PackedWeights, with_fast_products
from skraee.engine.rotation import changing_rotations
from skraee.engine.rows import RunningRows
from skraee.engine.stacks import layers_of, modules_between, open_stack, run_stack
from skraee.engine.views import Front


class GatedStack:
    """A view of a stack whose layers stand behind gates; for one pass after another.

    Parameters
    ----------
    model, family, stack
        The model with its head, its row, and which of the family's stacks.
    first_depth : int
        Depth of the stack's embedding output.
    weights : PackedWeights
        Of the model.

    Attributes
    ----------
    last : int
        Depth behind its last layer.
    is_for_one_pass : bool
        Whether it holds rotary frequencies that change with the texts it has run.
    compiled : CompiledLayers or None
        What runs whole layers in the next pass; None lets them run as they are.
    """

    def __init__(
        self,
        model: nn.Module,
        family: Family,
        stack: str,
        first_depth: int,
        weights: PackedWeights,
    ) -> None:
        self._filling = Filling()
        gates = [
            Gate(
                layer,
                with_fast_products(layer, weights, self._filling),
                first_depth + i,
                family,
            )
            for i, layer in enumerate(layers_of(model, family, stack))
        ]
        between = {
            name: _Aligned(module)
            for name, module in modules_between(model, family, stack).items()
        }
        self.last = first_depth + len(gates)
        shared = model.get_submodule(stack)
        self.is_for_one_pass = bool(changing_rotations(shared, family))
        self.compiled: CompiledLayers | None = None
        self._model = model
        self._family = family
        self._stops: list[Gate | _Aligned] = [*gates, *between.values()]
        self._view = open_stack(model, family, stack, gates, between)

    def run(self, running: RunningRows, **inputs: Any) -> Tensor:
        """Run a batch, and report every depth but the last.

        Parameters
        ----------
        running : RunningRows
            Told of every arrival; says which rows go on.
        **inputs : object
            Of the stack's own forward.

        Returns
        -------
        Tensor of shape (n, T, H)
            The states after the last layer, before the final norm.
        """
        # Some configurations cut a layer's tokens into chunks themselves.
        in_chunks = getattr(self._model.config, "chunk_size_feed_forward", 0)
        trims = bool(self._family.feed_forward) and not in_chunks
        way = _Way(running, self.compiled, trims=trims)
        for stop in self._stops:
            stop.way = way
        attention: AbstractContextManager[object] = nullcontext()
        if self.compiled is None:
            attention = few_shapes_of_attention(self._model, len(running.rows))
        try:
            with attention:
                return run_stack(self._view, **inputs)
        finally:
            for stop in self._stops:
                stop.way = None
            self._filling.forget()


class _Way:
    """One pass through a stack.

    Attributes
    ----------
    running : RunningRows
    compiled : CompiledLayers or None
    trims : bool
        Whether rows that end behind a layer run only what is read of them.
    carried : tuple or None
        What layers that the rows have run before return beside states, if anything.
    """

    def __init__(
        self, running: RunningRows, compiled: CompiledLayers | None, *, trims: bool
    ) -> None:
        self.running = running
        self.compiled = compiled
        self.trims = trims
        self.carried: tuple[Any, ...] | None = None


class Gate(Front):
    """A shared layer with a stop in front of it.

    Parameters
    ----------
    own : nn.Module
        The model's layer.
    layer : nn.Module
        What runs in its place.
    depth : int
        Depth of the states that enter it.
    family : Family
        The model's row.
    """

    def __init__(
        self, own: nn.Module, layer: nn.Module, depth: int, family: Family
    ) -> None:
        super().__init__(layer)
        self._own = [own]  # in a list, so that it is no module of the view's
        self.depth = depth
        self.family = family
        self.way: _Way | None = None
        self._form: _Form | None = None  # of what the layer returned last

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Report the arrival and run the layer on the rows that go on."""
        assert self.way is not None  # as GatedStack.run has set it
        running = self.way.running
        if running.have_run_layer(self.depth):
            return self._passed_by(self.way, hidden_states, args, kwargs)
        hidden_states = running.arrive(self.depth, hidden_states)
        args = running.align(args)
        for name, value in kwargs.items():
            if name in self.family.args_by_head:
                kwargs[name] = running.align_heads(value)
            elif name not in self.family.shared_args:
                kwargs[name] = running.align(value)
        layer = self._trimmed(self.way, hidden_states.shape[1])
        compiled = self.way.compiled if layer is self.layer else None
        if compiled is None:
            made = layer(hidden_states, *args, **kwargs)
        else:
            made = compiled.run(self._own[0], layer, hidden_states, args, kwargs)
        running.note(made)
        self._form = _Form.of(made)
        return made

    def _passed_by(
        self, way: _Way, hidden_states: Tensor, args: Any, kwargs: Any
    ) -> Any:
        """Return what the layer would in form, and any states.

        T5's first layer makes what the others are given beside states. It follows from
        lengths alone, and is made anew of those of these rows.
        """
        form = self._form
        if form is None or (form.carries and way.carried is None):
            made = self.layer(hidden_states, *args, **kwargs)
            way.running.note(made)
            self._form = form = _Form.of(made)
            if form.carries:
                way.carried = made[1:]
        beside = way.carried if form.carries else form.beside
        return hidden_states if beside is None else (hidden_states, *beside)

    def _trimmed(self, way: _Way, width: int) -> nn.Module:
        """Return the layer, or the part of it that rows which end here need."""
        running = way.running
        if running.ending_at is None or not way.trims or width == 1:
            return self.layer
        ending = running.ending_at(self.depth + 1, running.rows)
        if ending is None:
            return self.layer
        return trimmed(self.layer, self.family, ending, width)


@dataclass(frozen=True)
class _Form:
    """How a layer returns states.

    Attributes
    ----------
    beside : tuple or None
        What it returns beside them; None where states are all.
    carries : bool
        Whether that is tensors, which the layers after it are given.
    """

    beside: tuple[Any, ...] | None
    carries: bool

    @classmethod
    def of(cls, made: Any) -> Self:
        """Return the form of what a layer returned."""
        if isinstance(made, Tensor):
            return cls(None, carries=False)
        carries = any(isinstance(part, Tensor) for part in made[1:])
        return cls(() if carries else made[1:], carries)


class _Aligned(nn.Module):
    """A module between two layers, called with the rows that run."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.way: _Way | None = None

    def forward(self, *args: Any) -> Any:
        assert self.way is not None  # as GatedStack.run has set it
        return self.module(*self.way.running.align(args))
