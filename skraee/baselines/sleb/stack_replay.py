"""A pass through a stack, of which parts can be run again without some layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn

from skraee.backbone.loaded import LoadedBackbone
from skraee.engine.stacks import layers_of, open_stack, run_stack
from skraee.engine.views import Front


class StackReplay:
    """One batch's pass through a stack, of which parts can be run again.

    The stack's own forward makes masks and positions and runs the first layer. The
    calls of the others are noted, and made when they are wanted.

    Parameters
    ----------
    backbone : LoadedBackbone
    stack : str
        Which of the family's stacks.
    **inputs : object
        Of the stack's forward.

    Attributes
    ----------
    calls : list of callable
        Each layer as a map of states (n, T, H) to states.
    """

    def __init__(self, backbone: LoadedBackbone, stack: str, **inputs: Any) -> None:
        self.calls: list[Callable[[Tensor], Tensor]] = []
        self.first_output: Any = None
        self.second_input: Tensor | None = None
        model, family = backbone.model, backbone.family
        layers = layers_of(model, family, stack)
        noted = [_Noted(layer, self) for layer in layers]
        last = run_stack(open_stack(model, family, stack, noted), **inputs)
        if self.second_input is None:  # of one layer
            self.second_input = last

    def without_each(self) -> Iterator[tuple[int, Tensor]]:
        """Yield each place but the first and the last, and the states without it.

        What runs before a place is run once.
        """
        hidden = self._entering_second()
        for place in range(1, len(self.calls) - 1):
            if place > 1:
                hidden = self.calls[place - 1](hidden)
            yield place, self._run(hidden, place + 1)

    def whole(self) -> Tensor:
        """Return the states after all layers."""
        return self._run(self._entering_second(), 1)

    def _entering_second(self) -> Tensor:
        assert self.second_input is not None
        return self.second_input

    def _run(self, hidden: Tensor, start: int) -> Tensor:
        for call in self.calls[start:]:
            hidden = call(hidden)
        return hidden


class _Noted(Front):
    """A layer whose call is noted; it runs if it is the first.

    The others answer what the first did, in the form that the stack expects.
    """

    def __init__(self, layer: nn.Module, replay: StackReplay) -> None:
        super().__init__(layer)
        self.replay = replay

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        replay, layer = self.replay, self.layer

        def call(hidden: Tensor) -> Tensor:
            out = layer(hidden, *args, **kwargs)
            states: Tensor = out[0] if isinstance(out, tuple) else out
            return states

        if not replay.calls:
            replay.first_output = layer(hidden_states, *args, **kwargs)
        elif len(replay.calls) == 1:
            replay.second_input = hidden_states
        replay.calls.append(call)
        return replay.first_output
