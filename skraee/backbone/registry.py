"""The models that this process has loaded: each once, for all that name it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, NamedTuple, TypeVar
from weakref import ref

from skraee.threads.locks import fork_safe_lock

Loaded = TypeVar("Loaded")


class _Entry(NamedTuple):
    loaded: Any
    state: Any  # what the source held when it was read
    objects: tuple[Any, ...]  # whose ids no others may get while they stand in a key


class Registry:
    """Loaded models under what leads to them; any thread may ask."""

    def __init__(self) -> None:
        self._entries: dict[Hashable, _Entry] = {}
        self._users: dict[Hashable, set[ref[Any]]] = {}
        self._lock = fork_safe_lock()

    def get(
        self,
        key: Hashable,
        read: Callable[[], Loaded],
        *,
        state: Any = None,
        objects: tuple[Any, ...] = (),
        user: Any = None,
    ) -> Loaded:
        """Return a model; read it where it is not there, or its source has changed.

        Parameters
        ----------
        key : hashable
            What leads to it, of all models alike.
        read : callable
            Reads it. Other threads wait meanwhile, as they may want the same.
        state : object
            What the source holds now; None where that cannot be told.
        objects : tuple
            Those whose ids stand in the key.
        user : object, optional
            Who asks. Where each of them has said so, the model is forgotten with the
            last one: nothing else leads to it again.
        """
        with self._lock:
            if user is not None:
                users = self._users.setdefault(key, set())
                users.add(ref(user, partial(self._leave, key)))
            if not self._has(key, state):
                self._entries.pop(key, None)  # its memory is free before more is taken
                self._entries[key] = _Entry(read(), state, objects)
            loaded: Loaded = self._entries[key].loaded
        return loaded

    def _has(self, key: Hashable, state: Any) -> bool:
        return key in self._entries and state in (None, self._entries[key].state)

    def clear(self) -> None:
        """Forget all models."""
        with self._lock:
            self._entries.clear()
            self._users.clear()

    def _leave(self, key: Hashable, user: ref[Any]) -> None:
        # Without the lock: objects end anywhere, and a thread may load for minutes.
        if (users := self._users.get(key)) is not None:
            users.discard(user)
            if not users:
                self._users.pop(key, None)
                self._entries.pop(key, None)

    def __len__(self) -> int:
        return len(self._entries)


#: Backbones and encoders.
loaded_models = Registry()


def clear_backbones() -> None:
    """Forget all models that this process has loaded, backbones and encoders.

    Their memory is free where nothing else holds them. The next use of a
    :class:`~skraee.Backbone` or an :class:`~skraee.Encoder` loads its model again.

    Examples
    --------
    >>> from skraee import clear_backbones, toy
    >>> backbone = toy.backbone()
    >>> first = backbone.load()
    >>> backbone.load() is first
    True
    >>> clear_backbones()
    >>> backbone.load() is first
    False
    """
    loaded_models.clear()
