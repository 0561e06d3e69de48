"""Checks of one value: a number of a range, one of some choices, a sequence.

Each raises TypeError for a value of another kind and ValueError for one out of its
range, in a sentence that begins with the name of the parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def check_integer(
    name: str, value: Any, *, least: int, most: int | None = None
) -> None:
    """Raise unless `value` is an integer in [least, most]; `most` is a depth."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(
            f"{name} must be a whole number, got {value!r} of type "
            f"{type(value).__name__}."
        )
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}.")
    if most is not None and value > most:
        raise ValueError(
            f"{name} must be at most {most}, the number of layers of this backbone, "
            f"got {value}."
        )


def check_real(
    name: str, value: Any, rule: str, is_right: Callable[[float], bool]
) -> None:
    """Raise unless `value` is a number for which `is_right` holds; `rule` says it."""
    if isinstance(value, bool) or not isinstance(
        value, int | float | np.integer | np.floating
    ):
        raise TypeError(
            f"{name} must be a number, got {value!r} of type {type(value).__name__}."
        )
    if not is_right(float(value)):
        raise ValueError(f"{name} must {rule}, got {value}.")


def check_share(name: str, value: Any) -> None:
    """Raise unless `value` is a number in [0, 1]."""
    check_real(name, value, "lie between 0 and 1", lambda share: 0 <= share <= 1)


def check_choice(name: str, value: Any, allowed: Sequence[Any]) -> None:
    """Raise unless `value` is one of the `allowed` ones."""
    if not any(value is one or _equals(value, one) for one in allowed):
        options = ", ".join(map(repr, allowed))
        raise ValueError(f"{name} must be one of {options}, got {value!r}.")


def check_length(name: str, value: Any) -> None:
    """Raise unless `value` is a number of tokens, or None for no limit."""
    if value is not None:
        check_integer(name, value, least=1)


def check_sequence(name: str, values: Any) -> None:
    """Raise unless `values` can be a sequence of numbers."""
    if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray):
        raise TypeError(
            f"{name} must be a sequence of numbers, got {values!r} of type "
            f"{type(values).__name__}."
        )


def check_each(name: str, values: Any, check: Callable[[Any], None]) -> None:
    """Raise unless `values` is a sequence of some values that all pass a check."""
    check_sequence(name, values)
    if len(values) == 0:
        raise ValueError(f"{name} must hold at least one value, got {values!r}.")
    for value in values:
        check(value)


def _equals(value: Any, allowed: Any) -> bool:
    # Not ==, which arrays answer item by item.
    return isinstance(value, str) and isinstance(allowed, str) and value == allowed
