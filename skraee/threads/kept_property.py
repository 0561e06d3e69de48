"""A property that is computed once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

T = TypeVar("T")


class kept_property(Generic[T]):
    """`functools.cached_property` without a lock, in every version of Python.

    That of Python 3.11 locks the property of all instances while one computes it, and
    a fork meanwhile would leave it locked. Two threads may both compute it here; each
    gets what it has computed.

    Parameters
    ----------
    compute : callable
        Of the instance, whose ``__dict__`` keeps what it returns.

    Examples
    --------
    >>> from skraee.threads.kept_property import kept_property
    >>> class Circle:
    ...     radius = 2.0
    ...     @kept_property
    ...     def area(self):
    ...         return 3.14 * self.radius**2
    >>> circle = Circle()
    >>> circle.area, circle.__dict__
    (12.56, {'area': 12.56})
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self.compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> Self | T:
        # What is kept is found before this descriptor is asked.
        if instance is None:
            return self
        kept: T = instance.__dict__.setdefault(self._name, self.compute(instance))
        return kept
