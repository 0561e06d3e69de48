"""What backbones and encoders have in common: frozen models by name or as objects."""

from __future__ import annotations

import pickle
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import torch

from skraee.backbone.ambient import own_torch_state
from skraee.backbone.precision import Devices
from skraee.backbone.registry import loaded_models
from skraee.backbone.source_state import state_of_files
from skraee.exceptions import BackboneChangedError


class ModelIdentity(Protocol):
    """What a model is, told in hashes."""

    def change_to(self, now: Any, /) -> str | None:
        """Return what is another there; None where nothing that is known is."""

    def lasting(self) -> Any:
        """Return what other versions of the libraries, too, can be held to."""


class LoadedModel(Protocol):
    """A model in memory."""

    @property
    def identity(self) -> ModelIdentity:
        """What tells it from any other."""


Loaded = TypeVar("Loaded", bound=LoadedModel)
DType = torch.dtype | None  # None: that in which it is saved


class Uncopied:
    """A handle on something large: clones and copies of it are itself."""

    def __sklearn_clone__(self) -> Self:
        return self

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


class FrozenModel(Uncopied, ABC, Generic[Loaded]):
    """A model by name or as objects: read once per process, held to what it was.

    A pickle holds its name, its revision and hashes of what was loaded. It is read
    again when it is first needed, and has to be the same then.

    Parameters
    ----------
    name : str
        Hub name or absolute path; of objects what they say they come from.
    revision : str or None
        On the hub.
    objects : tuple
        The model itself, and what goes with it; empty where its name leads to it.
    """

    _what: ClassVar[str]  # it is, in messages
    _is_decided_by_name = False  # so that no hash has to tell what it is

    def __init__(
        self, name: str, revision: str | None, objects: tuple[Any, ...] = ()
    ) -> None:
        self._name = name
        self._revision = revision
        self._objects = objects
        self._seen: dict[DType, ModelIdentity] = {}  # what was loaded last
        self._pins: dict[DType, ModelIdentity] = {}  # what it has to be
        self._found_by_name: dict[Any, str] = {}  # what objects held -> their name

    @property
    def name(self) -> str:
        """Hub name or absolute path; of an object, its ``name_or_path``."""
        return self._name

    @property
    def revision(self) -> str | None:
        """Revision on the hub."""
        return self._revision

    @abstractmethod
    def load(self) -> Loaded:
        """Load the model, or find it where this process has loaded it before."""

    @abstractmethod
    def _read(self, dtype: DType, devices: Devices) -> Loaded:
        """Read the model from its source."""

    @abstractmethod
    def _state_of_objects(self) -> Any:
        """Return what the objects hold now; None where that cannot be told."""

    @abstractmethod
    def _holds(self, loaded: Loaded) -> bool:
        """Whether this one's source holds a model that is loaded."""

    @abstractmethod
    def _options(self) -> dict[str, Any]:
        """Return how the name is read: parameters of the constructor, for JSON."""

    def _load(self, dtype: DType, devices: Devices) -> Loaded:
        """Find the model in the registry, or read it, and check what it is."""
        loaded = loaded_models.get(
            (self._what, *self._source(), dtype, devices),
            lambda: self._read(dtype, devices),
            state=self._state(),
            objects=self._objects,
            user=self if self._objects else None,
        )
        self._seen[dtype] = loaded.identity
        self._check_pin(dtype, loaded.identity)
        return loaded

    def _source(self) -> tuple[Any, ...]:
        if self._objects:
            return tuple(map(id, self._objects))
        return self._name, self._revision

    def _state(self) -> Any:
        """Return what the source holds now; None where that cannot be told."""
        if self._objects:
            return self._state_of_objects()
        return state_of_files(Path(self._name))

    def _check_pin(self, dtype: DType, found: ModelIdentity) -> None:
        pin = self._pins.get(dtype)
        if pin is not None and (change := pin.change_to(found)) is not None:
            raise BackboneChangedError(
                f"the {change} of {self._what} {self._name or self!r} are not those "
                "that the estimator was fitted with; restore them (give the revision), "
                f"or fit again with a new {type(self).__name__}."
            )

    def _held_to(self, pins: Mapping[DType, ModelIdentity]) -> Self:
        """Return a handle on the same source that refuses all but what is pinned."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._pins = {**self._pins, **pins}
        return twin

    def _where(self) -> dict[str, Any]:
        """Return what leads to the model, as the constructor takes it."""
        if self._objects:
            self._check_that_name_leads_here()
        return {"name": self._name, "revision": self._revision, **self._options()}

    @own_torch_state()
    def _check_that_name_leads_here(self) -> None:
        """Make the objects' name whole; refuse where it leads to anything else."""
        state = self._state()
        if state is None or state not in self._found_by_name:
            self._found_by_name[state] = self._name_that_leads_here()
        self._name = self._found_by_name[state]

    def _name_that_leads_here(self) -> str:
        mine, kind = self.load(), type(self._objects[0]).__name__
        try:
            twin = type(self)(self._name, revision=self._revision, **self._options())
            is_same = twin._holds(mine)
        except (OSError, ValueError, ImportError):
            is_same = False
        if not is_same:
            raise pickle.PicklingError(
                f"the {self._what} was made of an object ({kind}) and its name_or_path "
                f"{self._name!r} does not lead to the same, so it can be neither "
                "pickled nor saved; save it with its tokenizer (save_pretrained) and "
                "pass the folder."
            )
        return twin.name

    def __reduce__(self) -> tuple[Any, ...]:
        where = self._where()
        known = self._pins if self._is_decided_by_name else {**self._seen, **self._pins}
        pins = {dtype: identity.lasting() for dtype, identity in known.items()}
        return _restore, (type(self), where, pins)

    def __repr__(self) -> str:
        kind = type(self).__name__
        if self._objects:
            return f"{kind}({type(self._objects[0]).__name__}(...))"
        revision = f", revision={self._revision!r}" if self._revision else ""
        return f"{kind}({self._name!r}{revision})"


def _restore(
    kind: type[FrozenModel[Any]],
    where: Mapping[str, Any],
    pins: Mapping[DType, ModelIdentity],
) -> FrozenModel[Any]:
    options = {name: value for name, value in where.items() if name != "name"}
    return kind(where["name"], **options)._held_to(pins)
