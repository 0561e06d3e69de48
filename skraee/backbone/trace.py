"""The calls of a model's modules within one forward pass, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn


@dataclass
class Call:
    """One call of a module.

    Attributes
    ----------
    path : str
        Of the module within the model.
    begun, ended : int
        Places in the order of all beginnings and ends of calls.
    given, made : Tensor or None
        What it was called with first, and what it gave, or the first thing of several.
    """

    path: str
    begun: int
    given: Tensor | None
    ended: int = -1
    made: Tensor | None = None


@dataclass
class Trace:
    """All calls within one forward pass.

    Attributes
    ----------
    calls : list of Call
        In the order in which they began.
    """

    calls: list[Call] = field(default_factory=list)
    _n_events: int = 0
    _open: list[Call] = field(default_factory=list)

    def of(self, path: str) -> list[Call]:
        """Return the calls of a module."""
        return [call for call in self.calls if call.path == path]

    def within(self, path: str) -> list[Call]:
        """Return the calls of all modules that stand in another."""
        return [call for call in self.calls if not path or is_within(call.path, path)]

    def begin(self, path: str, given: Any) -> None:
        """Note that a module is called."""
        call = Call(path, self._n_events, given if isinstance(given, Tensor) else None)
        self._n_events += 1
        self.calls.append(call)
        self._open.append(call)

    def end(self, made: Any) -> None:
        """Note what the module gave that was called last."""
        call = self._open.pop()
        call.ended, call.made = self._n_events, _first(made)
        self._n_events += 1


def is_within(path: str, outer: str) -> bool:
    """Whether a module stands in another one, by their paths."""
    return path.startswith(f"{outer}.")


@contextmanager
def tracing(model: nn.Module) -> Iterator[Trace]:
    """Note every call of a model's modules, by hooks that stay on it.

    Parameters
    ----------
    model : nn.Module
        A copy that no one else has.
    """
    trace = Trace()

    def before(path: str) -> Callable[..., None]:
        def note(module: nn.Module, args: Any, kwargs: Any) -> None:
            trace.begin(path, args[0] if args else kwargs.get("hidden_states"))

        return note

    def after(module: nn.Module, args: Any, made: Any) -> None:
        trace.end(made)

    for path, module in model.named_modules():
        module.register_forward_pre_hook(before(path), with_kwargs=True)
        module.register_forward_hook(after)
    yield trace


def _first(made: Any) -> Tensor | None:
    """Return the tensor that a module gave, or the first one of several things."""
    if hasattr(made, "last_hidden_state"):
        made = made.last_hidden_state
    if isinstance(made, (tuple, list)):
        made = made[0] if made else None
    return made if isinstance(made, Tensor) else None
